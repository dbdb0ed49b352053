//! Which capabilities a rule is about.

use crate::capability::CapabilityId;

/// A pattern of ids: `tickets.close`, `tickets.*` (one more segment), `tickets.**` (one or more),
/// `**` (all).
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    segments: Vec<Option<String>>,
    open: bool,
}

impl Pattern {
    /// The pattern that a text is; `None` for one that no id can match.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (segments, open) = match text.strip_suffix("**") {
            None => (text, false),
            Some("") => return Some(Self { segments: Vec::new(), open: true }),
            Some(before) => (before.strip_suffix('.')?, true),
        };
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        };
        let segment = |segment: &str| match segment {
            "*" => Some(None),
            "" => None,
            text => text.bytes().all(plain).then(|| Some(text.to_owned())),
        };
        let segments = segments.split('.').map(segment).collect::<Option<Vec<_>>>()?;
        // An id has two segments at least.
        (open || segments.len() >= 2).then_some(Self { segments, open })
    }

    pub(super) fn matches(&self, id: &CapabilityId) -> bool {
        let mut found = id.as_str().split('.');
        for segment in &self.segments {
            match (segment, found.next()) {
                (_, None) => return false,
                (None, Some(_)) => {}
                (Some(expected), Some(found)) if expected == found => {}
                (Some(_), Some(_)) => return false,
            }
        }
        found.next().is_some() == self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_by_segment() {
        for (pattern, id, matches) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b", "a.bc", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*", "ab.c", false),
            ("*.close", "tickets.close", true),
            ("a.**", "a.b", true),
            ("a.**", "a.b.c", true),
            ("a.**", "ab.c", false),
            ("a.*.**", "a.b", false),
            ("a.*.**", "a.b.c", true),
            ("**", "a.b.c", true),
        ] {
            let id = CapabilityId::new(id).unwrap();
            assert_eq!(Pattern::read(pattern).unwrap().matches(&id), matches, "{pattern} {id}");
        }
    }

    #[test]
    fn what_no_id_matches_is_no_pattern() {
        for text in
            ["", "a", "*", "a.", ".a", "a..b", "a.b*", "a**", "A.b", "a b.c", "**.a", "a.**.b"]
        {
            assert!(Pattern::read(text).is_none(), "{text}");
        }
    }
}
