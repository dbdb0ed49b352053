//! A tool of a server as a tool of a run.

use std::fmt;

use async_trait::async_trait;
use executus_core::{Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::definition::Definition;
use crate::error::McpError;
use crate::server::McpServer;

/// One tool of an [`McpServer`], as it was listed. Clones share the server.
///
/// **Result**: text content as text, structured content as data; pictures, sounds and files as
/// artifacts, with a mark each in the text. **Effect**: what the host says; where it says nothing
/// every call counts, unless it trusts the server's hints. A call that counts and got no answer ends
/// as [`ToolError::Unknown`], and is never made again. **Time**: the server's limit for a call, or the
/// tool's own.
/// **Cancellation**: at the run's cancel and when the future is dropped, the server is told to stop.
#[derive(Clone)]
pub struct McpTool {
    server: McpServer,
    definition: Definition,
}

impl McpTool {
    pub(crate) const fn new(server: McpServer, definition: Definition) -> Self {
        Self { server, definition }
    }

    /// What the server calls it.
    #[must_use]
    pub fn remote_name(&self) -> &str {
        &self.definition.tool
    }
}

impl fmt::Debug for McpTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpTool")
            .field("name", &self.definition.spec.name)
            .field("server", &self.server.name())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Tool for McpTool {
    fn spec(&self) -> &ToolSpec {
        &self.definition.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let none = Map::new();
        let args = match args {
            Value::Object(args) => args,
            Value::Null => &none,
            _ => return Err(ToolError::arguments("the arguments must be an object")),
        };
        let effect = self.spec().effect;
        let progress = |said: &str| context.progress(said);
        let Definition { tool, limit, .. } = &self.definition;
        let call = Call { tool, args, effect, limit: *limit, progress: &progress };
        let calling = call.perform(&self.server.0);
        let result = tokio::select! {
            biased;
            result = calling => result,
            () = context.cancellation().cancelled() => {
                Err(McpError::Cancelled { server: self.server.name().to_owned() })
            }
        };
        result.map_err(|error| error.of_tool(effect))
    }
}
