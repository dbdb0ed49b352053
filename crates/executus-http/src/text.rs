//! Making the text of a stranger safe to print.

const ESC: char = '\u{1b}';
const CSI: char = '\u{9b}';

/// A text without control characters, the sequences that colour a terminal and move its cursor,
/// and the marks that turn the direction of writing; newlines and tabs stay.
pub(crate) fn printable(text: String) -> String {
    if !text.contains(is_unsafe) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(is_unsafe) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        let first = chars.next();
        rest = chars.as_str();
        let parameters = match first {
            Some(CSI) => Some(rest),
            Some(ESC) => rest.strip_prefix('['),
            _ => None,
        };
        if let Some(parameters) = parameters {
            let last = parameters.trim_start_matches(|c| matches!(c, ' '..='?'));
            rest = last.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(last);
        }
    }
    out.push_str(rest);
    out
}

/// Bytes as text: broken UTF-8 is replaced, and a character that a cut left unfinished goes.
pub(crate) fn lossy(mut bytes: &[u8], cut: bool) -> String {
    if cut
        && let Some(chunk) = bytes.utf8_chunks().last()
        && let broken = chunk.invalid()
        && std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none())
    {
        bytes = &bytes[..bytes.len() - broken.len()];
    }
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_unsafe(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_go_and_text_stays() {
        for (text, expected) in [
            ("plain\n\ttext ü", "plain\n\ttext ü"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Hx", "x"),
            ("\u{9b}31mx", "x"),
            ("a\rb\u{8}c\u{0}d\u{7f}\u{85}", "abcd"),
            ("\u{202e}abc\u{2066}", "abc"),
            ("end\u{1b}", "end"),
            ("end\u{1b}[", "end"),
        ] {
            assert_eq!(printable(text.to_owned()), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unfinished_character_goes_with_the_cut() {
        assert_eq!(lossy("aé".as_bytes(), true), "aé");
        assert_eq!(lossy(b"a\xc3", true), "a");
        assert_eq!(lossy(b"a\xc3", false), "a\u{fffd}");
        assert_eq!(lossy(b"\xffa\xf0\x9f\x98", true), "\u{fffd}a");
    }
}
