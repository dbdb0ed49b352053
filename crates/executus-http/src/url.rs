//! What an address of a request must be.

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use crate::error::HttpError;

/// What fits into the type that is sent.
const MAX_URL: usize = 65_534;

/// Reads an address.
///
/// # Errors
/// [`HttpError::Request`] says what is wrong. It never repeats the address, which may hold
/// credentials.
pub(crate) fn parse(url: &str) -> Result<Uri, HttpError> {
    let refused = |what: &str| Err(HttpError::request(format!("the URL {what}")));
    if url.is_empty() {
        return refused("is empty");
    }
    if url.len() > MAX_URL {
        return refused("has more than 65534 bytes; pass large values in the body");
    }
    if url.chars().any(char::is_control) {
        return refused("has control characters; percent-encode them");
    }
    if url.contains(char::is_whitespace) || !url.is_ascii() {
        return refused("has spaces or characters that are not ASCII; percent-encode them");
    }
    if !url.contains("://") {
        return refused("has no scheme; begin it with http:// or https://");
    }
    let Ok(uri) = url.parse::<Uri>() else {
        return refused("cannot be read; write it as scheme://host:port/path");
    };
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        _ => return refused("has another scheme than http or https"),
    }
    let Some(authority) = uri.authority() else { return refused("has no host") };
    if authority.as_str().contains('@') {
        return refused("carries a user or password before its host; pass them as a header");
    }
    if authority.host().is_empty() {
        return refused("has no host");
    }
    let after_host = &authority.as_str()[authority.host().len()..];
    match after_host.strip_prefix(':') {
        None => {}
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => {}
        Some(_) => return refused("has no valid port behind its host"),
    }
    Ok(uri)
}

/// `scheme://host:port/path`: what errors and logs show.
pub(crate) fn shown(uri: &Uri) -> String {
    format!(
        "{}://{}{}",
        uri.scheme_str().unwrap_or_default(),
        uri.authority().map_or("", http::uri::Authority::as_str),
        uri.path_and_query().map_or("/", PathAndQuery::path),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_query() {
        for (url, expected) in [
            ("http://h", "http://h/"),
            ("http://h:80/a/b?key=secret", "http://h:80/a/b"),
            ("HTTPS://Example.com?key=secret#f", "https://Example.com/"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ] {
            assert_eq!(shown(&parse(url).unwrap()), expected);
        }
    }

    #[test]
    fn a_long_address_is_told() {
        let of = |bytes: usize| format!("http://h/{}", "x".repeat(bytes - "http://h/".len()));
        assert!(parse(&of(MAX_URL)).is_ok());
        let error = parse(&of(MAX_URL + 1)).unwrap_err().to_string();
        assert!(error.contains("65534"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_without_the_address() {
        for (url, part) in [
            ("", "empty"),
            ("tickets/secret", "no scheme"),
            ("/secret", "no scheme"),
            ("ftp://secret", "another scheme"),
            ("file:///secret", "cannot be read"),
            ("http://", "cannot be read"),
            ("http:///secret", "cannot be read"),
            ("http://user:secret@h/", "user or password"),
            ("http://secret@h/", "user or password"),
            ("http://h:99999/secret", "port"),
            ("http://h:0/secret", "port"),
            ("http://h:/secret", "port"),
            ("http://h/secret\r\nx: y", "control"),
            ("http://h/secret x", "spaces"),
            ("http://hö/secret", "not ASCII"),
            ("://secret", "another scheme"),
            ("http://h/<secret>", "cannot be read"),
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
