//! Text that leaves a run: bounded in length, and without what looks like a credential.

use std::borrow::Cow;

use serde_json::Value;

/// The longest text in an error, in bytes.
pub const MAX_ERROR_TEXT: usize = 4096;

/// What stands where something was taken out.
pub const REDACTED: &str = "[redacted]";

/// Field names whose values never enter a record, compared without case, `-` and `_`.
const SENSITIVE_NAMES: [&str; 15] = [
    "email",
    "phone",
    "cardnumber",
    "ssn",
    "socialsecuritynumber",
    "cvv",
    "creditcard",
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "cookie",
    "privatekey",
];

/// Cuts a text to [`MAX_ERROR_TEXT`] bytes and says how long it was.
#[must_use]
pub fn bounded(text: String) -> String {
    bounded_to(text, MAX_ERROR_TEXT)
}

/// Cuts a text to at most `max` bytes, at a character boundary, and says how long it was.
#[must_use]
pub fn bounded_to(mut text: String, max: usize) -> String {
    if text.len() > max {
        let len = text.len();
        text.truncate(text.floor_char_boundary(max));
        text.push_str(&format!("… [cut, {len} bytes in all]"));
    }
    text
}

/// Whether a field of this name is never recorded.
#[must_use]
pub fn is_sensitive_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect();
    SENSITIVE_NAMES.iter().any(|sensitive| plain == *sensitive)
        || ["password", "apikey", "accesstoken", "secretkey", "clientsecret", "authtoken"]
            .iter()
            .any(|part| plain.ends_with(part))
}

/// A JSON value with the values of sensitive fields replaced and every text scrubbed.
#[must_use]
pub fn scrub_json(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub(text).into_owned()),
        Value::Array(items) => items.iter().map(scrub_json).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| {
                let item = if is_sensitive_name(name) && !item.is_null() {
                    Value::from(REDACTED)
                } else {
                    scrub_json(item)
                };
                (name.clone(), item)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// A text with what looks like a credential replaced: bearer tokens, JSON web tokens, passwords
/// in addresses, and values assigned to a sensitive name (`api_key=…`, `"password": "…"`).
#[must_use]
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(start) = next_word(text, at) {
        let end = word_end(text, start);
        at = end.max(start + 1);
        if let Some((from, to)) = credential(text, start, end) {
            if from >= copied {
                out.push_str(&text[copied..from]);
                out.push_str(REDACTED);
                copied = to;
                at = to;
            }
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
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

fn next_word(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    (from..bytes.len()).find(|&at| is_word(bytes[at]) && (at == 0 || !is_word(bytes[at - 1])))
}

fn word_end(text: &str, start: usize) -> usize {
    run_of(text, start, is_word)
}

fn run_of(text: &str, start: usize, within: fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes();
    (start..bytes.len()).find(|&at| !within(bytes[at])).unwrap_or(bytes.len())
}

/// The part to replace when the word at `start..end` is, or introduces, a credential.
fn credential(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let word = &text[start..end];
    let rest = &text[end..];
    if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") {
        let from = end + (rest.len() - rest.trim_start_matches(' ').len());
        let to = run_of(text, from, is_value);
        return (from > end && to - from >= 8).then_some((from, to));
    }
    // A JSON web token: three base64url parts, the first of them an object.
    if word.starts_with("eyJ") && rest.starts_with('.') {
        let to = run_of(text, start, |byte| is_word(byte) || byte == b'.');
        return (text[start..to].matches('.').count() >= 2).then_some((start, to));
    }
    // `scheme://user:password@host`
    if rest.starts_with("://") {
        let from = end + 3;
        let authority_end = from
            + text[from..]
                .find(|c: char| {
                    c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>')
                })
                .unwrap_or(text.len() - from);
        let at = text[from..authority_end].rfind('@')?;
        return text[from..from + at].contains(':').then_some((from, from + at));
    }
    if !is_sensitive_name(word) || word.eq_ignore_ascii_case("token") && rest.starts_with('s') {
        return None;
    }
    // An assignment: `name = value`, `name: value`, `"name": "value"`; only longer values.
    let after_quote = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start_matches(' ');
    let after_sign = after_quote.strip_prefix([':', '='])?.trim_start_matches(' ');
    let value = after_sign.strip_prefix(['"', '\'']).unwrap_or(after_sign);
    let from = text.len() - value.len();
    let to = match after_sign.len() - value.len() {
        0 => run_of(text, from, is_value),
        // A quoted value goes to its quote.
        _ => from + value.find(['"', '\'']).unwrap_or(value.len()),
    };
    (to - from >= 8 && &text[from..to] != REDACTED).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_are_replaced_and_the_rest_is_kept() {
        for (text, expected) in [
            ("Authorization: Bearer abcdef123456 ok", "Authorization: Bearer [redacted] ok"),
            ("see postgres://bob:hunter2@db/x", "see postgres://[redacted]@db/x"),
            ("api_key=sk-1234567890&x=1", "api_key=[redacted]&x=1"),
            (r#"{"password": "correct horse"}"#, r#"{"password": "[redacted]"}"#),
            ("jwt eyJhbGciOi.eyJzdWIiOi.c2ln end", "jwt [redacted] end"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn harmless_text_is_untouched() {
        for text in ["", "used 12 tokens: 3", "token: ok", "https://example.com/a:b@c", "é → ü"]
        {
            assert!(matches!(scrub(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn fields_are_replaced_by_name() {
        let value = json!({"user": "x", "API-Key": "v", "deep": [{"client_secret": 1}]});
        assert_eq!(
            scrub_json(&value),
            json!({"user": "x", "API-Key": REDACTED, "deep": [{"client_secret": REDACTED}]})
        );
    }

    #[test]
    fn cuts_fall_on_a_character() {
        assert_eq!(bounded_to("éé".into(), 3), "é… [cut, 4 bytes in all]");
    }
}
