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
