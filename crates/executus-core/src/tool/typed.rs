//! Tools from a closure: the schema of the arguments comes from their type.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};

type Answer = Pin<Box<dyn Future<Output = Result<ToolOutput, ToolError>> + Send>>;
type Body = dyn Fn(&ToolContext, &Value) -> Result<Answer, ToolError> + Send + Sync;

/// A tool made by [`typed`].
pub struct TypedTool {
    spec: ToolSpec,
    body: Box<Body>,
}

impl TypedTool {
    /// With another spec made from this one: a timeout, the blocking pool.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(ToolSpec) -> ToolSpec) -> Self {
        self.spec = change(self.spec);
        self
    }
}

impl fmt::Debug for TypedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedTool").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// A tool from an async closure over a typed argument.
///
/// Arguments that do not fit the type are answered with an error that says where; the closure is
/// not called.
///
/// ```
/// use executus_core::tool::{Effect, ToolOutput, typed};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Sum {
///     /// The numbers to add.
///     numbers: Vec<i64>,
/// }
///
/// let tool = typed("sum", "Adds numbers", Effect::ReadOnly, |_context, args: Sum| async move {
///     Ok(ToolOutput::text(args.numbers.iter().sum::<i64>().to_string()))
/// });
/// # let _ = tool;
/// ```
pub fn typed<A, F, R>(name: &str, description: &str, effect: Effect, body: F) -> TypedTool
where
    A: DeserializeOwned + JsonSchema,
    F: Fn(ToolContext, A) -> R + Send + Sync + 'static,
    R: Future<Output = Result<ToolOutput, ToolError>> + Send + 'static,
{
    let spec = ToolSpec::new(name, description)
        .parameters(schemars::schema_for!(A).to_value())
        .effect(effect);
    let body = move |context: &ToolContext, args: &Value| {
        let args = A::deserialize(args).map_err(|error| ToolError::arguments(error.to_string()))?;
        Ok(Box::pin(body(context.clone(), args)) as Answer)
    };
    TypedTool { spec, body: Box::new(body) }
}

#[async_trait]
impl Tool for TypedTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        (self.body)(context, args)?.await
    }
}
