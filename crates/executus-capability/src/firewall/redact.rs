//! A result without what is sensitive in it, whatever is nested in what.

use executus_core::text::REDACTED;
use serde_json::{Map, Value};

use super::known::{Known, hides, is_pair, pair_value};
use super::rows::{Narrow, Rows, VALUE};
use super::scan::Scanner;

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
}

impl<'s, 'a> Redactor<'s, 'a> {
    pub(crate) fn new(known: &'s [Known<'a>], depth: usize) -> Self {
        Self { scanner: Scanner::new(known), depth, deep: 0 }
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
        if hides(name, value, pair) {
            self.scanner.replaced += 1;
            return Value::from(REDACTED);
        }
        self.value(value, depth)
    }

    /// The fields of an object that may be seen; it is nested in so many others.
    pub(crate) fn object(
        &mut self,
        fields: &Map<String, Value>,
        depth: usize,
        may_be_seen: impl Fn(&str) -> bool,
    ) -> Map<String, Value> {
        let pair = is_pair(fields);
        let mut changed = false;
        let seen = fields.iter().filter(|(name, _)| may_be_seen(name));
        let shown = seen.map(|(name, value)| {
            let value = self.field(name, value, pair, depth + 1);
            let scrubbed = self.scanner.scrub(name);
            changed |= *scrubbed != **name;
            (scrubbed.into_owned(), value)
        });
        let shown: Vec<_> = shown.collect();
        if !changed {
            return shown.into_iter().collect();
        }
        let mut named = Map::new();
        for (name, value) in shown {
            insert(&mut named, name, value);
        }
        named
    }

    /// A value, nested in so many others.
    pub(crate) fn value(&mut self, value: &Value, depth: usize) -> Value {
        if depth > self.depth && matches!(value, Value::Array(_) | Value::Object(_)) {
            self.deep += 1;
            return Value::from(TOO_DEEP);
        }
        match value {
            Value::String(text) => Value::String(self.scanner.scrub(text).into_owned()),
            Value::Array(items) => items.iter().map(|item| self.item(item, depth + 1)).collect(),
            Value::Object(fields) => Value::Object(self.object(fields, depth, |_| true)),
            Value::Number(number) if self.scanner.hides_number(number) => {
                self.scanner.replaced += 1;
                Value::from(REDACTED)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// What constraints let see of a result: rows of the scope with the allowed fields, in the shape
    /// that the result has. A result without anything to see is null.
    pub(crate) fn narrowed(&mut self, value: &Value, narrow: &Narrow) -> Value {
        if narrow.is_open() {
            return self.value(value, 0);
        }
        let rows = Rows::of(value);
        let depth = usize::from(rows.is_list) + usize::from(rows.around.is_some());
        let admitted = rows.items.iter().filter(|item| narrow.admits(item));
        let mut kept: Vec<_> = admitted.map(|item| self.row(item, narrow, depth)).collect();
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
        match pair_value(item) {
            Some(_) if depth <= self.depth => {
                self.scanner.replaced += 1;
                Value::Array(vec![self.value(&item[0], depth + 1), Value::from(REDACTED)])
            }
            _ => self.value(item, depth),
        }
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
    let shown = redactor.value(value, 0);
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
            assert_eq!(Redactor::new(&known, 32).narrowed(value, &narrow), expected);
        }
    }
}
