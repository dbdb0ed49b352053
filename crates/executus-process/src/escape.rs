//! Making the output of a stranger safe to print.

use std::borrow::Cow;

const ESC: char = '\u{1b}';
const BEL: char = '\u{7}';

/// A text without terminal escapes and other control characters; newlines and tabs stay.
///
/// Takes out CSI (`ESC [ …`), OSC, DCS, APC and PM strings (up to `BEL` or `ESC \`), every other
/// escape, their one-character forms, and the marks that turn the direction of writing. A string
/// escape that nothing ends is cut at its line's end, so that it cannot swallow what follows.
#[must_use]
pub fn strip_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_unsafe) {
        out.push_str(&rest[..at]);
        rest = after_escape(&rest[at..]);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What follows the escape or control character that `text` begins with.
fn after_escape(text: &str) -> &str {
    let mut chars = text.chars();
    let introducer = match chars.next() {
        Some(ESC) => match chars.clone().next() {
            Some(c @ ('[' | ']' | 'P' | 'X' | '^' | '_')) => {
                chars.next();
                c
            }
            // Two or three characters: intermediates, then a final one.
            Some(' '..='~') => {
                let rest = chars.as_str().trim_start_matches(|c| matches!(c, ' '..='/'));
                return rest.strip_prefix(|c| matches!(c, '0'..='~')).unwrap_or(rest);
            }
            _ => return chars.as_str(),
        },
        Some('\u{9b}') => '[',
        Some('\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => ']',
        _ => return chars.as_str(),
    };
    let rest = chars.as_str();
    if introducer == '[' {
        let rest = rest.trim_start_matches(|c| matches!(c, ' '..='?'));
        return rest.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(rest);
    }
    match rest.find(['\n', BEL, ESC, '\u{9c}']) {
        None => "",
        Some(end) => match &rest[end..] {
            after if after.starts_with('\n') => after,
            after if after.starts_with(ESC) => after.strip_prefix("\u{1b}\\").unwrap_or(after),
            after => after.strip_prefix([BEL, '\u{9c}']).unwrap_or(after),
        },
    }
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
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]52;c;never ended\nnext", "\nnext"),
            ("\u{1b}]0;never ended", ""),
            ("\u{1b}P1;2q\u{1b}\\x", "x"),
            ("\u{1b}(Bx\u{1b}c\u{1b}7y", "xy"),
            ("\u{9b}31mx\u{9d}0;t\u{9c}y", "xy"),
            ("a\rb\u{8}c\u{0}d\u{7f}", "abcd"),
            ("\u{202e}abc\u{2066}", "abc"),
            ("end\u{1b}", "end"),
            ("end\u{1b}[", "end"),
        ] {
            assert_eq!(strip_escapes(text), expected, "{text:?}");
        }
    }
}
