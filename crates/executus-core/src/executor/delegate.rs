//! Tools made of palette entries.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::port::palette::{Delegation, EntryKind, Palette, PaletteEntry, PaletteError};
use crate::tool::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};

/// A skill or an agent as a tool; without a palette it answers that there is none.
pub(crate) struct PaletteTool {
    palette: Option<Arc<dyn Palette>>,
    kind: EntryKind,
    name: Arc<str>,
    spec: ToolSpec,
}

impl PaletteTool {
    pub(crate) fn new(palette: Option<Arc<dyn Palette>>, entry: PaletteEntry) -> Self {
        let spec = ToolSpec {
            parameters: entry.parameters,
            ..ToolSpec::new(tool_name(entry.kind, &entry.name), entry.description)
        };
        Self { palette, kind: entry.kind, name: entry.name, spec: spec.effect(entry.effect) }
    }

    /// The tool of a name that no palette can resolve.
    pub(crate) fn inert(kind: EntryKind, name: &Arc<str>) -> Self {
        let spec = ToolSpec::new(tool_name(kind, name), "Not configured.").effect(Effect::ReadOnly);
        Self { palette: None, kind, name: Arc::clone(name), spec }
    }
}

fn tool_name(kind: EntryKind, name: &str) -> String {
    format!("{}{name}", kind.prefix())
}

#[async_trait]
impl Tool for PaletteTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let Some(palette) = &self.palette else {
            let message = "this host has no palette of skills and agents".into();
            return Err(ToolError::NotConfigured { message });
        };
        let delegation = Delegation { kind: self.kind, name: &self.name, args, context };
        palette.invoke(delegation).await.map_err(|error| match error {
            PaletteError::Arguments { message } => ToolError::Arguments { message },
            PaletteError::Denied { code, message } => {
                ToolError::Denied { code, message, ends_run: false }
            }
            error => ToolError::Failed { message: error.to_string(), retryable: error.retry() },
        })
    }
}
