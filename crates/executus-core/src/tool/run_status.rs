//! A tool that tells a run how far it is.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};

/// Answers with the run's own counts so far, its limits and the time it has left, so that a model
/// can pace itself. Its name is [`RunStatusTool::NAME`].
#[derive(Debug)]
pub struct RunStatusTool {
    spec: ToolSpec,
}

impl RunStatusTool {
    /// What the model calls it.
    pub const NAME: &'static str = "run_status";

    /// The tool.
    #[must_use]
    pub fn new() -> Self {
        let description = "How far this run is: steps, tool calls and tokens used, the limits, and \
                           the milliseconds left.";
        Self { spec: ToolSpec::new(Self::NAME, description).effect(Effect::ReadOnly) }
    }
}

impl Default for RunStatusTool {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Tool for RunStatusTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, _args: &Value) -> Result<ToolOutput, ToolError> {
        let tally = context.tally();
        let limits = &context.spec().limits;
        let data = json!({
            "run_id": context.run_id(),
            "steps": tally.steps,
            "max_steps": limits.max_steps,
            "tool_calls": tally.tool_calls,
            "tokens": tally.tokens(),
            "max_tokens": limits.max_tokens,
            "ms_left": u64::try_from(context.time_left().as_millis()).unwrap_or(u64::MAX),
        });
        Ok(ToolOutput { text: data.to_string(), data: Some(data), artifacts: Vec::new() })
    }
}
