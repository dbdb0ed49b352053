//! Text that leaves a run: bounded in length, and without what looks like a credential.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

mod credential;

pub use credential::{Credentials, credentials};

/// The longest text in an error, in bytes.
pub const MAX_ERROR_TEXT: usize = 4096;

/// What stands where something was taken out.
pub const REDACTED: &str = "[redacted]";

/// What every note of a cut begins with.
pub(crate) const CUT_MARK: &str = "… [cut";

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

/// Whether a field of this name is never recorded: a name of a credential or of personal data,
/// compared without case, `-`, `_` and spaces, or one that ends like a credential's.
#[must_use]
pub fn is_sensitive_name(name: &str) -> bool {
    // Most names end like none of them.
    if let [.., one, last] = name.as_bytes()
        && one.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && !matches!(
            &[one.to_ascii_lowercase(), last.to_ascii_lowercase()],
            b"il"
                | b"ne"
                | b"er"
                | b"sn"
                | b"vv"
                | b"rd"
                | b"wd"
                | b"et"
                | b"en"
                | b"on"
                | b"ie"
                | b"ey"
        )
    {
        return false;
    }
    // The longest name, and one byte that tells a longer one.
    const ROOM: usize = "socialsecuritynumber".len() + 1;
    let mut plain = [0; ROOM];
    let mut from = ROOM;
    for byte in name.bytes().rev().filter(|byte| !matches!(byte, b'-' | b'_' | b' ')) {
        if from == 0 {
            break;
        }
        from -= 1;
        plain[from] = byte.to_ascii_lowercase();
    }
    let plain = &plain[from..];
    matches!(
        plain,
        b"email"
            | b"phone"
            | b"cardnumber"
            | b"ssn"
            | b"socialsecuritynumber"
            | b"cvv"
            | b"creditcard"
            | b"passwd"
            | b"secret"
            | b"token"
            | b"authorization"
            | b"cookie"
            | b"privatekey"
    ) || match plain.last() {
        Some(b'd') => plain.ends_with(b"password"),
        Some(b'y') => plain.ends_with(b"apikey") || plain.ends_with(b"secretkey"),
        Some(b'n') => plain.ends_with(b"accesstoken") || plain.ends_with(b"authtoken"),
        Some(b't') => plain.ends_with(b"clientsecret"),
        _ => false,
    }
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
                let item = match hides(name, item) {
                    true => Value::from(REDACTED),
                    false => scrub_json(item),
                };
                (name.clone(), item)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Whether a field's value is replaced.
fn hides(name: &str, value: &Value) -> bool {
    !value.is_null() && is_sensitive_name(name)
}

/// A JSON value that is scrubbed as it is written: what [`scrub_json`] gives, without a copy.
#[derive(Debug, Clone, Copy)]
pub struct Scrubbed<'a>(pub &'a Value);

impl Serialize for Scrubbed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) => serializer.serialize_str(&scrub(text)),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Scrubbed)),
            Value::Object(map) => {
                let mut fields = serializer.serialize_map(Some(map.len()))?;
                for (name, item) in map {
                    match hides(name, item) {
                        true => fields.serialize_entry(name, REDACTED)?,
                        false => fields.serialize_entry(name, &Scrubbed(item))?,
                    }
                }
                fields.end()
            }
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
                plain.serialize(serializer)
            }
        }
    }
}

/// The size of a value as text, roughly: what a cap needs.
pub(crate) fn json_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_size(item) + 1).sum::<usize>(),
        Value::Object(map) => {
            2 + map.iter().map(|(key, item)| key.len() + json_size(item) + 4).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// A text with what looks like a credential replaced: what [`credentials`] finds.
///
/// Takes time in proportion to the text, and copies nothing when there is nothing to replace.
#[must_use]
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    for found in credentials(text) {
        out.push_str(&text[copied..found.start]);
        out.push_str(REDACTED);
        copied = found.end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
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
            ("basic dXNlcjpwYXNz.", "basic [redacted]"),
            ("PASSWORD = 'correct horse' é", "PASSWORD = '[redacted]' é"),
            ("é api-key: 123456789, ssn=123-45-6789", "é api-key: [redacted], ssn=[redacted]"),
            ("db_password: \"no end of it", "db_password: \"[redacted]"),
            ("http://a:b@c http://d:e@f", "http://[redacted]@c http://[redacted]@f"),
            ("token=token=token=1", "token=[redacted]"),
            ("basic://bob:hunter2@db/x", "basic://[redacted]@db/x"),
            (r#""password": "it's \"long\"", x"#, r#""password": "[redacted]", x"#),
            (r#""secret": "here in C:\\", x"#, r#""secret": "[redacted]", x"#),
            (r#"{\"secret\":\"a \\\"b\\\" c\",1}"#, r#"{\"secret\":\"[redacted]\",1}"#),
            (r#"{\"token\":\"to an outer end", x"#, r#"{\"token\":\"[redacted]", x"#),
            (r#"token: Some(Key("12345678")), x"#, r#"token: Some(Key("[redacted]")), x"#),
            ("token: Some(\n  \"12345678\",\n)", "token: Some(\n  \"[redacted]\",\n)"),
            ("token:\t12345678", "token:\t[redacted]"),
            (
                "x -----BEGIN EC PRIVATE KEY\x2d----\nMHc\n-----END EC PRIVATE KEY\x2d---- y",
                "x -----BEGIN EC PRIVATE KEY\x2d----[redacted]-----END EC PRIVATE KEY\x2d---- y",
            ),
            ("-----BEGIN PRIVATE KEY\x2d----\nMHc", "-----BEGIN PRIVATE KEY\x2d----[redacted]"),
        ] {
            assert_eq!(scrub(text), expected);
        }
    }

    #[test]
    fn harmless_text_is_untouched() {
        for text in [
            "",
            "used 12 tokens: 3",
            "token: ok",
            "https://example.com/a:b@c",
            "é → ü",
            "-",
            " : = ",
            "bearer",
            "the bearer of this",
            "eyJ.eyJ",
            "monkey: 123456789",
            "password",
            "token: Some(12345678)",
            "-----BEGIN CERTIFICATE-----\nMHc\n-----END CERTIFICATE-----",
        ] {
            assert!(matches!(scrub(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn what_was_scrubbed_stays_as_it_is() {
        for text in [
            "Authorization: Bearer abcdef123456",
            "postgres://bob:hunter2@db/x",
            "api_key=sk-1234567890",
            r#"{"password": "correct horse"}"#,
            "eyJhbGciOi.eyJzdWIiOi.c2ln",
            r#"{\"password\": \"correct horse\"}"#,
            "-----BEGIN PRIVATE KEY\x2d----\nMHc",
        ] {
            let scrubbed = scrub(text);
            assert!(matches!(scrubbed, Cow::Owned(_)), "{text}");
            assert_eq!(scrub(&scrubbed), scrubbed);
        }
    }

    #[test]
    fn names_are_compared_without_case_and_separators() {
        for name in [
            "email",
            "emai_L",
            "PhonE_",
            "cookie",
            "ssn",
            "private-key",
            "creditcard",
            "authorization",
            "E-Mail",
            "Social Security Number",
            "CVV",
            "my_password",
            "the longest name that ends with a Client-Secret",
            "x-api-key",
            "AWS_SECRET_KEY",
            "café_auth_token",
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in
            ["", "_", "e", "emails", "max_tokens", "tokenizer", "my_email", "a secret b", "é"]
        {
            assert!(!is_sensitive_name(name), "{name}");
        }
        // One byte more than the longest name.
        assert!(!is_sensitive_name("xsocialsecuritynumber"));
    }

    #[test]
    fn a_long_text_takes_no_longer_than_it_is_long() {
        for unit in [
            "a=",
            "a:'",
            "x ",
            "eyJ.",
            "a://",
            "b \"",
            "token: ",
            "token:a(",
            "token:\\",
            "token:\\\"a\\\\",
            "-----BEGIN ",
            "eyJ",
        ] {
            let text = unit.repeat(200_000);
            // In proportion it takes milliseconds, by the square of the length it takes minutes.
            let _ = scrub(&text);
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
    fn written_and_copied_are_the_same() {
        let value = json!({
            "token": "abc", "secret": null, "n": [1, -2, 0.5, true, {}, []],
            "text": "password=12345678", "deep": {"é": {"Cookie": [1, 2]}},
        });
        assert_eq!(
            serde_json::to_string(&Scrubbed(&value)).unwrap(),
            serde_json::to_string(&scrub_json(&value)).unwrap()
        );
    }

    #[test]
    fn cuts_fall_on_a_character() {
        assert_eq!(bounded_to("éé".into(), 3), "é… [cut, 4 bytes in all]");
    }
}
