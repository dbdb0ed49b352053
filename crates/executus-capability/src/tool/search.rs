//! Finding a capability among many, as a tool.

use async_trait::async_trait;
use executus_core::text::bounded_to;
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::{Value, json};

use super::{Access, object, schema};

/// Lets the model of a run look for capabilities that are too many to be tools of their own, as
/// `search_capabilities`. [`AnyCapabilityTool`](super::AnyCapabilityTool) performs what it finds.
#[derive(Debug, Clone)]
pub struct SearchTool {
    access: Access,
    spec: ToolSpec,
}

impl SearchTool {
    /// What it is called.
    pub const NAME: &'static str = "search_capabilities";
    /// How many it answers unless asked for another number.
    const FOUND: u64 = 10;
    /// How many it answers at most.
    const MOST: u64 = 50;
    /// The longest description and schema of one capability, in bytes.
    const MAX_SHOWN: usize = 1024;

    /// Looks through the registry of this access's kernel.
    #[must_use]
    pub fn new(access: Access) -> Self {
        let about = "Finds capabilities by words, the best first, with the arguments they take.";
        let properties = json!({
            "query": {"type": "string", "description": "words that say what is to be done"},
            "limit": {"type": "integer", "minimum": 1, "maximum": Self::MOST},
        });
        let spec = ToolSpec::new(Self::NAME, about)
            .parameters(schema(properties, &["query"]))
            .effect(Effect::ReadOnly);
        Self { access, spec }
    }
}

#[async_trait]
impl Tool for SearchTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let args = object(args)?;
        let Some(query) = args.get("query").and_then(Value::as_str) else {
            return Err(ToolError::arguments("`query` is missing; expected words"));
        };
        let limit = match args.get("limit") {
            None | Some(Value::Null) => Self::FOUND,
            Some(limit) => match limit.as_u64() {
                Some(limit @ 1..=Self::MOST) => limit,
                _ => {
                    let message = format!("`limit` is {limit}; expected 1 to {}", Self::MOST);
                    return Err(ToolError::arguments(bounded_to(message, 200)));
                }
            },
        };
        let limit = usize::try_from(limit).unwrap_or(1);
        let found = self.access.kernel.registry().search(query, limit);
        let mut lines = Vec::new();
        let mut ids = Vec::new();
        for hit in &found {
            let capability = &hit.capability;
            let about = bounded_to(capability.description.clone(), Self::MAX_SHOWN);
            let takes = bounded_to(capability.parameters.to_string(), Self::MAX_SHOWN);
            lines.push(format!("{}: {about} Takes {takes}", capability.id));
            ids.push(capability.id.as_str());
        }
        if lines.is_empty() {
            lines.push("nothing was found; try other words".into());
        }
        let text = bounded_to(lines.join("\n"), self.access.max_text);
        Ok(ToolOutput { text, data: Some(json!({ "found": ids })), artifacts: Vec::new() })
    }
}
