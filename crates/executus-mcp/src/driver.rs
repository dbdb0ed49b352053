//! A server as a driver of capabilities.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_capability::driver::{Driver, DriverError, DriverRequest, StreamingDriver};
use serde_json::{Value, json};

use crate::call::Call;
use crate::error::McpError;
use crate::server::McpServer;

/// Performs operations by the tools of an [`McpServer`].
///
/// The operation of a request names the tool: by what [`operation`](McpDriverBuilder::operation)
/// says, and nothing else is called. The argument `operation` that named it does not go to the
/// server. **Result**: the structured content, or the text as `{"text": …}` where there is none;
/// pictures, sounds and files are not kept. A tool that says that it failed is a failed attempt, a
/// connection that was lost a dropped one. **Effect**: the capability's; what the server says of its
/// tools does not count here.
#[derive(Clone)]
pub struct McpDriver {
    id: Arc<str>,
    server: McpServer,
    operations: Arc<BTreeMap<String, String>>,
}

impl McpDriver {
    /// A driver with this name, which does nothing yet.
    pub fn builder(id: impl Into<Arc<str>>, server: McpServer) -> McpDriverBuilder {
        McpDriverBuilder { id: id.into(), server, operations: BTreeMap::new() }
    }
}

impl fmt::Debug for McpDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpDriver")
            .field("id", &self.id)
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}

/// Collects the operations of an [`McpDriver`].
#[derive(Debug)]
pub struct McpDriverBuilder {
    id: Arc<str>,
    server: McpServer,
    operations: BTreeMap<String, String>,
}

impl McpDriverBuilder {
    /// Performs this operation, which is a capability's id or what its requests call it, by this
    /// tool, by the name that the server gives it.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>, tool: impl Into<String>) -> Self {
        self.operations.insert(operation.into(), tool.into());
        self
    }

    /// The driver.
    #[must_use]
    pub fn build(self) -> McpDriver {
        McpDriver { id: self.id, server: self.server, operations: Arc::new(self.operations) }
    }
}

#[async_trait]
impl Driver for McpDriver {
    fn id(&self) -> &str {
        &self.id
    }

    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        let Some(tool) = self.operations.get(&*request.operation) else {
            return Err(DriverError::NoOperation {
                driver: self.id.to_string(),
                operation: request.operation.to_string(),
            });
        };
        let mut args = (*request.args).clone();
        let named = args.get("operation").and_then(Value::as_str);
        if named == Some(&*request.operation) {
            args.remove("operation");
        }
        let context = request.context.as_ref();
        let progress = |said: &str| {
            if let Some(context) = context {
                context.progress(said);
            }
        };
        let effect = request.capability.effect();
        let limit = self.server.0.limits.call;
        let call = Call { tool, args: &args, effect, limit, progress: &progress };
        match call.perform(&self.server.0).await {
            Ok(output) => Ok(output.data.unwrap_or_else(|| json!({"text": output.text}))),
            Err(error) => Err(failed(&error)),
        }
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        None
    }
}

fn failed(error: &McpError) -> DriverError {
    let message = error.to_string();
    match error {
        McpError::Timeout { .. } => DriverError::Timeout { message },
        McpError::Lost { .. } => DriverError::Dropped { message },
        _ => DriverError::Failed { message, retryable: error.retry() },
    }
}
