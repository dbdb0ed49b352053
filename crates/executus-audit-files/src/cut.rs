//! Texts that are too long.

use serde_json::Value;

/// The longest `text` field of an input, in characters.
const TEXT: usize = 500;

/// At most `max` characters, of which the last one tells that there was more.
pub(crate) fn short(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Cuts each `text` field, wherever it stands in an input, and notes how long it was. Other long
/// fields are kept.
pub(crate) fn cut_texts(input: &mut Value) {
    match input {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "text" => cut(text),
                    value => cut_texts(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(cut_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn cut(text: &mut String) {
    let Some((end, _)) = text.char_indices().nth(TEXT) else { return };
    let all = text.chars().count();
    text.truncate(end);
    text.push_str(&format!("… [cut, {all} characters in all]"));
}
