//! Arguments as a record keeps them: without what is sensitive, bounded in depth and size.

use executus_core::secret::Secrets;
use executus_core::text::{REDACTED, bounded_to, is_sensitive_name, scrub};
use serde_json::{Map, Value};

/// The longest text of an argument in a record, in bytes.
const MAX_TEXT: usize = 1024;
/// All texts and names of a record's arguments, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How deep what is recorded may be nested.
const MAX_DEPTH: usize = 16;
/// What stands for what is nested deeper.
const TOO_DEEP: &str = "[too deep]";
/// What stands for what is too much.
const CUT: &str = "[cut]";

/// Arguments of these names hold what an agent remembers.
const REMEMBERED: [&str; 6] = ["payload", "content", "value", "memory", "text", "body"];

/// The arguments of an invocation of this capability, fit for its record.
pub(crate) fn recorded(capability_id: &str, args: &Map<String, Value>, secrets: &Secrets) -> Value {
    let mut writer =
        Writer { memory: capability_id.starts_with("memory."), secrets, left: MAX_BYTES };
    writer.object(args, 0)
}

struct Writer<'a> {
    /// Whether the values of [`REMEMBERED`] names are replaced.
    memory: bool,
    secrets: &'a Secrets,
    left: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return TOO_DEEP.into();
        }
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(items) => {
                let mut kept = Vec::new();
                for item in items {
                    if !self.take(1) {
                        kept.push(CUT.into());
                        break;
                    }
                    kept.push(self.value(item, depth + 1));
                }
                Value::Array(kept)
            }
            Value::Object(fields) => self.object(fields, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                if self.take(8) {
                    value.clone()
                } else {
                    CUT.into()
                }
            }
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: usize) -> Value {
        let mut kept = Map::new();
        for (name, value) in fields {
            if !self.take(name.len().min(MAX_TEXT) + 1) {
                kept.insert(CUT.to_owned(), Value::Bool(true));
                break;
            }
            let shown = if self.hides(name, value) {
                REDACTED.into()
            } else {
                self.value(value, depth + 1)
            };
            kept.insert(self.clean(name), shown);
        }
        Value::Object(kept)
    }

    fn hides(&self, name: &str, value: &Value) -> bool {
        let remembered = || REMEMBERED.iter().any(|held| name.eq_ignore_ascii_case(held));
        !value.is_null() && (is_sensitive_name(name) || (self.memory && remembered()))
    }

    fn text(&mut self, text: &str) -> String {
        let text = self.clean(text);
        if self.take(text.len()) { text } else { CUT.to_owned() }
    }

    fn clean(&self, text: &str) -> String {
        // Secrets are sought in the whole text: a cut could leave half of one.
        let text = self.secrets.redact(text.to_owned());
        bounded_to(scrub(&text).into_owned(), MAX_TEXT)
    }

    /// Takes from what may still be recorded; whether there was enough.
    fn take(&mut self, bytes: usize) -> bool {
        let fits = self.left >= bytes;
        self.left = self.left.saturating_sub(bytes);
        fits
    }
}

#[cfg(test)]
mod tests {
    use executus_core::secret::Secret;
    use serde_json::json;

    use super::*;

    fn kept(id: &str, args: &Value) -> Value {
        let named = [("key".to_owned(), Secret::new("hunter2-hunter2"))];
        recorded(id, args.as_object().unwrap(), &named.into_iter().collect())
    }

    /// AR-03
    #[test]
    fn sensitive_names_and_values_are_replaced() {
        let args = json!({
            "password": "x", "Email": ["a@b.c"], "cvv": 123, "ssn": null,
            "note": "see postgres://bob:geheim@db/x", "deep": [{"api_key": {"a": 1}}],
            "bound": "is hunter2-hunter2", "hunter2-hunter2": 1, "content": "stays",
        });
        assert_eq!(
            kept("tickets.close", &args),
            json!({
                "password": REDACTED, "Email": REDACTED, "cvv": REDACTED, "ssn": null,
                "note": "see postgres://[redacted]@db/x", "deep": [{"api_key": REDACTED}],
                "bound": "is [redacted]", "[redacted]": 1, "content": "stays",
            })
        );
    }

    /// AR-03
    #[test]
    fn what_is_remembered_is_replaced_whole_and_its_names_are_kept() {
        let args = json!({
            "payload": {"a": 1}, "content": "x", "value": 1, "memory": [1], "Text": "x", "body": true,
            "key": "k", "deep": {"value": [1, 2]},
        });
        assert_eq!(
            kept("memory.write", &args),
            json!({
                "payload": REDACTED, "content": REDACTED, "value": REDACTED, "memory": REDACTED,
                "Text": REDACTED, "body": REDACTED, "key": "k", "deep": {"value": REDACTED},
            })
        );
        assert_eq!(kept("memory_of.write", &json!({"text": "x"})), json!({"text": "x"}));
    }

    #[test]
    fn what_is_deep_long_or_much_is_cut() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = Value::Array(vec![deep]);
        }
        let text = kept("a.b", &json!({"deep": deep})).to_string();
        assert!(text.contains(TOO_DEEP) && text.len() < 100, "{text}");
        let text = kept("a.b", &json!({"long": "é".repeat(10_000)})).to_string();
        assert!(text.len() < 1_100, "{}", text.len());
        for much in [json!({"n": vec![7; 100_000]}), json!({"n": vec!["x".repeat(900); 100]})] {
            let text = kept("a.b", &much).to_string();
            assert!(text.len() < 3 * MAX_BYTES && text.contains(CUT), "{}", text.len());
        }
        let names: Map<_, _> = (0..10_000).map(|n| (format!("name{n}"), json!(n))).collect();
        let text = recorded("a.b", &names, &Secrets::default()).to_string();
        assert!(text.len() < 3 * MAX_BYTES && text.contains(CUT), "{}", text.len());
    }
}
