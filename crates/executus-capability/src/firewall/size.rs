//! How large a value is as JSON, without writing it.

use serde_json::{Map, Number, Value};

/// The size of a value as JSON without white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) characters: usize,
}

/// How many bytes a value has.
pub(crate) fn json_bytes(value: &Value) -> usize {
    Size::of(value).bytes
}

/// How many bytes an object has.
pub(crate) fn row_bytes(fields: &Map<String, Value>) -> usize {
    let mut size = Size::default();
    size.object(fields);
    size.bytes
}

impl Size {
    pub(crate) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.add(value);
        size
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(true) => self.ascii(4),
            Value::Bool(false) => self.ascii(5),
            Value::Number(number) => self.ascii(digits(number)),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.list(items.len());
                items.iter().for_each(|item| self.add(item));
            }
            Value::Object(fields) => self.object(fields),
        }
    }

    /// Adds the brackets and commas of a list.
    pub(crate) fn list(&mut self, items: usize) {
        self.ascii(items.max(1) + 1);
    }

    /// Adds the braces, commas and colons of an object.
    pub(crate) fn fields(&mut self, fields: usize) {
        self.ascii(fields.max(1) + 1 + fields);
    }

    fn object(&mut self, fields: &Map<String, Value>) {
        self.fields(fields.len());
        for (name, value) in fields {
            self.text(name);
            self.add(value);
        }
    }

    /// Adds so many characters of one byte.
    pub(crate) const fn ascii(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.characters += bytes;
    }

    /// Adds a text, or a name.
    pub(crate) fn text(&mut self, text: &str) {
        let (mut escapes, mut controls, mut longer) = (0, 0, 0);
        for byte in text.bytes() {
            escapes += usize::from(matches!(byte, b'"' | b'\\'));
            controls += usize::from(byte < 0x20);
            // What goes on with a character.
            longer += usize::from(byte & 0xC0 == 0x80);
        }
        if controls > 0 {
            let short = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\t' | 8 | 12);
            let shorter = text.as_bytes().iter().filter(|byte| short(byte)).count();
            escapes += shorter + 5 * (controls - shorter);
        }
        self.bytes += text.len() + escapes + 2;
        self.characters += text.len() + escapes + 2 - longer;
    }
}

/// How many characters a number has.
fn digits(number: &Number) -> usize {
    let whole = |number: u64| number.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    match (number.as_u64(), number.as_i64()) {
        (Some(number), _) => whole(number),
        (_, Some(number)) => whole(number.unsigned_abs()) + 1,
        _ => number.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_size_is_that_of_the_text() {
        for value in [
            json!(null),
            json!(true),
            json!(false),
            json!(0),
            json!(9),
            json!(10),
            json!(-1),
            json!(-10),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.5),
            json!(1e300),
            json!([]),
            json!([1, [2]]),
            json!({}),
            json!({"a": 1, "é\"": {"b": [null]}}),
            json!("\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}é😀"),
        ] {
            let text = value.to_string();
            let size = Size { bytes: text.len(), characters: text.chars().count() };
            assert_eq!(Size::of(&value), size, "{text}");
        }
        assert_eq!(row_bytes(json!({"a": [1]}).as_object().unwrap()), 9);
    }
}
