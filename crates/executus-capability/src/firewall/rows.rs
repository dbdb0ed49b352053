//! The rows of a result, and which of them and of their fields may be seen.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::constraint::{ConstraintError, Constraints};

/// The fields of an object that may hold its rows.
const LISTS: [&str; 5] = ["rows", "items", "results", "records", "data"];
/// The field of a row that is no object.
pub(crate) const VALUE: &str = "value";

/// The rows of a result: the items of a list, or of the list in an object's field `rows`, `items`,
/// `results`, `records` or `data`; else the result itself is the one row. An item that is no object
/// is the field `value` of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'v> {
    /// The rows.
    pub(crate) items: &'v [Value],
    /// The object that they stand in, and the name of its field.
    pub(crate) around: Option<(&'v Map<String, Value>, &'static str)>,
    /// Whether the result is a list or has one.
    pub(crate) is_list: bool,
}

impl<'v> Rows<'v> {
    pub(crate) fn of(value: &'v Value) -> Self {
        let one = Self { items: std::slice::from_ref(value), around: None, is_list: false };
        match value {
            Value::Null => Self { items: &[], ..one },
            Value::Array(items) => Self { items, around: None, is_list: true },
            Value::Object(fields) => LISTS
                .into_iter()
                .find_map(|name| {
                    let items = fields.get(name)?.as_array()?;
                    let rows = items.iter().all(Value::is_object);
                    rows.then_some(Self { items, around: Some((fields, name)), is_list: true })
                })
                .unwrap_or(one),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => one,
        }
    }
}

/// A row as an object.
pub(crate) fn row(item: &Value) -> Cow<'_, Map<String, Value>> {
    match item {
        Value::Object(fields) => Cow::Borrowed(fields),
        other => Cow::Owned(Map::from_iter([(VALUE.to_owned(), other.clone())])),
    }
}

/// What constraints let see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Narrow {
    /// The fields, in order; `None` for all.
    pub(crate) fields: Option<Vec<String>>,
    /// What every row must have.
    pub(crate) scope: BTreeMap<String, Value>,
    /// How many rows.
    pub(crate) max_rows: Option<usize>,
}

impl Narrow {
    pub(crate) fn of(constraints: &Constraints) -> Result<Self, ConstraintError> {
        Ok(Self {
            fields: constraints.allowed_fields()?,
            scope: constraints.scope()?,
            max_rows: constraints.max_rows()?,
        })
    }

    /// Whether all of a result may be seen.
    pub(crate) fn is_open(&self) -> bool {
        self.fields.is_none() && self.scope.is_empty()
    }

    /// Whether a row may be seen.
    pub(crate) fn admits(&self, item: &Value) -> bool {
        self.scope.iter().all(|(name, wanted)| match item {
            Value::Object(fields) => fields.get(name) == Some(wanted),
            other => name == VALUE && other == wanted,
        })
    }

    /// What of a result is in the scope, in the shape that it has; `None` when all of it is.
    pub(crate) fn in_scope(&self, value: &Value) -> Option<Value> {
        let rows = Rows::of(value);
        if self.scope.is_empty()
            || rows.items.iter().all(|item| self.admits(item)) && rows.around.is_none()
        {
            return None;
        }
        let mut kept = rows.items.iter().filter(|item| self.admits(item)).cloned();
        Some(match rows.around {
            _ if !rows.is_list => kept.next().unwrap_or_default(),
            None => kept.collect(),
            // What stands beside the rows is of no row, and so of no scope.
            Some((_, list)) => Value::Object(Map::from_iter([(list.to_owned(), kept.collect())])),
        })
    }

    /// Whether a field may be seen.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.fields.as_ref().is_none_or(|fields| fields.iter().any(|field| field == name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_found_in_lists_and_in_fields() {
        for (value, count, is_list) in [
            (json!(null), 0, false),
            (json!([]), 0, true),
            (json!([1, "a"]), 2, true),
            (json!({"data": [{}, {}], "total": 9}), 2, true),
            (json!({"data": [1, 2]}), 1, false),
            (json!({"data": {}}), 1, false),
            (json!("text"), 1, false),
        ] {
            let rows = Rows::of(&value);
            assert_eq!((rows.items.len(), rows.is_list), (count, is_list), "{value}");
        }
        assert_eq!(Value::Object(row(&json!(7)).into_owned()), json!({"value": 7}));
    }
}
