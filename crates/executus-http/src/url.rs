//! What an address of a request must be.

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use crate::address::Host;
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
    if !url.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'\\') {
        return refused(unwritable(url));
    }
    match url.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme(), Some(s) if *s == Scheme::HTTP || *s == Scheme::HTTPS) => {
            judged(uri)
        }
        _ if !url.contains("://") => refused("has no scheme; begin it with http:// or https://"),
        Ok(_) => refused("has another scheme than http or https"),
        Err(_) => refused("cannot be read; write it as scheme://host:port/path"),
    }
}

/// What is wrong with an address that has characters which none has.
#[cold]
fn unwritable(url: &str) -> &'static str {
    if url.chars().any(char::is_control) {
        "has control characters; percent-encode them"
    } else if url.contains(char::is_whitespace) || !url.is_ascii() {
        "has spaces or characters that are not ASCII; percent-encode them"
    } else {
        "has a backslash, which some programs read as a slash; percent-encode it"
    }
}

/// The same address, if it names a host in a way that is allowed.
fn judged(uri: Uri) -> Result<Uri, HttpError> {
    let refused = |what: &str| Err(HttpError::request(format!("the URL {what}")));
    let Some(authority) = uri.authority() else { return refused("has no host") };
    if authority.as_str().contains('@') {
        return refused("carries a user or password before its host; pass them as a header");
    }
    if let Err(what) = Host::read(authority.host()) {
        return refused(what);
    }
    let after_host = &authority.as_str()[authority.host().len()..];
    let is_port = |text: &str| {
        let digits = text.strip_prefix(':').unwrap_or_default();
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|n| n > 0)
    };
    if !after_host.is_empty() && !is_port(after_host) {
        return refused("has no valid port behind its host");
    }
    Ok(uri)
}

/// `scheme://host:port/path`: what errors and logs show.
pub(crate) fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let path = uri.path_and_query().map_or("/", PathAndQuery::path);
    // Each request is asked for this: without what formatting costs.
    let mut shown = String::with_capacity(scheme.len() + 3 + authority.len() + path.len());
    for part in [scheme, "://", authority, path] {
        shown.push_str(part);
    }
    shown
}

/// The URL of a reference as seen from a URL (RFC 3986, section 5), without its fragment. What must
/// be percent-encoded and is not, is then; what is read is for [`parse`] to say.
pub(crate) fn resolve(base: &Uri, reference: &[u8]) -> String {
    let reference = encoded(reference);
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", http::uri::Authority::as_str);
    let base = base.path_and_query().map_or("/", PathAndQuery::as_str);
    let base_path = base.split('?').next().unwrap_or_default();
    if has_scheme(reference) {
        return match reference.split_once("://") {
            // What stands before the path decides where it leads, and stays as it is.
            Some((scheme, rest)) => match rest.find(['/', '?']) {
                Some(end) => {
                    let (authority, target) = rest.split_at(end);
                    format!("{scheme}://{authority}{}", without_dots(target))
                }
                None => reference.to_owned(),
            },
            None => reference.to_owned(),
        };
    }
    if let Some(rest) = reference.strip_prefix("//") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        return format!("{scheme}://{authority}{}", without_dots(target));
    }
    let target = match reference.as_bytes() {
        [] => base.to_owned(),
        [b'/', ..] => without_dots(reference),
        [b'?', ..] => format!("{base_path}{reference}"),
        _ => {
            let folder = base_path.rfind('/').map_or("/", |end| &base_path[..=end]);
            without_dots(&format!("{folder}{reference}"))
        }
    };
    format!("{scheme}://{authority}{target}")
}

/// Servers write characters into a `location` that no URL may have; all programs encode them.
fn encoded(reference: &[u8]) -> String {
    let mut text = String::with_capacity(reference.len());
    for byte in reference {
        if *byte > 0x7f || b" \"<>^`{|}".contains(byte) {
            text.push_str(&format!("%{byte:02X}"));
        } else {
            text.push(char::from(*byte));
        }
    }
    text
}

fn has_scheme(reference: &str) -> bool {
    let end = reference.find([':', '/', '?']).unwrap_or(0);
    reference[end..].starts_with(':')
        && reference.starts_with(|first: char| first.is_ascii_alphabetic())
        && reference[..end].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// A path and query whose path leads nowhere but down.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." => {}
            ".." => {
                kept.pop();
            }
            part => {
                kept.push(part);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Whether two URLs lead to the same server: scheme, host and port.
pub(crate) fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().unwrap_or_default().to_ascii_lowercase();
    one.scheme() == other.scheme() && port(one) == port(other) && host(one) == host(other)
}

/// The port that a URL leads to.
pub(crate) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3986, section 5.4.
    #[test]
    fn references_are_resolved_as_the_standard_says() {
        let base = parse("http://a/b/c/d;p?q").unwrap();
        for (reference, expected) in [
            ("http://g/x/../y", "http://g/y"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            (";x", "http://a/b/c/;x"),
            ("g;x?y#s", "http://a/b/c/g;x?y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("/a b", "http://a/a%20b"),
            ("/ü", "http://a/%C3%BC"),
            ("/x?to=http://h/", "http://a/x?to=http://h/"),
            ("x:y/z", "x:y/z"),
        ] {
            assert_eq!(resolve(&base, reference.as_bytes()), expected, "{reference}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (one, other, is_same) in [
            ("http://h/a", "http://H:80/b", true),
            ("https://h/a", "https://h:443/b", true),
            ("http://h/", "https://h/", false),
            ("http://h/", "http://h:81/", false),
            ("http://h/", "http://h.x/", false),
        ] {
            let (one, other) = (parse(one).unwrap(), parse(other).unwrap());
            assert_eq!(is_same_origin(&one, &other), is_same, "{one} {other}");
        }
    }

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
            ("http://h:+80/secret", "port"),
            ("http://[::1]x:80/secret", "port"),
            ("http://[::1]secret/", "port"),
            ("http://good.example\\@h/secret", "backslash"),
            ("http://h%2e.secret/", "cannot be read"),
            ("http://1.2.3.4.5/secret", "no IPv4"),
            ("http://a..b/secret", "empty part"),
            ("http://a$b/secret", "other characters"),
            ("http://[v1.a]/secret", "brackets"),
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
