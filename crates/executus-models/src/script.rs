//! The form of a recording: one reply a line, as JSON.

use std::sync::Arc;
use std::time::Duration;

use executus_core::transcript::SecretSlot;
use executus_core::{Call, ModelError, Reply, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One line: what the model said, or why it did not.
///
/// A line that people write needs `text` or `tool_calls` alone; the other fields are what a
/// recording keeps so that the same run comes out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Line {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<LineCall>,
    #[serde(skip_serializing_if = "is_default")]
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<LineError>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineCall {
    #[serde(default, skip_serializing_if = "no_text")]
    id: Arc<str>,
    name: Arc<str>,
    #[serde(default)]
    args: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<SecretSlot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broken: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineError {
    kind: ErrorKind,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErrorKind {
    Unavailable,
    RateLimited,
    ContextOverflow,
    Rejected,
    Malformed,
    Failed,
}

fn is_default(usage: &Usage) -> bool {
    *usage == Usage::default()
}

fn no_text(text: &Arc<str>) -> bool {
    text.is_empty()
}

impl Line {
    /// What was decided, as a line.
    pub(crate) fn of(decided: &Result<Reply, ModelError>) -> Self {
        match decided {
            Ok(reply) => Self {
                text: reply.text.clone(),
                tool_calls: reply.calls.iter().map(LineCall::of).collect(),
                usage: reply.usage,
                model: reply.model.clone(),
                cut: reply.cut.clone(),
                error: None,
            },
            Err(error) => Self { error: Some(LineError::of(error)), ..Self::default() },
        }
    }

    /// What the line decides.
    pub(crate) fn decide(self) -> Result<Reply, ModelError> {
        if let Some(error) = self.error {
            return Err(error.into_model_error());
        }
        Ok(Reply {
            text: self.text,
            calls: self.tool_calls.into_iter().map(LineCall::into_call).collect(),
            usage: self.usage,
            model: self.model,
            cut: self.cut,
        })
    }
}

impl LineCall {
    fn of(call: &Call) -> Self {
        Self {
            id: Arc::clone(&call.id),
            name: Arc::clone(&call.name),
            args: call.args.as_object().cloned().unwrap_or_default(),
            secrets: call.secrets.clone(),
            signature: call.signature.clone(),
            broken: call.broken.clone(),
        }
    }

    fn into_call(self) -> Call {
        Call {
            id: self.id,
            name: self.name,
            args: Value::Object(self.args),
            secrets: self.secrets,
            signature: self.signature,
            broken: self.broken,
        }
    }
}

impl LineError {
    fn of(error: &ModelError) -> Self {
        let (kind, message, retry_after) = match error {
            ModelError::Unavailable { message } => (ErrorKind::Unavailable, message, None),
            ModelError::RateLimited { message, retry_after } => {
                (ErrorKind::RateLimited, message, *retry_after)
            }
            ModelError::ContextOverflow { message } => (ErrorKind::ContextOverflow, message, None),
            ModelError::Rejected { message } => (ErrorKind::Rejected, message, None),
            ModelError::Malformed { message } => (ErrorKind::Malformed, message, None),
            ModelError::Failed { message } => (ErrorKind::Failed, message, None),
            other => {
                return Self {
                    kind: ErrorKind::Failed,
                    message: other.to_string(),
                    retry_after_ms: None,
                };
            }
        };
        let retry_after_ms = retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
        Self { kind, message: message.clone(), retry_after_ms }
    }

    fn into_model_error(self) -> ModelError {
        let message = self.message;
        match self.kind {
            ErrorKind::Unavailable => ModelError::Unavailable { message },
            ErrorKind::RateLimited => {
                let retry_after = self.retry_after_ms.map(Duration::from_millis);
                ModelError::RateLimited { message, retry_after }
            }
            ErrorKind::ContextOverflow => ModelError::ContextOverflow { message },
            ErrorKind::Rejected => ModelError::Rejected { message },
            ErrorKind::Malformed => ModelError::Malformed { message },
            ErrorKind::Failed => ModelError::Failed { message },
        }
    }
}
