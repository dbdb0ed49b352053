//! What may be asked of a handle.

use executus_core::text::bounded_to;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::constraint::ConstraintError;

/// A page of rows: which, with which fields, where a field has a value.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Rows to skip.
    pub offset: u64,
    /// Rows at most; `None` for as many as a page may have, and never more than that.
    pub limit: Option<u64>,
    /// The fields, if any; none for all that are allowed.
    pub fields: Vec<String>,
    /// What a row must have: texts, numbers, booleans, or null for what is null or missing. They are
    /// compared with what a page would show, so what is sensitive cannot be found out by asking.
    pub filter: Map<String, Value>,
}

impl Query {
    /// Reads `{"offset": 0, "limit": 10, "fields": ["id"], "filter": {"state": "open"}}`; each may
    /// be null or missing.
    ///
    /// # Errors
    /// [`ConstraintError`] that names the field which means nothing.
    pub fn read(value: &Value) -> Result<Self, ConstraintError> {
        const KNOWN: [&str; 4] = ["offset", "limit", "fields", "filter"];
        let whole = "an object with `offset`, `limit`, `fields` and `filter` at most";
        let empty = Map::new();
        let asked = match value {
            Value::Null => &empty,
            Value::Object(asked) => asked,
            other => return Err(wrong("query", other, whole)),
        };
        if let Some(name) = asked.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(wrong("query", &Value::from(name.as_str()), whole));
        }
        let given = |name| asked.get(name).filter(|value| !value.is_null());
        let number = |name: &'static str| match given(name) {
            Some(value) => match value.as_u64() {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(name, value, "a whole number of at least 0")),
            },
            None => Ok(None),
        };
        let query = Self {
            offset: number("offset")?.unwrap_or_default(),
            limit: number("limit")?,
            fields: match given("fields") {
                Some(value) => {
                    names(value).ok_or_else(|| wrong("fields", value, "a list of names"))?
                }
                None => Vec::new(),
            },
            filter: match given("filter") {
                Some(Value::Object(filter)) => filter.clone(),
                Some(other) => return Err(wrong("filter", other, PLAIN)),
                None => Map::new(),
            },
        };
        query.check()?;
        Ok(query)
    }

    /// Checks what a query that was not read could hold.
    pub(super) fn check(&self) -> Result<(), ConstraintError> {
        match self.filter.values().find(|value| matches!(value, Value::Array(_) | Value::Object(_)))
        {
            Some(value) => Err(wrong("filter", value, PLAIN)),
            None => Ok(()),
        }
    }
}

const PLAIN: &str = "an object of texts, numbers, booleans and nulls";

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn wrong(field: &'static str, found: &Value, expected: &'static str) -> ConstraintError {
    let found = crate::firewall::scrub_text(&found.to_string());
    ConstraintError { field, found: bounded_to(found, 80), expected }
}
