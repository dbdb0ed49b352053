//! Taking secrets out of what is said.

use executus_core::ToolError;
use executus_core::secret::Secrets;
use serde_json::Value;

/// What is taken out of everything that a call says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Redactions<'a> {
    /// What the tool was bound to, in each of its forms.
    pub(crate) tool: &'a Secrets,
    /// What the run was given.
    pub(crate) run: &'a Secrets,
}

impl Redactions<'_> {
    pub(crate) fn text(&self, text: String) -> String {
        self.run.redact(self.tool.redact(text))
    }

    pub(crate) fn json(&self, value: Value) -> Value {
        if self.tool.is_empty() && self.run.is_empty() {
            return value;
        }
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(name, item)| (self.text(name), self.json(item))).collect()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }

    pub(crate) fn error(&self, error: ToolError) -> ToolError {
        match error {
            ToolError::Failed { message, retryable } => {
                ToolError::Failed { message: self.text(message), retryable }
            }
            ToolError::Arguments { message } => ToolError::arguments(self.text(message)),
            ToolError::Unknown { message } => ToolError::Unknown { message: self.text(message) },
            other => other,
        }
    }
}

/// A text that comes in pieces, and may have a secret across two of them.
#[cfg(feature = "driver")]
#[derive(Debug)]
pub(crate) struct Running {
    /// What may be the beginning of a secret.
    held: String,
    /// How much of the text that can be, in bytes.
    longest: usize,
}

#[cfg(feature = "driver")]
impl Running {
    pub(crate) fn new(secrets: &Secrets) -> Self {
        let lengths = secrets.names().filter_map(|name| secrets.get(name));
        let longest = lengths.map(|secret| secret.expose().len().saturating_sub(1)).max();
        Self { held: String::new(), longest: longest.unwrap_or_default() }
    }

    /// What can be shown with this piece.
    pub(crate) fn push(&mut self, secrets: &Secrets, piece: &str) -> String {
        self.held.push_str(piece);
        let mut text = secrets.redact(std::mem::take(&mut self.held));
        let keep = text.floor_char_boundary(text.len().saturating_sub(self.longest));
        self.held = text.split_off(keep);
        text
    }

    /// The rest, at the end.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(all(test, feature = "driver"))]
mod tests {
    use executus_core::secret::Secret;

    use super::*;

    #[test]
    fn a_secret_across_pieces_is_replaced() {
        let text = "hunter2 and hunter2hunter2, not hunter";
        let secrets = [("a".to_owned(), Secret::new("hunter2"))].into_iter().collect();
        for size in 1..text.len() {
            let mut running = Running::new(&secrets);
            let pieces = text.as_bytes().chunks(size).map(|piece| str::from_utf8(piece).unwrap());
            let mut shown: String = pieces.map(|piece| running.push(&secrets, piece)).collect();
            shown.push_str(&running.finish());
            assert_eq!(shown, "[redacted] and [redacted][redacted], not hunter", "{size}");
        }
        let none = Secrets::default();
        let mut running = Running::new(&none);
        assert_eq!(running.push(&none, "at once"), "at once");
    }
}
