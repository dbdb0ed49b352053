//! Values that are known to be secret, because a sensitive field holds them.

use std::borrow::Cow;
use std::ops::Range;

use executus_core::text::{REDACTED, is_sensitive_name};
use serde_json::{Map, Value};

/// The shortest value that is looked for elsewhere; a shorter one would be found in harmless words.
const SHORTEST: usize = 6;
/// From here on a value of letters alone is looked for, too.
const SHORTEST_WORD: usize = 8;
/// So many bytes of a value decide where it begins; from there on it is followed to its end.
const KEY: usize = 128;
/// More values than this with the same first [`KEY`] bytes are not told apart.
const CROWD: usize = 8;
/// How deep secrets are collected. Nothing that is nested deeper is ever shown.
const DEPTH: usize = 128;

/// Values to look for in texts, sorted. Looking takes time in proportion to the text, however many
/// values there are and however much they resemble each other.
#[derive(Debug, Default)]
pub(crate) struct Known<'a> {
    values: Vec<Cow<'a, str>>,
    /// For each value, the longest other one whose key begins its key.
    parents: Vec<Option<u32>>,
    /// Which first [`SHORTEST`] bytes there may be: three bits of one word each.
    bits: Vec<u64>,
    /// The same of the digits that stand for them in base64.
    digits: Vec<u64>,
    shift: u32,
    /// Whether some value could be a number.
    pub(crate) has_numbers: bool,
    /// How many bytes the shortest value has.
    pub(crate) shortest: usize,
    /// The longest value that has a white space or a comma in it.
    pub(crate) longest_spaced: usize,
}

impl<'a> Known<'a> {
    /// What the sensitive fields of a result hold.
    pub(crate) fn of(value: &'a Value) -> Self {
        let mut found = Vec::new();
        collect(value, false, 0, &mut found);
        Self::new(found)
    }

    pub(crate) fn new(values: Vec<Cow<'a, str>>) -> Self {
        let values = sorted(values);
        if values.is_empty() {
            return Self::default();
        }
        // A quarter to half a word for each value, with three bits set: of the windows that are none,
        // less than one in a hundred is looked at again.
        let size = (values.len() / 4).next_power_of_two().max(64);
        let mut known = Self {
            parents: parents(&values),
            bits: vec![0; size],
            digits: vec![0; size],
            shift: 64 - size.trailing_zeros(),
            has_numbers: values.iter().any(|value| is_number(value)),
            shortest: values.iter().map(|value| value.len()).min().unwrap_or_default(),
            longest_spaced: 0,
            values,
        };
        for value in &known.values {
            let start = window(value.as_bytes());
            set(&mut known.bits, start, known.shift);
            for digits in digits(start) {
                set(&mut known.digits, digits, known.shift);
            }
            if value.bytes().any(is_separator) {
                known.longest_spaced = known.longest_spaced.max(value.len());
            }
        }
        known
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(crate) const fn len(&self) -> usize {
        self.values.len()
    }

    /// The values of both.
    pub(crate) fn merged(mut self, mut other: Self) -> Self {
        self.values.append(&mut other.values);
        Self::new(self.values)
    }

    /// Without what is borrowed.
    pub(crate) fn owned(self) -> Known<'static> {
        let values = self.values.into_iter().map(|value| Cow::Owned(value.into_owned())).collect();
        Known {
            values,
            parents: self.parents,
            bits: self.bits,
            digits: self.digits,
            shift: self.shift,
            has_numbers: self.has_numbers,
            shortest: self.shortest,
            longest_spaced: self.longest_spaced,
        }
    }

    /// How many bytes the values have.
    pub(crate) fn bytes(&self) -> usize {
        self.values.iter().map(|value| value.len()).sum()
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        self.values.binary_search_by(|value| (**value).cmp(text)).is_ok()
    }

    /// Adds where values stand in a text, in order; what overlaps becomes one.
    pub(crate) fn find(&self, text: &[u8], out: &mut Vec<Range<usize>>) {
        if self.is_empty() || text.len() < self.shortest {
            return;
        }
        let mut at = 0;
        let mut seen = window(text);
        loop {
            if may_have(&self.bits, seen, self.shift)
                && let Some(len) = self.longest(&text[at..])
            {
                match out.last_mut() {
                    Some(last) if at <= last.end => last.end = last.end.max(at + len),
                    _ => out.push(at..at + len),
                }
                // Another value may begin within this one and end behind it.
                let next = (at + 1).max((at + len).saturating_sub(KEY));
                if next + SHORTEST > text.len() {
                    return;
                }
                if next != at + 1 {
                    at = next;
                    seen = window(&text[at..]);
                    continue;
                }
            }
            let Some(&byte) = text.get(at + SHORTEST) else { return };
            seen = seen >> 8 | u64::from(byte) << 40;
            at += 1;
        }
    }

    /// Whether there may be a value in what digits of base64 stand for, from whichever of them on.
    pub(crate) fn may_be_in(&self, values: impl Iterator<Item = u8>) -> bool {
        let mut seen = 0;
        !self.is_empty()
            && values.enumerate().any(|(at, value)| {
                seen = (seen << 6 | u64::from(value)) & DIGITS;
                at + 1 >= SHORTEST && may_have(&self.digits, seen, self.shift)
            })
    }

    /// How much of the text is the longest value that it begins with.
    fn longest(&self, text: &[u8]) -> Option<usize> {
        let start = &text[..text.len().min(KEY)];
        let after = self.values.partition_point(|value| key(value) <= start);
        let mut at = after.checked_sub(1)?;
        while !start.starts_with(key(&self.values[at])) {
            at = self.parents[at]? as usize;
        }
        let found = key(&self.values[at]);
        if found.len() < KEY {
            return Some(found.len());
        }
        // The values with this key stand beside each other.
        let crowd = self.values[..=at].iter().rev().take_while(|value| key(value) == found);
        let mut longest = KEY;
        for (number, value) in crowd.enumerate() {
            if number == CROWD {
                return Some(text.len());
            }
            longest = longest.max(common(value.as_bytes(), text));
        }
        Some(longest)
    }

    /// Whether a value may be going on at the end of the text: one that has a separator.
    pub(crate) fn goes_on(&self, text: &[u8]) -> bool {
        let first = text.len().saturating_sub(self.longest_spaced);
        self.longest_spaced > 0
            && (first..text.len()).any(|at| {
                let tail = &text[at..];
                let next = self.values.partition_point(|value| value.as_bytes() <= tail);
                self.values.get(next).is_some_and(|value| value.as_bytes().starts_with(tail))
            })
    }
}

/// What parts a running text.
pub(crate) const fn is_separator(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b','
}

fn key(value: &str) -> &[u8] {
    &value.as_bytes()[..value.len().min(KEY)]
}

/// How many bytes two texts begin with in common.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The first bytes of a text that has as many.
fn window(text: &[u8]) -> u64 {
    text[..SHORTEST].iter().rev().fold(0, |seen, &byte| seen << 8 | u64::from(byte))
}

/// The bits of six digits.
const DIGITS: u64 = (1 << 36) - 1;

/// The first six digits of base64 that a value alone decides, when it begins at the first, the
/// second or the third byte that four digits stand for.
const fn digits(window: u64) -> [u64; 3] {
    // Its first five bytes.
    let bits = window.swap_bytes() >> 24;
    [bits >> 4, bits & DIGITS, bits >> 2 & DIGITS]
}

/// The word and the bits in it for a window.
#[expect(clippy::cast_possible_truncation, reason = "at most as many bits as fit into memory")]
const fn slot(window: u64, shift: u32) -> (usize, u64) {
    let hash = window.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mask = 1 << (hash >> 20 & 63) | 1 << (hash >> 26 & 63) | 1 << (hash >> 32 & 63);
    ((hash >> shift) as usize, mask)
}

fn set(bits: &mut [u64], window: u64, shift: u32) {
    let (word, mask) = slot(window, shift);
    bits[word] |= mask;
}

fn may_have(bits: &[u64], window: u64, shift: u32) -> bool {
    let (word, mask) = slot(window, shift);
    bits[word] & mask == mask
}

/// The values in order, each once.
fn sorted(values: Vec<Cow<'_, str>>) -> Vec<Cow<'_, str>> {
    // The first bytes tell most of them apart, and stand beside each other here.
    let start = |value: &str| {
        value.bytes().take(8).fold((0, 56), |(start, shift), byte| {
            (start | u64::from(byte) << shift, u32::saturating_sub(shift, 8))
        })
    };
    let mut keyed: Vec<_> = values.into_iter().map(|value| (start(&value).0, value)).collect();
    keyed.sort_unstable();
    keyed.dedup_by(|one, other| one.1 == other.1);
    keyed.into_iter().map(|(_, value)| value).collect()
}

fn parents(values: &[Cow<'_, str>]) -> Vec<Option<u32>> {
    let mut open: Vec<usize> = Vec::new();
    let mut parents = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        while let Some(&last) = open.last()
            && !key(value).starts_with(key(&values[last]))
        {
            open.pop();
        }
        parents.push(open.last().and_then(|&last| u32::try_from(last).ok()));
        open.push(at);
    }
    parents
}

/// Whether a value is worth looking for.
fn is_worth(value: &str) -> bool {
    value != REDACTED
        && (value.len() >= SHORTEST_WORD
            || value.len() >= SHORTEST && !value.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'e' | b'+'))
}

fn collect<'a>(value: &'a Value, hidden: bool, depth: usize, found: &mut Vec<Cow<'a, str>>) {
    if depth > DEPTH {
        return;
    }
    match value {
        Value::String(text) if hidden => keep(text, found),
        Value::Number(number) if hidden => {
            let text = number.to_string();
            if is_worth(&text) {
                found.push(text.into());
            }
        }
        Value::Array(items) => {
            for item in items {
                match pair_value(item) {
                    Some(second) => collect(second, true, depth + 2, found),
                    None => collect(item, hidden, depth + 1, found),
                }
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                if hidden {
                    keep(name, found);
                }
                let pair = || name == "value" && is_pair(fields);
                let hidden = hidden || hides(name, item, false) || pair();
                if hidden || matches!(item, Value::Array(_) | Value::Object(_)) {
                    collect(item, hidden, depth + 1, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn keep<'a>(text: &'a str, found: &mut Vec<Cow<'a, str>>) {
    let text = text.trim();
    if is_worth(text) {
        found.push(text.into());
    }
}

/// Whether the value of this field is replaced; `pair` when the object [`is_pair`].
pub(crate) fn hides(name: &str, value: &Value, pair: bool) -> bool {
    !value.is_null() && (is_sensitive_name(name) || (pair && name == "value"))
}

/// Whether an object says in one field what the value in another one is called:
/// `{"name": "password", "value": "…"}`.
pub(crate) fn is_pair(fields: &Map<String, Value>) -> bool {
    fields.keys().any(|name| name == "value")
        && ["name", "key", "field", "header", "parameter"]
            .iter()
            .any(|name| fields.get(*name).and_then(Value::as_str).is_some_and(is_sensitive_name))
}

/// The second of two items, when the first names it as sensitive: `["authorization", "…"]`.
pub(crate) fn pair_value(item: &Value) -> Option<&Value> {
    match item.as_array()?.as_slice() {
        [Value::String(name), value] if !value.is_null() && is_sensitive_name(name) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(values: &[&str], text: &str) -> Vec<String> {
        let known = Known::new(values.iter().map(|&value| value.into()).collect());
        let mut spans = Vec::new();
        known.find(text.as_bytes(), &mut spans);
        spans.into_iter().map(|span| text[span].to_owned()).collect()
    }

    #[test]
    fn the_longest_value_is_found_at_every_place() {
        let values = ["secret-1", "secret-12", "secret-1x-long", "2-secret-1"];
        assert_eq!(found(&values, "secret-1 secret-12secret-1"), ["secret-1", "secret-12secret-1"]);
        assert_eq!(found(&values, "xsecret-1x-lonx"), ["secret-1"]);
        // One begins within another.
        assert_eq!(found(&values, "secret-12-secret-1"), ["secret-12-secret-1"]);
        assert!(found(&values, "secret- 1").is_empty());
        assert!(found(&values, "sec").is_empty());
    }

    #[test]
    fn long_values_are_followed_to_where_they_part() {
        let long = "k".repeat(200);
        let (one, two) = (format!("{long}1111"), format!("{long}2222"));
        let text = format!("a {long}22x b");
        assert_eq!(found(&[&one, &two], &text), [format!("{long}22")]);
        let crowd: Vec<_> = (0..20).map(|n| format!("{long}{n}")).collect();
        let crowd: Vec<_> = crowd.iter().map(String::as_str).collect();
        assert_eq!(found(&crowd, &text), [format!("{long}22x b")]);
    }

    #[test]
    fn looking_takes_no_longer_than_the_text_is_long() {
        let values: Vec<_> = (6..KEY - 1).map(|n| format!("{}A", "a".repeat(n))).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        // By the square of its length it takes minutes.
        assert!(found(&values, &"a".repeat(1 << 20)).is_empty());
        assert_eq!(found(&["a".repeat(1 << 19).as_str()], &"a".repeat(1 << 20)).len(), 1);
    }

    #[test]
    fn values_of_sensitive_fields_are_collected() {
        let value = json!({
            "password": "hunter2", "token": ["one-1-one", {"kk-1-kk": 12_345_678}], "ssn": null,
            "env": [{"name": "API_KEY", "value": "pair-value"}],
            "headers": [["Authorization", "listed-1"], ["Accept", "anything"]],
            "secret": "short", "cvv": 123, "cookie": "letter", "email": "[redacted]", "id": "plain-1",
        });
        let known = Known::of(&value);
        let values: Vec<_> = known.values.iter().map(|value| &**value).collect();
        assert_eq!(
            values,
            ["12345678", "hunter2", "kk-1-kk", "listed-1", "one-1-one", "pair-value"]
        );
        assert!(known.has_numbers && known.holds("12345678") && !known.holds("1234567"));
    }
}
