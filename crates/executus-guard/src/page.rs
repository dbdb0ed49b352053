//! Pages: addresses in their normal form.

use std::fmt;

use thiserror::Error;
use url::Url;

/// A page: an address of `http` or `https` in its normal form.
///
/// Two addresses are one page when they differ only in the case of scheme and host, in a trailing
/// slash, in a port that is the scheme's own, in a name and password, or in what stands behind `#`.
/// Another query or another case of the path is another page.
///
/// ```
/// use executus_guard::Page;
///
/// let page = Page::parse("https://Example.COM/Path/#top")?;
/// assert_eq!(page, Page::parse("https://example.com/Path")?);
/// assert_ne!(page, Page::parse("https://example.com/path")?);
/// # Ok::<(), executus_guard::PageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Page {
    normal: String,
    host: String,
}

impl Page {
    /// Reads an address.
    ///
    /// # Errors
    /// [`PageError`] for anything but a whole address of `http` or `https`.
    pub fn parse(address: &str) -> Result<Self, PageError> {
        let refuse = |message: &str| PageError { message: message.to_owned() };
        let mut url = Url::parse(address.trim()).map_err(|error| refuse(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = url.scheme();
            return Err(refuse(&format!("`{scheme}:` is not followed, only http and https")));
        }
        url.set_fragment(None);
        // Both fail only for addresses that have no host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
        if host.is_empty() {
            return Err(refuse("it has no host"));
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (scheme, path) = (url.scheme(), url.path().trim_end_matches('/'));
        Ok(Self { normal: format!("{scheme}://{host}{port}{path}{query}"), host })
    }

    /// Its host, in lower case; an address of IPv6 stands in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.normal
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.normal)
    }
}

/// An address that is no page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no address of a page: {message}")]
pub struct PageError {
    /// Why.
    pub message: String,
}
