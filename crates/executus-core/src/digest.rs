//! Digests: SHA-256 over a tagged, length-prefixed encoding.
//!
//! Every value is fed with a tag and its length, so that no two different sequences of fields
//! give the same bytes (`ab|c` and `a|bc` differ). JSON objects are fed with their keys sorted:
//! the digest does not depend on the order in which a parser kept them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of one JSON value, independent of key order.
    #[must_use]
    pub fn of_json(value: &Value) -> Self {
        let mut hasher = Hasher::new();
        hasher.json(value);
        hasher.finish()
    }

    /// Reads 64 hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("expected 64 hexadecimal digits"))
    }
}

/// Feeds values into a digest.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds a number.
    pub fn number(&mut self, value: u64) {
        self.header(b'n', value);
    }

    /// Feeds a fixed count of numbers, at less cost than one by one.
    pub fn numbers<const N: usize>(&mut self, values: [u64; N]) {
        self.header(b'v', N as u64);
        for values in values.chunks(8) {
            let mut block = [0; 64];
            for (place, value) in block.chunks_exact_mut(8).zip(values) {
                place.copy_from_slice(&value.to_le_bytes());
            }
            self.0.update(&block[..values.len() * 8]);
        }
    }

    /// Feeds a text.
    pub fn text(&mut self, value: &str) {
        self.tagged(b's', value.as_bytes());
    }

    /// Feeds raw bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.tagged(b'b', value);
    }

    /// Feeds a text that may be absent; absent and empty differ.
    pub fn optional(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.text(value),
            None => self.0.update([b'0']),
        }
    }

    /// Feeds a JSON value with sorted keys.
    pub fn json(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update([b'z']),
            Value::Bool(value) => self.0.update([b'?', u8::from(*value)]),
            Value::Number(number) => self.tagged(b'd', number.to_string().as_bytes()),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.open(b'[', items.len());
                items.iter().for_each(|item| self.json(item));
            }
            Value::Object(map) => {
                self.open(b'{', map.len());
                let mut keys: Vec<_> = map.iter().collect();
                keys.sort_unstable_by_key(|(key, _)| *key);
                for (key, item) in keys {
                    self.text(key);
                    self.json(item);
                }
            }
        }
    }

    /// The digest of all that was fed.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.open(tag, bytes.len());
        self.0.update(bytes);
    }

    fn open(&mut self, tag: u8, len: usize) {
        self.header(tag, len as u64);
    }

    /// A tag and a number, in one update: the hasher copies each into its block.
    fn header(&mut self, tag: u8, value: u64) {
        let mut header = [tag; 9];
        header[1..].copy_from_slice(&value.to_le_bytes());
        self.0.update(header);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_boundaries_are_part_of_the_digest() {
        let digest = |parts: &[&str]| {
            let mut hasher = Hasher::new();
            parts.iter().for_each(|part| hasher.text(part));
            hasher.finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }

    #[test]
    fn key_order_is_not() {
        let one: Value = serde_json::from_str(r#"{"a":1,"b":[2,{"c":3,"d":4}]}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"b":[2,{"d":4,"c":3}],"a":1}"#).unwrap();
        assert_eq!(Digest::of_json(&one), Digest::of_json(&two));
        assert_ne!(Digest::of_json(&one), Digest::of_json(&json!({"a": 1})));
    }

    #[test]
    fn hexadecimal_round_trip() {
        let digest = Digest::of_json(&json!("x"));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("zz"), None);
    }
}
