//! A tool of a run as a driver.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Tool, ToolError};
use serde_json::{Value, json};

use super::{Driver, DriverError, DriverRequest, StreamingDriver};

/// Performs a capability by calling a tool, in the name of the run that asked.
///
/// The tool gets the call's own context: its run, its key, its deadline. An invocation outside of
/// a run has none, and is a failed attempt. The result is the tool's data, or its text as
/// `{"text": …}` when it has none; artifacts are not kept. Any error of the tool is a failed
/// attempt, a denial too.
#[derive(Clone)]
pub struct ToolDriver {
    id: Arc<str>,
    tool: Arc<dyn Tool>,
}

impl ToolDriver {
    /// Calls this tool.
    pub fn new(id: impl Into<Arc<str>>, tool: Arc<dyn Tool>) -> Self {
        Self { id: id.into(), tool }
    }
}

impl fmt::Debug for ToolDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolDriver").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Driver for ToolDriver {
    fn id(&self) -> &str {
        &self.id
    }

    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        let Some(context) = &request.context else {
            return Err(failed(ToolError::NotConfigured {
                message: format!("driver `{}` calls a tool, which only a run can do", self.id),
            }));
        };
        let args = Value::Object((*request.args).clone());
        match self.tool.call(context, &args).await {
            Ok(output) => Ok(output.data.unwrap_or_else(|| json!({"text": output.text}))),
            Err(error) => Err(failed(error)),
        }
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        None
    }
}

fn failed(error: ToolError) -> DriverError {
    match error {
        ToolError::Failed { message, retryable } => DriverError::Failed { message, retryable },
        other => DriverError::Failed { message: other.to_string(), retryable: other.retry() },
    }
}
