//! What looks like a credential in a text.

use std::ops::Range;

use super::{REDACTED, is_sensitive_name};

/// What opens and closes the private keys of many programs.
const FENCE: &str = "-----";

/// The parts of a text that look like a credential, in order and apart from each other: bearer
/// tokens, JSON web tokens, passwords in addresses, private keys between their fences, and values
/// assigned to a sensitive name (`api_key=…`, `"password": "…"`, `token: Some("…")`).
///
/// Each part begins and ends at a character boundary. The whole takes time in proportion to the text.
#[must_use]
pub const fn credentials(text: &str) -> Credentials<'_> {
    Credentials { text, at: 0 }
}

/// What [`credentials`] finds.
#[derive(Debug, Clone)]
pub struct Credentials<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Credentials<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            let start = self.at + count(&bytes[self.at..], |byte| !is_word(byte));
            let end = start + count(&bytes[start..], is_word);
            self.at = end;
            if let Some((from, to)) = credential(self.text, start, end) {
                self.at = to;
                return Some(from..to);
            }
        }
        None
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn is_value(byte: u8) -> bool {
    is_word(byte)
        || matches!(
            byte,
            b'.' | b'+' | b'/' | b'=' | b'~' | b'!' | b'@' | b'$' | b'%' | b'^' | b'*' | b'#'
        )
        || byte >= 0x80
}

/// How many bytes at the beginning pass.
fn count(bytes: &[u8], passes: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !passes(byte)).unwrap_or(bytes.len())
}

/// The part to replace when the word at `start..end` is, or introduces, a credential.
fn credential(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let (word, rest) = (&text[start..end], &text[end..]);
    // What follows decides what the word may be: most words end here.
    match rest.as_bytes().first()? {
        b'.' => web_token(text, start),
        b':' if rest.starts_with("://") => password_in_address(text, end + 3),
        b' ' if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") => {
            let from = text.len() - rest.trim_start_matches(' ').len();
            let to = from + count(&text.as_bytes()[from..], is_value);
            (to - from >= 8).then_some((from, to))
        }
        b' ' if word.ends_with("-----BEGIN") => private_key(text, end),
        b' ' | b'\t' | b'\\' | b'"' | b'\'' | b':' | b'=' => assigned(text, word, end),
        _ => None,
    }
}

/// A JSON web token: three base64url parts, the first of them an object.
fn web_token(text: &str, start: usize) -> Option<(usize, usize)> {
    let token = text[start..].strip_prefix("eyJ")?;
    let to =
        text.len() - token.len() + count(token.as_bytes(), |byte| is_word(byte) || byte == b'.');
    (text[start..to].matches('.').count() >= 2).then_some((start, to))
}

/// What stands before the host in `scheme://user:password@host`.
fn password_in_address(text: &str, from: usize) -> Option<(usize, usize)> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
    let authority = text[from..].split(ends).next()?;
    let user = &authority[..authority.rfind('@')?];
    user.contains(':').then_some((from, from + user.len()))
}

/// What stands between the fence that begins a private key and the next fence, or the end.
fn private_key(text: &str, from: usize) -> Option<(usize, usize)> {
    /// The longest kind of key, with room.
    const MAX_LABEL: usize = 64;
    let label = &text[from..text.floor_char_boundary(from + MAX_LABEL)];
    let label = &label[..label.find(FENCE)?];
    let from = from + label.len() + FENCE.len();
    let to = text[from..].find(FENCE).map_or(text.len(), |len| from + len);
    (label.ends_with("PRIVATE KEY") && &text[from..to] != REDACTED).then_some((from, to))
}

/// The value of an assignment to a sensitive name that ends here: `name = value`, `name: value`,
/// `"name": "value"`, `name: Some("value")`; only a longer one. Quotes may be escaped.
fn assigned(text: &str, name: &str, end: usize) -> Option<(usize, usize)> {
    let gap = [' ', '\t'];
    let rest = &text[end..];
    let after_quote = Quote::opening(rest).map_or(rest, |(_, rest)| rest).trim_start_matches(gap);
    let after_sign = after_quote.strip_prefix([':', '='])?.trim_start_matches(gap);
    if !is_sensitive_name(name) {
        return None;
    }
    let (value, len) = match Quote::opening(unwrapped(after_sign)) {
        Some((quote, value)) => (value, quote.closing(value)),
        None => (after_sign, count(after_sign.as_bytes(), is_value)),
    };
    let from = text.len() - value.len();
    (len >= 8 && &value[..len] != REDACTED).then_some((from, from + len))
}

/// What stands in `Some(…)`, `Secret(…)` and both of them, as debug output wraps it.
fn unwrapped(mut text: &str) -> &str {
    for _ in 0..4 {
        let word = count(&text.as_bytes()[..text.len().min(32)], is_word);
        match text[word..].strip_prefix('(') {
            // Debug output may be spread over lines.
            Some(inner) => text = inner.trim_start(),
            None => break,
        }
    }
    text
}

/// A quote with the backslashes before it: one when it stands in a quoted text, three when that
/// stands in another.
struct Quote {
    slashes: usize,
    mark: u8,
}

impl Quote {
    fn opening(text: &str) -> Option<(Self, &str)> {
        let slashes = count(text.as_bytes(), |byte| byte == b'\\');
        let mark = *text.as_bytes().get(slashes).filter(|byte| matches!(byte, b'"' | b'\''))?;
        Some((Self { slashes, mark }, &text[slashes + 1..]))
    }

    /// How long the text before the closing quote is; all of it when there is none.
    fn closing(&self, text: &str) -> usize {
        let mut slashes = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte == self.mark {
                // One of an outer text ends it too. Pairs before it are backslashes of the value,
                // and one more than pairs escape the quote.
                let own = slashes % (2 * (self.slashes + 1));
                if slashes < self.slashes || own == self.slashes {
                    return at - slashes.min(self.slashes);
                }
            }
            slashes = if byte == b'\\' { slashes + 1 } else { 0 };
        }
        text.len()
    }
}
