//! Base addresses: what has connections, a window and a circuit of its own.

use std::fmt;

use http::HeaderValue;
use http::uri::{Authority, Scheme, Uri};

use crate::error::HttpError;

/// `scheme://host:port`, the host in lower case and the port always told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Base {
    pub(crate) secure: bool,
    text: Box<str>,
    /// Where the host begins and ends.
    host: (usize, usize),
    port: u16,
}

impl Base {
    /// The base address of an address that `url` has read.
    ///
    /// # Errors
    /// [`HttpError::Request`] when there is no host.
    pub(crate) fn of(uri: &Uri) -> Result<Self, HttpError> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().ok_or_else(|| HttpError::request("the URL has no host"))?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let scheme = if secure { "https://" } else { "http://" };
        let text = format!("{scheme}{}:{port}", host.to_ascii_lowercase());
        let host = (scheme.len(), scheme.len() + host.len());
        Ok(Self { secure, text: text.into(), host, port })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What the field `host` says: no port where it is the usual one.
    ///
    /// # Errors
    /// [`HttpError::Request`] when a header field cannot hold it.
    pub(crate) fn host_field(&self) -> Result<HeaderValue, HttpError> {
        let is_usual = self.port == if self.secure { 443 } else { 80 };
        let field = &self.text[self.host.0..if is_usual { self.host.1 } else { self.text.len() }];
        HeaderValue::from_str(field)
            .map_err(|_| HttpError::request("the URL has a host that no header field can hold"))
    }

    /// The address to connect to.
    ///
    /// # Errors
    /// [`HttpError::Request`] when it cannot be read back.
    pub(crate) fn uri(&self) -> Result<Uri, HttpError> {
        let unusable = |_| HttpError::request("the URL has a host that cannot be used");
        format!("{}/", self.text).parse().map_err(unusable)
    }

    /// Whether this is one of the two spellings that are worth being remembered: there are endless
    /// ones of a port with zeros before it.
    pub(crate) fn is_plain(authority: &Authority) -> bool {
        authority.port().is_none_or(|port| !port.as_str().starts_with('0'))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Base;

    #[test]
    fn spellings_of_one_server_are_one_base() {
        for (uri, base, field) in [
            ("http://Example.com/a?b", "http://example.com:80", "example.com"),
            ("http://example.com:80", "http://example.com:80", "example.com"),
            ("http://example.com:080/", "http://example.com:80", "example.com"),
            ("https://example.com", "https://example.com:443", "example.com"),
            ("https://example.com:80", "https://example.com:80", "example.com:80"),
            ("http://[::1]:8080/x", "http://[::1]:8080", "[::1]:8080"),
        ] {
            let of = Base::of(&uri.parse().unwrap()).unwrap();
            assert_eq!(of.as_str(), base);
            assert_eq!(of.host_field().unwrap(), field);
            assert_eq!(of.uri().unwrap().to_string(), format!("{base}/"));
        }
    }
}
