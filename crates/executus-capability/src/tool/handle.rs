//! Reading what lies behind a handle, as a tool.

use async_trait::async_trait;
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::{Value, json};

use super::{Access, clean, object, schema, show};
use crate::handle::{HandleError, Query};
use crate::kernel::{ExpandError, ExpandRequest};

/// Lets the model of a run page through what a handle keeps, as `expand_handle`.
#[derive(Debug, Clone)]
pub struct HandleTool {
    access: Access,
    spec: ToolSpec,
}

impl HandleTool {
    /// What it is called.
    pub const NAME: &'static str = "expand_handle";

    /// Reads what this access was shown handles of.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let about = "Reads rows of a whole result that lies behind a handle, page by page.";
        let properties = json!({
            "handle": {"type": "string", "description": "the handle of an earlier result"},
            "offset": {"type": "integer", "minimum": 0, "description": "rows to skip"},
            "limit": {"type": "integer", "minimum": 0, "description": "rows at most"},
            "fields": {
                "type": "array", "items": {"type": "string"},
                "description": "only these fields",
            },
            // Some providers refuse an object that does not say what its properties are.
            "filter": {
                "type": "object", "properties": {}, "additionalProperties": true,
                "description": "only rows whose fields have these values",
            },
        });
        let spec = ToolSpec::new(Self::NAME, about)
            .parameters(schema(properties, &["handle"]))
            .effect(Effect::ReadOnly);
        Self { access, spec }
    }

    fn not_read(&self, error: &ExpandError) -> ToolError {
        let message = error.to_string();
        match error {
            ExpandError::Handle(HandleError::Constraint(_)) => {
                ToolError::arguments(clean(&message))
            }
            ExpandError::Handle(
                HandleError::Principal | HandleError::Field { .. } | HandleError::Scope { .. },
            ) => self.access.denied(error.code(), &message),
            _ => ToolError::failed(clean(&message)),
        }
    }
}

#[async_trait]
impl Tool for HandleTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let mut args = object(args)?;
        let Some(Value::String(handle)) = args.remove("handle") else {
            return Err(ToolError::arguments(
                "`handle` is missing; expected the handle of a result",
            ));
        };
        let query = Query::read(&Value::Object(args))
            .map_err(|error| ToolError::arguments(clean(&error.to_string())))?;
        let principal = std::sync::Arc::clone(&self.access.principal);
        let request = ExpandRequest {
            run_id: Some(context.run_id().clone()),
            ..ExpandRequest::new(handle, principal, query).action_id(context.idempotency_key())
        };
        let page =
            self.access.kernel.expand(request).await.map_err(|error| self.not_read(&error))?;
        Ok(show::page(&page, self.access.max_text))
    }
}
