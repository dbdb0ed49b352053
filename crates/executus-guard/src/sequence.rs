//! Several actions in one call, one after the other.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::isolate::isolate;
use executus_core::text::bounded_to;
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Toolbox};
use serde_json::{Value, json};
use thiserror::Error;

/// The most actions of one call.
const ACTIONS: usize = 20;
/// How much of each result is shown.
const RESULT: usize = 4000;

/// A tool that makes actions of other tools, one after the other, and stops at the first that fails.
///
/// Each action is a call of its tool: guarded, if the tool is, with a limit and an idempotency key
/// of its own. Its effect is the gravest of theirs.
///
/// **Cancellation**: dropping the call drops the action under way; those before it were made.
pub struct Sequence {
    spec: ToolSpec,
    tools: Toolbox,
}

/// What is to be called, with which arguments.
type Action<'a> = (&'a Arc<dyn Tool>, Value);

/// A tool that cannot be part of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{tool}` cannot be part of a sequence: each of its calls is approved by somebody")]
pub struct SequenceError {
    /// The tool.
    pub tool: String,
}

impl Sequence {
    /// A sequence under this name, of these tools.
    ///
    /// # Errors
    /// [`SequenceError`] for a tool whose calls somebody approves.
    pub fn new(name: &str, tools: Toolbox) -> Result<Self, SequenceError> {
        if let Some(tool) = tools.iter().find(|tool| tool.spec().approval.is_some()) {
            return Err(SequenceError { tool: tool.spec().name.to_string() });
        }
        let gravity = |effect: Effect| match effect {
            Effect::ReadOnly => 0,
            Effect::Idempotent => 1,
            Effect::Once => 2,
        };
        let effects = tools.iter().map(|tool| tool.spec().effect);
        let effect = effects.max_by_key(|effect| gravity(*effect)).unwrap_or(Effect::ReadOnly);
        let names = tools.names();
        let description = format!(
            "Makes several actions, one after the other, and stops at the first that fails. \
             Tools: {names}."
        );
        let mut spec = ToolSpec::new(name, description).effect(effect).parameters(json!({
            "type": "object",
            "properties": {"actions": {
                "type": "array",
                "minItems": 1,
                "maxItems": ACTIONS,
                "items": {
                    "type": "object",
                    "properties": {"tool": {"type": "string"}, "args": {"type": "object"}},
                    "required": ["tool"],
                },
            }},
            "required": ["actions"],
        }));
        spec.blocking = tools.iter().any(|tool| tool.spec().blocking);
        Ok(Self { spec, tools })
    }

    fn read<'a>(&'a self, args: &'a Value) -> Result<Vec<Action<'a>>, ToolError> {
        let actions = args.get("actions").and_then(Value::as_array);
        let actions = actions.ok_or_else(|| ToolError::arguments("`actions` is a list"))?;
        if actions.is_empty() || actions.len() > ACTIONS {
            return Err(ToolError::arguments(format!("`actions` has 1 to {ACTIONS} elements")));
        }
        let read = actions.iter().enumerate().map(|(at, action)| {
            let name = action.get("tool").and_then(Value::as_str).unwrap_or_default();
            let tool = self.tools.get(name).ok_or_else(|| {
                let known = self.tools.names();
                ToolError::arguments(format!(
                    "action {}: no tool `{name}`; there are: {known}",
                    at + 1
                ))
            })?;
            Ok((tool, action.get("args").cloned().unwrap_or_else(|| json!({}))))
        });
        // All are read before one is made.
        read.collect()
    }
}

#[async_trait]
impl Tool for Sequence {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let actions = self.read(args)?;
        let all = actions.len();
        let mut whole = ToolOutput::default();
        for (at, (tool, args)) in (1_u32..).zip(actions) {
            let name = &tool.spec().name;
            let context = context.part(at - 1);
            let made = isolate(|| tool.call(&context, &args));
            let made = match tool.spec().timeout {
                None => Ok(made.await),
                Some(limit) => tokio::time::timeout(limit, made).await.map_err(|_| limit),
            };
            let error = match made {
                Ok(Ok(Ok(output))) => {
                    let text = bounded_to(output.text, RESULT);
                    whole.text.push_str(&format!("{at}. {name}: {text}\n"));
                    whole.artifacts.extend(output.artifacts);
                    continue;
                }
                Ok(Ok(Err(error))) => error,
                Ok(Err(panicked)) => ToolError::Panicked { message: panicked.0 },
                Err(_) if tool.spec().effect == Effect::Once => ToolError::Unknown {
                    message: "cut after its time; it may have happened".into(),
                },
                Err(limit) => ToolError::Timeout {
                    limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
                },
            };
            let before = bounded_to(whole.text, RESULT);
            let left = all - at as usize;
            let message = format!(
                "action {at} of {all}, {name}, failed: {error}\n{left} after it were not made. \
                 Before it:\n{before}"
            );
            return Err(match error {
                ToolError::Denied { code, ends_run, .. } => {
                    ToolError::Denied { code, message, ends_run }
                }
                ToolError::Unknown { .. } => ToolError::Unknown { message },
                _ => ToolError::failed(message),
            });
        }
        Ok(whole)
    }
}

impl std::fmt::Debug for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sequence").field("tools", &self.tools).finish_non_exhaustive()
    }
}
