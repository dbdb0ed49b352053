//! Any capability of the file by its id, for models that look for them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use executus_capability::tool::{Access, AnyCapabilityTool};
use executus_capability::{Capability, CapabilityTool};
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::Value;

/// [`AnyCapabilityTool`] with what the file says of each capability: its mode and its rows.
pub(super) struct InvokeTool {
    /// For ids that the file does not have.
    any: AnyCapabilityTool,
    tools: BTreeMap<String, CapabilityTool>,
    spec: ToolSpec,
    read_only: bool,
}

impl InvokeTool {
    pub(super) fn new<'a>(
        access: Access,
        each: impl Iterator<Item = (&'a Capability, CapabilityTool)>,
        read_only: bool,
    ) -> Self {
        let any = AnyCapabilityTool::new(access);
        let tools: BTreeMap<_, _> =
            each.map(|(capability, tool)| (capability.id.to_string(), tool)).collect();
        let only_reads = tools.values().all(|tool| tool.spec().effect == Effect::ReadOnly);
        // In a read-only run it performs what only reads, and refuses the rest itself.
        let effect = if read_only || only_reads { Effect::ReadOnly } else { Effect::Once };
        let spec = any.spec().clone().effect(effect);
        Self { any, tools, spec, read_only }
    }
}

#[async_trait]
impl Tool for InvokeTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let id = args.get("capability").and_then(Value::as_str).unwrap_or_default();
        let Some(tool) = self.tools.get(id) else { return self.any.call(context, args).await };
        if self.read_only && tool.spec().effect != Effect::ReadOnly {
            return Err(ToolError::Denied {
                code: "read_only".to_owned(),
                message: format!("not made: the run is read-only, and `{id}` is not"),
                ends_run: false,
            });
        }
        tool.call(context, args.get("args").unwrap_or(&Value::Null)).await
    }
}
