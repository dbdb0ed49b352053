//! One request.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use executus_core::secret::Secret;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use serde_json::Value;

use crate::error::HttpError;
use crate::method::Method;
use crate::url;

/// Header fields that follow from the request or belong to the connection.
const OWNED: [HeaderName; 7] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
];

/// One request. `Debug` shows the method, the address and the names of the header fields.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) headers_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) redirects: u32,
    pub(crate) idempotent: bool,
    pub(crate) compressed: bool,
    pub(crate) address: String,
}

impl Request {
    /// A request without header fields of its own and without a body.
    ///
    /// # Errors
    /// [`HttpError::Request`] when the URL is not one of `http` or `https`, names no host, carries
    /// a user or password, or has characters that must be percent-encoded.
    pub fn new(method: Method, url: &str) -> Result<Self, HttpError> {
        let uri = url::parse(url)?;
        Ok(Self {
            method,
            address: url::shown(&uri),
            uri,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            headers_timeout: None,
            idle_timeout: None,
            total_timeout: None,
            redirects: 0,
            idempotent: method.is_idempotent(),
            compressed: false,
        })
    }

    /// With this header field, instead of one of the same name.
    ///
    /// # Errors
    /// [`HttpError::Request`] when the name or the value is not one of a header field, or when the
    /// client itself answers for the field (`host`, `content-length`, …).
    pub fn header(self, name: &str, value: &str) -> Result<Self, HttpError> {
        self.field(name, value, false)
    }

    /// With this header field, whose value is never shown.
    ///
    /// # Errors
    /// As [`header`](Self::header); the value is not repeated.
    pub fn secret_header(self, name: &str, value: &Secret) -> Result<Self, HttpError> {
        self.field(name, value.expose(), true)
    }

    pub(crate) fn field(
        mut self,
        name: &str,
        value: &str,
        secret: bool,
    ) -> Result<Self, HttpError> {
        let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
            let name = executus_core::text::bounded_to(name.escape_debug().to_string(), 80);
            return Err(HttpError::request(format!("`{name}` cannot name a header field")));
        };
        if OWNED.contains(&field) {
            return Err(HttpError::request(format!(
                "the header field `{field}` is set by the client; leave it out"
            )));
        }
        let value = HeaderValue::from_str(value).ok().filter(|_| value.is_ascii());
        let Some(mut value) = value else {
            return Err(HttpError::request(format!(
                "the value for `{field}` has line breaks, control characters or characters that \
                 are not ASCII, which no header field can hold"
            )));
        };
        value.set_sensitive(secret);
        self.headers.insert(field, value);
        Ok(self)
    }

    /// With this JSON as its body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.content(HeaderValue::from_static("application/json"), body.to_string().into())
    }

    /// With this body. A `content_type` that no header field can hold becomes
    /// `application/octet-stream`.
    #[must_use]
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let content_type = HeaderValue::from_str(content_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        self.content(content_type, body.into())
    }

    fn content(mut self, content_type: HeaderValue, body: Bytes) -> Self {
        self.headers.insert(header::CONTENT_TYPE, content_type);
        self.body = body;
        self
    }

    /// With this limit for the time from the connection to the head of the response, instead of
    /// the client's. Sending the body is part of it.
    #[must_use]
    pub const fn headers_timeout(mut self, limit: Duration) -> Self {
        self.headers_timeout = Some(limit);
        self
    }

    /// With this limit for the time between two chunks of the response's body, instead of the
    /// client's.
    #[must_use]
    pub const fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// Whether the response may be compressed, with gzip, brotli or zstd. Not without this. It is
    /// decoded as it is read, in either case, unless the request has a field `accept-encoding` of its
    /// own: then it is for the caller to decode.
    #[must_use]
    pub const fn accept_compressed(mut self, accept: bool) -> Self {
        self.compressed = accept;
        self
    }

    /// With this limit for the whole: from the call to the end of the response's body, redirects
    /// and further attempts included. Instead of the client's.
    #[must_use]
    pub const fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// Follows at most so many redirects. Without this, one that redirects is a response like any
    /// other.
    #[must_use]
    pub const fn follow_redirects(mut self, most: u32) -> Self {
        self.redirects = most;
        self
    }

    /// Whether the request may be sent twice, where the client sends again: yes for `GET`, `PUT`
    /// and `DELETE`, no for `POST` and `PATCH`, unless this says otherwise.
    #[must_use]
    pub const fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// `scheme://host:port/path`, without the query: what errors and logs show.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Shown as this by errors and logs from here on, instead of [`address`](Self::address): the
    /// path may hold a secret.
    #[must_use]
    pub fn shown_as(mut self, address: String) -> Self {
        self.address = address;
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("address", &self.address)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
