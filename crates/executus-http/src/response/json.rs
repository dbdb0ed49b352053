//! Reading JSON of strangers.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A document: nested 128 deep at most, and without a key that an object has twice. Which of two
/// values counts is for every reader to choose, so that one checks this and another does that.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Unambiguous(value)| value)
}

struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((name, Unambiguous(value))) = fields.next_entry::<String, _>()? {
            if read.insert(name, value).is_some() {
                // The key itself is a stranger's text, and the error has its place.
                return Err(A::Error::custom("an object has a key twice"));
            }
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_read_as_usual() {
        for value in [
            json!(null),
            json!([true, -1, 18_446_744_073_709_551_615_u64, 1.5, "ü", {"a": {"b": []}}]),
        ] {
            assert_eq!(read(value.to_string().as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for text in ["{\"a\":1,\"a\":2}", "[{\"b\":{\"a\":1,\"\\u0061\":1}}]"] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("twice at line 1 column"), "{error}");
        }
    }

    #[test]
    fn what_is_deep_or_no_document_is_not_read() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        for text in [&deep, "", " ", "{} {}", "NaN", "1e999", "\"\\ud800\"", "\u{feff}{}"] {
            assert!(read(text.as_bytes()).is_err(), "{text:.20}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }
}
