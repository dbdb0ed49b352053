//! A result without what is sensitive in it, whatever is nested in what.

use executus_core::text::{REDACTED, is_sensitive_name};
use serde_json::{Map, Value};

use super::known::{Known, hides, is_pair, pair_value};
use super::rows::{Narrow, Rows, VALUE};
use super::scan::Scanner;
use super::size::Size;

/// What stands for what is nested too deep to be looked at.
pub(crate) const TOO_DEEP: &str = "[too deep]";

/// Copies values without what is sensitive, and counts what it left out.
#[derive(Debug)]
pub(crate) struct Redactor<'s, 'a> {
    /// For texts.
    pub(crate) scanner: Scanner<'s, 'a>,
    /// How deep is looked.
    depth: usize,
    /// How many lists and objects were nested deeper.
    pub(crate) deep: u64,
    /// How large what was copied is.
    size: Size,
    /// How much of a list is copied: no more once this many bytes are.
    most: usize,
    /// Whether names were replaced, so that the size is another one.
    renamed: bool,
    names: Names,
}

/// Names that were looked at and have nothing sensitive in them: those of rows come again and again.
#[derive(Debug)]
struct Names {
    /// A name and whether it is one of a sensitive field, each at its own place.
    seen: Vec<Option<(String, bool)>>,
}

impl Names {
    const PLACES: usize = 64;
    const LONGEST: usize = 64;

    fn place(name: &str) -> usize {
        let bytes = name.as_bytes();
        let [first, .., last] = bytes else { return 0 };
        let middle = bytes[bytes.len() / 2];
        let mixed = usize::from(*first) * 31 + usize::from(*last) * 7 + usize::from(middle);
        (mixed + bytes.len()) % Self::PLACES
    }

    /// Whether a name that was seen is sensitive; `None` when it was not.
    fn get(&self, name: &str) -> Option<bool> {
        let (seen, sensitive) = self.seen[Self::place(name)].as_ref()?;
        (seen == name).then_some(*sensitive)
    }

    fn put(&mut self, name: &str, sensitive: bool) {
        if name.len() <= Self::LONGEST {
            self.seen[Self::place(name)] = Some((name.to_owned(), sensitive));
        }
    }
}

impl<'s, 'a> Redactor<'s, 'a> {
    pub(crate) fn new(known: &'s [Known<'a>], depth: usize) -> Self {
        let names = Names { seen: vec![None; Names::PLACES] };
        Self {
            scanner: Scanner::new(known),
            depth,
            deep: 0,
            size: Size::default(),
            most: usize::MAX,
            renamed: false,
            names,
        }
    }

    /// Says what was left out.
    pub(crate) fn warn(&self, warnings: &mut Vec<String>) {
        let depth = self.depth;
        let mut warn = |happened: bool, warning: String| {
            if happened && !warnings.contains(&warning) {
                warnings.push(warning);
            }
        };
        warn(self.scanner.replaced > 0, "sensitive values were replaced".to_owned());
        let withheld = "a text was withheld: it could not be looked through";
        warn(self.scanner.withheld > 0, withheld.to_owned());
        warn(self.deep > 0, format!("what is nested deeper than {depth} levels is not shown"));
    }

    /// The value of a field of an object; `pair` when the object names it in another field.
    pub(crate) fn field(&mut self, name: &str, value: &Value, pair: bool, depth: usize) -> Value {
        let mut shown = Value::Null;
        if hides(name, value, pair) {
            self.hide(&mut shown);
        } else {
            shown = self.value(value, depth);
        }
        shown
    }

    /// The fields of an object that may be seen; it is nested in so many others.
    pub(crate) fn object(
        &mut self,
        fields: &Map<String, Value>,
        depth: usize,
        may_be_seen: impl Fn(&str) -> bool,
    ) -> Map<String, Value> {
        let seen = fields.iter().filter(|(name, _)| may_be_seen(name));
        let mut shown = seen.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.redact_fields(&mut shown, is_pair(fields), depth);
        shown
    }

    /// A value, nested in so many others.
    pub(crate) fn value(&mut self, value: &Value, depth: usize) -> Value {
        let mut shown = value.clone();
        self.redact(&mut shown, depth);
        shown
    }

    /// A whole result. It is copied piece by piece: each is still at hand when it is looked at.
    fn whole(&mut self, value: &Value, depth: usize) -> Value {
        match value {
            Value::Array(items) if depth <= self.depth => {
                self.size.list(0);
                let mut shown = Vec::new();
                for item in items {
                    if self.size.bytes > self.most {
                        break;
                    }
                    self.size.ascii(usize::from(!shown.is_empty()));
                    shown.push(match item {
                        Value::Array(_) if pair_value(item).is_none() => {
                            self.whole(item, depth + 1)
                        }
                        item => self.item(item, depth + 1),
                    });
                }
                Value::Array(shown)
            }
            Value::Object(fields) if depth == 0 => {
                self.size.fields(fields.len());
                let pair = is_pair(fields);
                let mut shown = Map::new();
                for (name, value) in fields {
                    let value = match value {
                        Value::Array(_) if !hides(name, value, pair) => self.whole(value, 1),
                        value => self.field(name, value, pair, 1),
                    };
                    self.size.text(name);
                    let scrubbed = self.scanner.scrubbed(name);
                    self.renamed |= scrubbed.is_some();
                    insert(&mut shown, scrubbed.unwrap_or_else(|| name.clone()), value);
                }
                Value::Object(shown)
            }
            value => self.value(value, depth),
        }
    }

    fn hide(&mut self, value: &mut Value) {
        self.scanner.replaced += 1;
        self.size.text(REDACTED);
        *value = Value::from(REDACTED);
    }

    fn redact(&mut self, value: &mut Value, depth: usize) {
        match value {
            Value::Array(_) | Value::Object(_) if depth > self.depth => {
                self.deep += 1;
                self.size.text(TOO_DEEP);
                *value = Value::from(TOO_DEEP);
            }
            Value::String(text) => {
                if let Some(scrubbed) = self.scanner.scrubbed(text) {
                    *text = scrubbed;
                }
                self.size.text(text);
            }
            Value::Array(items) => {
                self.size.list(items.len());
                for item in items {
                    self.redact_item(item, depth + 1);
                }
            }
            Value::Object(fields) => {
                let pair = is_pair(fields);
                self.redact_fields(fields, pair, depth);
            }
            Value::Number(number) if self.scanner.hides_number(number) => self.hide(value),
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => self.size.add(plain),
        }
    }

    fn redact_item(&mut self, item: &mut Value, depth: usize) {
        let hidden = depth <= self.depth && pair_value(item).is_some();
        match item {
            Value::Array(pair) if hidden => {
                self.size.list(pair.len());
                for (place, value) in pair.iter_mut().enumerate() {
                    match place {
                        0 => self.redact(value, depth + 1),
                        _ => self.hide(value),
                    }
                }
            }
            item => self.redact(item, depth),
        }
    }

    fn redact_fields(&mut self, fields: &mut Map<String, Value>, pair: bool, depth: usize) {
        let mut renamed = Vec::new();
        self.size.fields(fields.len());
        for (name, value) in fields.iter_mut() {
            let sensitive = self.names.get(name).unwrap_or_else(|| {
                let sensitive = is_sensitive_name(name);
                match self.scanner.scrubbed(name) {
                    Some(scrubbed) => renamed.push((name.clone(), scrubbed)),
                    None => self.names.put(name, sensitive),
                }
                sensitive
            });
            self.size.text(name);
            if !value.is_null() && (sensitive || pair && name == "value") {
                self.hide(value);
            } else {
                self.redact(value, depth + 1);
            }
        }
        let mut taken = Vec::new();
        self.renamed |= !renamed.is_empty();
        for (name, scrubbed) in renamed {
            taken.extend(fields.remove(&name).map(|value| (scrubbed, value)));
        }
        for (name, value) in taken {
            insert(fields, name, value);
        }
    }

    /// What constraints let see of a result: rows of the scope with the allowed fields, in the shape
    /// that the result has, and their size. A result without anything to see is null. Of lists no
    /// more is copied once there are more than `most` bytes.
    pub(crate) fn narrowed(
        &mut self,
        value: &Value,
        narrow: &Narrow,
        most: usize,
    ) -> (Value, Size) {
        (self.size, self.most) = (Size::default(), most);
        let is_open = narrow.is_open();
        let shown = if is_open { self.whole(value, 0) } else { self.narrow(value, narrow) };
        // While it is at hand, it is measured where that is simple.
        let size = if is_open && !self.renamed { self.size } else { Size::of(&shown) };
        (shown, size)
    }

    fn narrow(&mut self, value: &Value, narrow: &Narrow) -> Value {
        let rows = Rows::of(value);
        let depth = usize::from(rows.is_list) + usize::from(rows.around.is_some());
        let mut kept = Vec::new();
        for item in rows.items.iter().filter(|item| narrow.admits(item)) {
            if self.size.bytes > self.most {
                break;
            }
            kept.push(self.row(item, narrow, depth));
        }
        if !rows.is_list {
            return kept.pop().unwrap_or_default();
        }
        let kept = Value::Array(kept);
        let Some((fields, list)) = rows.around else { return kept };
        // What stands beside the rows is of no row, and so of no scope.
        let beside = |name: &str| name != list && narrow.scope.is_empty() && narrow.allows(name);
        let mut shown = self.object(fields, 0, beside);
        shown.insert(list.to_owned(), kept);
        Value::Object(shown)
    }

    /// A row, of which only the allowed fields are kept.
    pub(crate) fn row(&mut self, item: &Value, narrow: &Narrow, depth: usize) -> Value {
        match item {
            Value::Object(fields) if depth <= self.depth => {
                Value::Object(self.object(fields, depth, |name| narrow.allows(name)))
            }
            other if narrow.allows(VALUE) => self.item(other, depth),
            _ => Value::Null,
        }
    }

    /// An item of a list, nested in so many others.
    pub(crate) fn item(&mut self, item: &Value, depth: usize) -> Value {
        let mut shown = item.clone();
        self.redact_item(&mut shown, depth);
        shown
    }
}

/// Adds a field under a name of its own: two names may be the same once they are scrubbed.
pub(crate) fn insert(fields: &mut Map<String, Value>, name: String, value: Value) {
    if !fields.contains_key(&name) {
        fields.insert(name, value);
        return;
    }
    let mut number = fields.len();
    let mut other = format!("{name} {number}");
    while fields.contains_key(&other) {
        number += 1;
        other = format!("{name} {number}");
    }
    fields.insert(other, value);
}

#[cfg(test)]
fn redacted(value: &Value, depth: usize) -> (Value, u64, u64) {
    let known = [Known::of(value)];
    let mut redactor = Redactor::new(&known, depth);
    let (shown, size) = redactor.narrowed(value, &Narrow::default(), usize::MAX);
    assert_eq!(size, Size::of(&shown));
    (shown, redactor.scanner.replaced, redactor.deep)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::constraint::Constraints;

    #[test]
    fn sensitive_values_are_replaced_wherever_they_stand() {
        let value = json!({
            "password": "hunter2-x", "note": "is hunter2-x or aHVudGVyMi14", "n": 4_111_111, "m": 4_111_112,
            "cvv": 4_111_111, "ssn": null, "deep": [{"API-Key": {"a": 1}}, ["token", "x"], ["id", "x"]],
            "env": [{"name": "DB_PASSWORD", "value": "x"}, {"name": "HOME", "value": "/"}],
            "a@b.cd": 1, "c@d.ef": 2, "hunter2-x": 3, "[redacted] 2": 4,
        });
        let (shown, replaced, deep) = redacted(&value, 32);
        assert_eq!(
            shown,
            json!({
                "password": REDACTED, "note": "is [redacted] or [redacted]", "n": REDACTED, "m": 4_111_112,
                "cvv": REDACTED, "ssn": null,
                "deep": [{"API-Key": REDACTED}, ["token", REDACTED], ["id", "x"]],
                "env": [{"name": "DB_PASSWORD", "value": REDACTED}, {"name": "HOME", "value": "/"}],
                "[redacted] 2": 4, "[redacted]": 1, "[redacted] 3": 2, "[redacted] 6": 3,
            })
        );
        assert_eq!((replaced, deep), (11, 0));
    }

    #[test]
    fn what_is_nested_deeper_is_not_shown() {
        let value = json!([[[["x"], 1], "y"], [[2]]]);
        let (shown, _, deep) = redacted(&value, 2);
        assert_eq!(shown, json!([[[TOO_DEEP, 1], "y"], [[2]]]));
        assert_eq!(deep, 1);
        let mut nested = json!("secret");
        for _ in 0..200 {
            nested = json!({"a": nested});
        }
        assert!(!redacted(&nested, 32).0.to_string().contains("secret"));
    }

    #[test]
    fn only_what_is_allowed_is_left() {
        let fields = Constraints::default().with("allowed_fields", vec!["id", "region"]);
        let scope = Constraints::default().with("scope", json!({"region": "eu"}));
        let value = Constraints::default().with("allowed_fields", vec!["value"]);
        let list = json!([{"id": 1, "region": "eu", "x": 1}, {"id": 2, "region": "us"}, 7]);
        let around = json!({"rows": [{"id": 1, "x": 2}], "id": 9, "x": 1});
        for (constraints, value, expected) in [
            (&fields, &list, json!([{"id": 1, "region": "eu"}, {"id": 2, "region": "us"}, null])),
            (&scope, &list, json!([{"id": 1, "region": "eu", "x": 1}])),
            (&fields, &json!([{"name": "token", "value": "x", "id": 1}]), json!([{"id": 1}])),
            (&value, &json!([{"name": "token", "value": "x"}]), json!([{"value": REDACTED}])),
            (&fields, &around, json!({"rows": [{"id": 1}], "id": 9})),
            (&scope, &around, json!({"rows": []})),
            (&fields, &json!("text"), json!(null)),
            (&scope, &json!("text"), json!(null)),
            (&scope, &json!({"region": "us"}), json!(null)),
            (&fields, &json!({"id": {"x": 1}, "y": 1}), json!({"id": {"x": 1}})),
        ] {
            let narrow = Narrow::of(constraints).unwrap();
            let known = [Known::of(value)];
            assert_eq!(Redactor::new(&known, 32).narrowed(value, &narrow, 9999).0, expected);
        }
    }
}
