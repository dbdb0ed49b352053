//! A tool of the run file as what performs a capability.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::Value;

/// A tool whose result is data where its text is JSON: a process prints it, a server sends it. Kept
/// to its own limit in time, which is the executor's to keep where a tool is called directly.
pub(super) struct FileTool {
    pub(super) tool: Arc<dyn Tool>,
    /// Whether the data of its output is its result; of a process it is not.
    pub(super) has_data: bool,
}

#[async_trait]
impl Tool for FileTool {
    fn spec(&self) -> &ToolSpec {
        self.tool.spec()
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let call = self.tool.call(context, args);
        let output = match self.spec().timeout {
            None => call.await?,
            Some(limit) => tokio::time::timeout(limit, call).await.map_err(|_| {
                let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                ToolError::Timeout { limit_ms }
            })??,
        };
        // What a process says beside its text (an exit code, the end of its standard error) is not
        // the result.
        let own = output.data.filter(|_| self.has_data);
        let data = own.or_else(|| serde_json::from_str(&output.text).ok());
        let data = data.filter(|data: &Value| data.is_object() || data.is_array());
        Ok(ToolOutput { data, ..output })
    }
}
