//! Sensitive values: bound only when an effect is performed, never part of a fact.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::text::{CUT_MARK, REDACTED};

/// Shorter values are not looked for: they are parts of ordinary words.
const LEAST_SOUGHT: usize = 4;

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
/// fact, an event or an error, every occurrence of a value (of four bytes or more) is replaced. A
/// short value that is also an ordinary word is replaced in ordinary text too.
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

    /// Replaces every occurrence of a value by `[redacted]`, and what is left of one where the text
    /// was cut.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        let Some(inner) = &self.0 else { return text };
        let text = inner.sought.iter().map(Secret::expose).fold(text, |text, value| {
            if text.contains(value) { text.replace(value, REDACTED) } else { text }
        });
        if text.contains(CUT_MARK) { self.redact_cut(&text) } else { text }
    }

    /// Replaces every occurrence of a value in the texts and names of a JSON value.
    #[must_use]
    pub fn redact_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text)),
            Value::Array(items) => items.into_iter().map(|item| self.redact_json(item)).collect(),
            Value::Object(map) => {
                let item = |(key, item)| (self.redact(key), self.redact_json(item));
                map.into_iter().map(item).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }

    /// How many bytes at the end of a text may be the beginning of a value.
    pub(crate) fn begun(&self, text: &str) -> usize {
        let begun = |value: &Secret| {
            let (text, value) = (text.as_bytes(), value.expose().as_bytes());
            let most = text.len().min(value.len().saturating_sub(1));
            (1..=most).rev().find(|bytes| text.ends_with(&value[..*bytes])).unwrap_or(0)
        };
        let sought = self.0.iter().flat_map(|inner| &inner.sought);
        sought.map(begun).max().unwrap_or(0)
    }

    /// A text that was cut somewhere, perhaps in the middle of a value.
    fn redact_cut(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for (at, _) in text.match_indices(CUT_MARK) {
            let part = &text[copied..at];
            let begun = self.begun(part);
            if begun >= LEAST_SOUGHT {
                out.push_str(&part[..part.len() - begun]);
                out.push_str(REDACTED);
            } else {
                out.push_str(part);
            }
            copied = at;
        }
        out.push_str(&text[copied..]);
        out
    }
}

impl FromIterator<(String, Secret)> for Secrets {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(items: I) -> Self {
        let named: BTreeMap<_, Secret> = items.into_iter().collect();
        let mut sought: Vec<_> =
            named.values().filter(|value| value.expose().len() >= LEAST_SOUGHT).cloned().collect();
        sought.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        Self((!named.is_empty()).then(|| Arc::new(Inner { named, sought })))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::text::bounded_to;

    fn secrets(values: &[&str]) -> Secrets {
        values.iter().map(|value| ((*value).to_owned(), Secret::new(*value))).collect()
    }

    #[test]
    fn a_value_that_a_cut_left_in_part_is_replaced() {
        let secrets = secrets(&["sk-0123456789", "sk-0123"]);
        for cut in 0..40 {
            let text = bounded_to("key: sk-0123456789, and so on and on".to_owned(), cut);
            let shown = secrets.redact(text.clone());
            assert!(!shown.contains("sk-0"), "{text} is shown as {shown}");
            assert_eq!(secrets.redact(shown.clone()), shown, "once is enough");
        }
        let twice = "a sk-01234… [cut, 9 bytes in all] b sk-0… [cut] c sk-… [cut]";
        let expected = "a [redacted]… [cut, 9 bytes in all] b [redacted]… [cut] c sk-… [cut]";
        assert_eq!(secrets.redact(twice.replace("sk-01234", "sk-012")), expected);
    }

    #[test]
    fn names_in_json_are_texts_too() {
        let value = json!({"hunter2": {"x hunter2": ["hunter2", 1, null]}});
        let expected = json!({"[redacted]": {"x [redacted]": ["[redacted]", 1, null]}});
        assert_eq!(secrets(&["hunter2"]).redact_json(value), expected);
    }

    #[test]
    fn the_beginning_of_a_value_at_the_end_is_found() {
        let secrets = secrets(&["hunter2", "terror", "üben"]);
        for (text, bytes) in
            [("", 0), ("hunt", 4), ("hunter", 6), ("hunter2", 0), ("x ü", 2), ("ter!", 0)]
        {
            assert_eq!(secrets.begun(text), bytes, "{text}");
        }
    }
}
