//! Which pages may be visited.

use thiserror::Error;

use crate::address::is_private;
use crate::error::ConfigError;
use crate::page::Page;

/// Which pages may be visited. Asked in this order: private addresses and localhost are refused; an
/// allow-list, if there is one, decides alone; then the block-list.
///
/// A pattern is a host (`example.com`), a host and all below it (`*.example.com`), or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UrlPolicy {
    allow: Option<Vec<Pattern>>,
    block: Vec<Pattern>,
    private: bool,
}

/// Why a page is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlRefused {
    /// It is not of the public network.
    #[error("`{host}` is a private address")]
    Private {
        /// The host.
        host: String,
    },
    /// It is not on the allow-list.
    #[error("`{host}` is not on the list of hosts that may be visited")]
    NotAllowed {
        /// The host.
        host: String,
    },
    /// It is on the block-list.
    #[error("`{host}` may not be visited")]
    Blocked {
        /// The host.
        host: String,
    },
}

impl UrlRefused {
    /// A stable reason code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Private { .. } => "url_private",
            Self::NotAllowed { .. } => "url_not_allowed",
            Self::Blocked { .. } => "url_blocked",
        }
    }
}

impl UrlPolicy {
    /// Every public address.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these hosts. An empty list allows none.
    ///
    /// # Errors
    /// [`ConfigError::Host`] for a pattern that is none.
    pub fn allow<S: AsRef<str>>(
        mut self,
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        self.allow = Some(read("allow", patterns)?);
        Ok(self)
    }

    /// Not these hosts.
    ///
    /// # Errors
    /// [`ConfigError::Host`] for a pattern that is none.
    pub fn block<S: AsRef<str>>(
        mut self,
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<Self, ConfigError> {
        self.block = read("block", patterns)?;
        Ok(self)
    }

    /// Private addresses too: for an agent that works on the own network.
    #[must_use]
    pub const fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Whether a page may be visited.
    ///
    /// # Errors
    /// [`UrlRefused`] says why not.
    pub fn check(&self, page: &Page) -> Result<(), UrlRefused> {
        let host = page.host();
        if !self.private && is_private(host) {
            return Err(UrlRefused::Private { host: host.to_owned() });
        }
        let names = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(host));
        match &self.allow {
            Some(allow) if names(allow) => Ok(()),
            Some(_) => Err(UrlRefused::NotAllowed { host: host.to_owned() }),
            None if names(&self.block) => Err(UrlRefused::Blocked { host: host.to_owned() }),
            None => Ok(()),
        }
    }
}

fn read<S: AsRef<str>>(
    field: &'static str,
    patterns: impl IntoIterator<Item = S>,
) -> Result<Vec<Pattern>, ConfigError> {
    let patterns = patterns.into_iter();
    let read = patterns.map(|pattern| {
        let pattern = pattern.as_ref();
        let refuse = || ConfigError::Host { field, pattern: pattern.to_owned() };
        Pattern::parse(pattern).ok_or_else(refuse)
    });
    read.collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Host(String),
    /// The host and all below it.
    Below(String),
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::Any);
        }
        let (below, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        if host.is_empty() || host.contains(['*', '/', '@', '?', '#', ' ']) {
            return None;
        }
        // Read as it would be in an address, so that both have one form.
        let page = Page::parse(&format!("http://{host}/")).ok()?;
        if page.as_str() != format!("http://{}", page.host()) {
            return None;
        }
        let host = page.host().to_owned();
        Some(if below { Self::Below(host) } else { Self::Host(host) })
    }

    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Host(name) => host == name,
            Self::Below(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }
}
