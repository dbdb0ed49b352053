//! Any capability by its id, as one tool.

use async_trait::async_trait;
use executus_core::text::bounded_to;
use executus_core::{Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::{Value, json};

use super::{Access, object, schema, show};
use crate::capability::CapabilityId;

/// Lets the model of a run perform any capability of the registry by its id, as
/// `invoke_capability`: for registries too large for a tool each. The policy decides as ever.
///
/// Nothing is known of the effect before a call is made, so every call counts once.
#[derive(Debug, Clone)]
pub struct AnyCapabilityTool {
    access: Access,
    spec: ToolSpec,
}

impl AnyCapabilityTool {
    /// What it is called.
    pub const NAME: &'static str = "invoke_capability";

    /// Performs what this access may.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let about = "Performs a capability that search_capabilities has found, by its id.";
        let properties = json!({
            "capability": {"type": "string", "description": "its id, such as tickets.close"},
            // Some providers refuse an object that does not say what its properties are.
            "args": {
                "type": "object", "properties": {}, "additionalProperties": true,
                "description": "the arguments that it takes",
            },
        });
        let spec = ToolSpec::new(Self::NAME, about).parameters(schema(properties, &["capability"]));
        Self { access, spec }
    }
}

#[async_trait]
impl Tool for AnyCapabilityTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let mut args = object(args)?;
        let id = match args.get("capability").and_then(Value::as_str).map(CapabilityId::new) {
            Some(Ok(id)) => id,
            Some(Err(error)) => {
                return Err(ToolError::arguments(bounded_to(error.to_string(), 400)));
            }
            None => return Err(ToolError::arguments("`capability` is missing; expected its id")),
        };
        let given = object(&args.remove("args").unwrap_or_default())?;
        let frame = self.access.perform(context, &id, given).await?;
        Ok(show::frame(&frame, self.access.max_text))
    }
}
