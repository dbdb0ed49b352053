//! Where a provider is asked: a base address and the path of a request.

/// The address for a path with perhaps a query, under a base that may have a query of its own,
/// such as `?api-version=…`.
pub(crate) fn of(base: &str, path: &str) -> String {
    let (base, asked) = base.split_once('?').unwrap_or((base, ""));
    let base = base.trim_end_matches('/');
    let mut address = format!("{base}{path}");
    if !asked.is_empty() {
        address.push(if path.contains('?') { '&' } else { '?' });
        address.push_str(asked);
    }
    address
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn a_query_stays_at_the_end() {
        for (base, path, expected) in [
            ("http://h/v1", "/chat", "http://h/v1/chat"),
            ("http://h/v1?", "/chat", "http://h/v1/chat"),
            ("http://h/v1/?api-version=1", "/chat", "http://h/v1/chat?api-version=1"),
            ("http://h?a=1&b=2", "/m:stream?alt=sse", "http://h/m:stream?alt=sse&a=1&b=2"),
        ] {
            assert_eq!(of(base, path), expected);
        }
    }
}
