//! What came of a stream, put together to lie behind a handle.

use serde_json::Value;

/// The pieces so far, as long as they are not too much.
pub(super) struct Whole {
    wanted: bool,
    pieces: Vec<Value>,
    bytes: usize,
    limit: usize,
}

impl Whole {
    pub(super) const fn new(wanted: bool, limit: usize) -> Self {
        Self { wanted, pieces: Vec::new(), bytes: 0, limit }
    }

    pub(super) fn push(&mut self, piece: Value) {
        if !self.wanted {
            return;
        }
        self.bytes = self.bytes.saturating_add(size(&piece));
        if self.bytes > self.limit {
            self.pieces = Vec::new();
        } else {
            self.pieces.push(piece);
        }
    }

    /// The whole: one text when every piece is one, else a list, into which lists are put piece by
    /// piece. `None` when it is not wanted; a warning when it was too much.
    pub(super) fn into_value(self) -> Result<Option<Value>, String> {
        if !self.wanted {
            return Ok(None);
        }
        if self.bytes > self.limit {
            return Err(format!("the stream was too long to keep: over {} bytes", self.limit));
        }
        if !self.pieces.is_empty() && self.pieces.iter().all(Value::is_string) {
            let text: String = self.pieces.iter().filter_map(Value::as_str).collect();
            return Ok(Some(text.into()));
        }
        let mut rows = Vec::new();
        for piece in self.pieces {
            match piece {
                Value::Array(items) => rows.extend(items),
                Value::Null => {}
                other => rows.push(other),
            }
        }
        Ok(Some(Value::Array(rows)))
    }
}

/// The size of a value as JSON, roughly, without recursion: a driver may nest as it likes.
fn size(value: &Value) -> usize {
    let mut bytes = 0;
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        bytes += match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => {
                left.extend(items);
                2 + items.len()
            }
            Value::Object(fields) => {
                left.extend(fields.values());
                2 + fields.keys().map(|name| name.len() + 4).sum::<usize>()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole(
        limit: usize,
        pieces: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Value>, String> {
        let mut whole = Whole::new(true, limit);
        pieces.into_iter().for_each(|piece| whole.push(piece));
        whole.into_value()
    }

    #[test]
    fn texts_are_one_text_and_rows_one_list() {
        assert_eq!(whole(100, [json!("a"), json!("b")]), Ok(Some(json!("ab"))));
        let mixed = [json!([{"a": 1}]), json!({"a": 2}), Value::Null, json!("x")];
        assert_eq!(whole(100, mixed), Ok(Some(json!([{"a": 1}, {"a": 2}, "x"]))));
        assert_eq!(whole(100, []), Ok(Some(json!([]))));
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let pieces = (0..3).map(|_| json!("x".repeat(40)));
        assert!(whole(100, pieces).is_err_and(|warning| warning.contains("100")));
        let mut unwanted = Whole::new(false, 100);
        unwanted.push(json!("a"));
        assert_eq!(unwanted.into_value(), Ok(None));
    }
}
