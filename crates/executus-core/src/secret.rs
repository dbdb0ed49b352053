//! Sensitive values: bound only when an effect is performed, never part of a fact.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// A sensitive text. `Debug` hides it; there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a sensitive text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The sensitive parameters of one run, by name.
///
/// They travel beside the run, not in its [`RunSpec`](crate::RunSpec). Wherever a text enters a
/// fact, an event or an error, every occurrence of a value (of four bytes or more) is replaced.
#[derive(Clone, Default)]
pub struct Secrets(Option<Arc<Inner>>);

#[derive(Default)]
struct Inner {
    named: BTreeMap<String, Secret>,
    /// Values worth looking for, the longest first: a value may contain another.
    sought: Vec<Secret>,
}

impl Secrets {
    /// The secret with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.as_ref()?.named.get(name)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| inner.named.is_empty())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|inner| inner.named.keys()).map(String::as_str)
    }

    /// Replaces every occurrence of a value by `[redacted]`.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        self.0.iter().flat_map(|inner| &inner.sought).map(Secret::expose).fold(
            text,
            |text, value| {
                if text.contains(value) { text.replace(value, "[redacted]") } else { text }
            },
        )
    }
}

impl Secrets {
    /// Replaces every occurrence of a value in the texts of a JSON value.
    #[must_use]
    pub fn redact_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::Array(items) => items.into_iter().map(|item| self.redact_json(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, item)| (key, self.redact_json(item))).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(items: I) -> Self {
        let named: BTreeMap<_, Secret> = items.into_iter().collect();
        let mut sought: Vec<_> =
            named.values().filter(|value| value.expose().len() >= 4).cloned().collect();
        sought.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        Self((!named.is_empty()).then(|| Arc::new(Inner { named, sought })))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
