//! The one form of a token that is signed: JSON without spaces, with sorted names.
//!
//! Texts are quoted and escaped, so that no two different tokens have the same form: a character
//! that moves from one field to the next (`ab|c` to `a|bc`) moves past a quote.

use serde_json::{Map, Value};

use super::Token;

/// How deep lists and objects may lie in each other.
pub(super) const MAX_DEPTH: usize = 32;
/// What the form is of, so that a signature made with the same key for another use is none here.
pub(super) const PURPOSE: &str = "executus.token.1";

/// The form of every field; `None` for constraints too deep to be signed.
pub(super) fn fields(token: &Token) -> Option<String> {
    let mut out = String::with_capacity(512);
    out.push_str("{\"ancestors\":[");
    for (at, ancestor) in token.ancestors.iter().enumerate() {
        separate(&mut out, at);
        text(&mut out, ancestor);
    }
    out.push_str("],\"capability_id\":");
    text(&mut out, token.capability_id.as_str());
    out.push_str(",\"constraints\":");
    object(&mut out, token.constraints.fields(), MAX_DEPTH)?;
    out.push_str(",\"expires_at\":");
    out.push_str(&token.expires_at.as_micros().to_string());
    out.push_str(",\"issued_at\":");
    out.push_str(&token.issued_at.as_micros().to_string());
    out.push_str(",\"kid\":");
    text(&mut out, &token.kid);
    out.push_str(",\"principal_id\":");
    text(&mut out, &token.principal_id);
    out.push_str(",\"purpose\":");
    text(&mut out, PURPOSE);
    out.push_str(",\"token_id\":");
    text(&mut out, &token.token_id);
    out.push('}');
    Some(out)
}

fn value(out: &mut String, value: &Value, depth: usize) -> Option<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        // The shortest digits that are read back as the same number.
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(value) => text(out, value),
        Value::Array(items) => {
            let depth = depth.checked_sub(1)?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                separate(out, at);
                self::value(out, item, depth)?;
            }
            out.push(']');
        }
        Value::Object(map) => object(out, map, depth)?,
    }
    Some(())
}

fn object(out: &mut String, map: &Map<String, Value>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    // Sorted here: whether a map sorts its names is decided by the host's features.
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (at, (name, item)) in fields.into_iter().enumerate() {
        separate(out, at);
        text(out, name);
        out.push(':');
        value(out, item, depth)?;
    }
    out.push('}');
    Some(())
}

fn separate(out: &mut String, at: usize) {
    if at > 0 {
        out.push(',');
    }
}

/// A text in quotes, with the escapes of JSON where it must have them and nowhere else.
fn text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}
