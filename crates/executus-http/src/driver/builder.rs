//! Making a driver.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::{Secret, Secrets};
use executus_core::template::Template;
use executus_core::text::scrub;
use thiserror::Error;

use super::{Endpoint, Format, HttpDriver, Inner};
use crate::client::Client;
use crate::outline::target::NoTarget;
use crate::outline::values::Bound;
use crate::outline::{Field, Unusable, bound_secrets, forms};

const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_BODY: usize = 8 * 1024 * 1024;

/// Why a driver cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DriverBuildError {
    /// A call's argument would choose the server.
    #[error(
        "`{name}` chooses the server of operation `{operation}` of driver `{driver}` ({url}); bind \
         it, or write the server out"
    )]
    OpenAddress {
        /// The driver.
        driver: String,
        /// The operation.
        operation: String,
        /// The URL, without what is secret.
        url: String,
        /// The argument.
        name: String,
    },
    /// The URL of an endpoint is none.
    #[error("operation `{operation}` of driver `{driver}` has an unusable URL, {url}: {message}")]
    Url {
        /// The driver.
        driver: String,
        /// The operation.
        operation: String,
        /// The URL, without what is secret.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// A header field is none.
    #[error("operation `{operation}` of driver `{driver}`: {message}")]
    Header {
        /// The driver.
        driver: String,
        /// The operation.
        operation: String,
        /// What is wrong.
        message: String,
    },
    /// Bytes do not stream.
    #[error(
        "operation `{operation}` of driver `{driver}` streams, and its pieces are texts or JSON; \
         choose such a format"
    )]
    Streamed {
        /// The driver.
        driver: String,
        /// The operation.
        operation: String,
    },
    /// A limit is nothing.
    #[error("a timeout of 0 leaves driver `{driver}` no time; choose a longer one")]
    NoTime {
        /// The driver.
        driver: String,
    },
}

/// Collects what an [`HttpDriver`] needs.
#[derive(Debug)]
pub struct HttpDriverBuilder {
    id: Arc<str>,
    client: Client,
    headers: Vec<(String, Field)>,
    endpoints: BTreeMap<String, Endpoint>,
    bound: BTreeMap<String, Bound>,
    timeout: Duration,
    max_body: usize,
}

impl HttpDriverBuilder {
    pub(super) const fn new(id: Arc<str>, client: Client) -> Self {
        Self {
            id,
            client,
            headers: Vec::new(),
            endpoints: BTreeMap::new(),
            bound: BTreeMap::new(),
            timeout: TIMEOUT,
            max_body: MAX_BODY,
        }
    }

    /// What an operation does; another one of the same name before it is forgotten.
    #[must_use]
    pub fn endpoint(mut self, operation: impl Into<String>, endpoint: Endpoint) -> Self {
        self.endpoints.insert(operation.into(), endpoint);
        self
    }

    /// A header field of every request, unless its endpoint has one of the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: Template) -> Self {
        self.headers.push((name.into(), Field::Open(value)));
        self
    }

    /// The same with a value that is never shown.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.headers.push((name.into(), Field::Secret(value)));
        self
    }

    /// A value for the places of that name. No call may have an argument of that name.
    #[must_use]
    pub fn bind(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.bound.insert(name.into(), Bound::Text(value.into()));
        self
    }

    /// The same with a value that is never shown.
    #[must_use]
    pub fn bind_secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.bound.insert(name.into(), Bound::Secret(value));
        self
    }

    /// The longest time that a request may take where its endpoint has no limit of its own; 30 s
    /// without this.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// The most bytes of a body, decoded, where its endpoint has no limit of its own; 8 MiB without
    /// this.
    #[must_use]
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The driver.
    ///
    /// # Errors
    /// [`DriverBuildError`] names the operation of which no call could be a request.
    pub fn build(mut self) -> Result<HttpDriver, DriverBuildError> {
        let own = bound_secrets(&self.bound);
        let fields = self.headers.iter().filter_map(|(_, field)| match field {
            Field::Secret(secret) => Some(secret),
            Field::Open(_) => None,
        });
        let of_endpoints = self.endpoints.values().flat_map(|endpoint| endpoint.outline.secrets());
        let secrets = forms(own.chain(fields).chain(of_endpoints));
        let mut limits = self.endpoints.values().filter_map(|endpoint| endpoint.timeout);
        if self.timeout.is_zero() || limits.any(|limit| limit.is_zero()) {
            return Err(DriverBuildError::NoTime { driver: self.id.to_string() });
        }
        for (operation, endpoint) in &mut self.endpoints {
            let own = std::mem::replace(&mut endpoint.outline.headers, self.headers.clone());
            endpoint.outline.headers.extend(own);
            check(&self.id, operation, endpoint, &self.bound, &secrets)?;
        }
        Ok(HttpDriver(Arc::new(Inner {
            id: self.id,
            client: self.client,
            endpoints: self.endpoints,
            bound: self.bound,
            secrets,
            timeout: self.timeout,
            max_body: self.max_body,
        })))
    }
}

/// Whether any call could be a request.
fn check(
    driver: &str,
    operation: &str,
    endpoint: &Endpoint,
    bound: &BTreeMap<String, Bound>,
    secrets: &Secrets,
) -> Result<(), DriverBuildError> {
    let (driver, operation) = (driver.to_owned(), operation.to_owned());
    if endpoint.pieces.is_some() && endpoint.format == Format::Bytes {
        return Err(DriverBuildError::Streamed { driver, operation });
    }
    let clean = |text: String| scrub(&secrets.redact(text)).into_owned();
    let url = || clean(endpoint.outline.shown());
    // Any name that is not bound can be an argument.
    let names = endpoint.outline.places().filter(|place| !bound.contains_key(*place));
    endpoint.outline.check(names, bound).map_err(|what| match what {
        Unusable::Url(NoTarget::Open(name)) => {
            DriverBuildError::OpenAddress { driver, operation, url: url(), name }
        }
        Unusable::Url(error) => {
            DriverBuildError::Url { driver, operation, url: url(), message: clean(error.said()) }
        }
        Unusable::Fragment => {
            let message = "what follows `#` is never sent".to_owned();
            DriverBuildError::Url { driver, operation, url: url(), message }
        }
        Unusable::Header(error) => {
            DriverBuildError::Header { driver, operation, message: clean(error.said()) }
        }
    })
}
