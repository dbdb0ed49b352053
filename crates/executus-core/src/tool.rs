//! Tools: what a run can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::transcript::Artifact;

mod approval;
mod context;
mod run_status;
#[cfg(feature = "schema")]
mod typed;

pub use approval::ApprovalLimit;
pub use context::ToolContext;
pub use run_status::RunStatusTool;
#[cfg(feature = "schema")]
pub use typed::{TypedTool, typed};

/// What performing a call twice would do. It decides what may happen after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing changes: the call may be repeated at will.
    ReadOnly,
    /// The second call has no further effect: it may be repeated under its key.
    Idempotent,
    /// Every call counts: it is never repeated once it may have happened.
    #[default]
    Once,
}

impl Effect {
    /// The name used in run files and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Idempotent => "idempotent",
            Self::Once => "once",
        }
    }
}

/// What a tool is called, takes and does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name that the model uses.
    pub name: Arc<str>,
    /// What it does, for the model.
    pub description: Arc<str>,
    /// The JSON schema of its arguments, an object.
    pub parameters: Arc<Value>,
    /// What performing it twice would do.
    pub effect: Effect,
    /// The longest one call may take; `None` for the run's deadline alone.
    pub timeout: Option<Duration>,
    /// It blocks its thread: it runs on the blocking pool, where it may outlive a cancel.
    pub blocking: bool,
    /// Somebody has to approve each call within this time; `None`: nobody has to. Meanwhile the run
    /// is kept, not performed; see [`RunRequest::answers`](crate::RunRequest::answers).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalLimit>,
}

impl ToolSpec {
    /// A tool without arguments, to be performed once.
    pub fn new(name: impl Into<Arc<str>>, description: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            parameters: Arc::new(serde_json::json!({"type": "object", "properties": {}})),
            effect: Effect::Once,
            timeout: None,
            blocking: false,
            approval: None,
        }
    }

    /// With these arguments, as a JSON schema.
    #[must_use]
    pub fn parameters(mut self, schema: Value) -> Self {
        self.parameters = Arc::new(schema);
        self
    }

    /// With this effect.
    #[must_use]
    pub const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// With this time limit per call.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// To be approved by somebody, each call within this time; after it the call is denied.
    #[must_use]
    pub const fn approval(mut self, within: ApprovalLimit) -> Self {
        self.approval = Some(within);
        self
    }

    /// Runs on the blocking pool.
    #[must_use]
    pub const fn blocking(mut self) -> Self {
        self.blocking = true;
        self
    }
}

/// What a tool answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolOutput {
    /// The text for the model.
    pub text: String,
    /// The same as data, where there is some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// What it produced beside text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Arc<Artifact>>,
}

impl ToolOutput {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

/// How a tool call failed. The model reads it as the call's result, and the run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolError {
    /// The tool failed.
    #[error("{message}")]
    Failed {
        /// What happened.
        message: String,
        /// Whether the same call may succeed later.
        retryable: bool,
    },
    /// The arguments are not what the tool takes.
    #[error("bad arguments: {message}")]
    Arguments {
        /// What is wrong with them.
        message: String,
    },
    /// There is no such tool.
    #[error("there is no tool `{name}`; there are: {known}")]
    UnknownTool {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The call was refused.
    #[error("denied ({code}): {message}")]
    Denied {
        /// A stable reason code.
        code: String,
        /// Why, for the model.
        message: String,
        /// Whether the denial ends the run.
        ends_run: bool,
    },
    /// The call took longer than it may.
    #[error("no result within {limit_ms} ms")]
    Timeout {
        /// How long it may take.
        limit_ms: u64,
    },
    /// The call failed, and may have had its effect all the same: the way back broke, say. A call
    /// that counts is not to be made again.
    #[error("{message}")]
    Unknown {
        /// What happened.
        message: String,
    },
    /// The tool panicked.
    #[error("the tool panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// What the tool needs was not configured.
    #[error("not configured: {message}")]
    NotConfigured {
        /// What is missing.
        message: String,
    },
}

impl ToolError {
    /// A failure that the same call would meet again.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), retryable: false }
    }

    /// Arguments that the tool does not take.
    pub fn arguments(message: impl Into<String>) -> Self {
        Self::Arguments { message: message.into() }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Failed { retryable, .. } => *retryable,
            Self::Timeout { .. } => true,
            Self::Arguments { .. }
            | Self::UnknownTool { .. }
            | Self::Denied { .. }
            | Self::Unknown { .. }
            | Self::Panicked { .. }
            | Self::NotConfigured { .. } => false,
        }
    }
}

/// Something a run can do.
///
/// **Called** by the executor, for each call that a model asks for: several at once within a step,
/// and from many runs. **Cancellation**: when the run stops, the context's token is cancelled and
/// the future dropped 25 ms later; a call dropped in the middle is recorded as "outcome unknown".
/// A tool whose work outlives its future must end it in the future's `Drop`. **Panics** in the call
/// or in its drop become the call's error. **Time**: `call` must not block its thread unless the
/// spec says `blocking`.
#[async_trait]
pub trait Tool: Send + Sync {
    /// What the tool is. The same on every call.
    fn spec(&self) -> &ToolSpec;

    /// Performs one call. `args` are the arguments with their secrets bound.
    ///
    /// # Errors
    /// A [`ToolError`] becomes the call's result; the run goes on.
    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError>;
}

/// The tools of a run, by name. Clones share them.
#[derive(Clone, Default)]
pub struct Toolbox(Option<Arc<[Arc<dyn Tool>]>>);

impl Toolbox {
    /// These tools.
    ///
    /// # Errors
    /// [`DuplicateTool`] when two of them have one name.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self, DuplicateTool> {
        let mut tools: Vec<_> = tools.into_iter().collect();
        tools.sort_by(|a, b| a.spec().name.cmp(&b.spec().name));
        if let Some(pair) = tools.windows(2).find(|pair| pair[0].spec().name == pair[1].spec().name)
        {
            return Err(DuplicateTool { name: pair[0].spec().name.to_string() });
        }
        Ok(Self((!tools.is_empty()).then(|| tools.into())))
    }

    /// The tool with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        let tools = self.0.as_deref()?;
        tools.binary_search_by(|tool| (*tool.spec().name).cmp(name)).ok().map(|at| &tools[at])
    }

    /// The tools, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.0.as_deref().unwrap_or_default().iter()
    }

    /// These tools and more.
    ///
    /// # Errors
    /// [`DuplicateTool`] when two of them have one name.
    pub fn and(
        &self,
        more: impl IntoIterator<Item = Arc<dyn Tool>>,
    ) -> Result<Self, DuplicateTool> {
        Self::new(self.iter().cloned().chain(more))
    }

    /// The names, separated by commas.
    #[must_use]
    pub fn names(&self) -> String {
        self.iter().map(|tool| &*tool.spec().name).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|tool| &tool.spec().name)).finish()
    }
}

/// Two tools have one name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("two tools are called `{name}`; give one of them another name")]
pub struct DuplicateTool {
    /// The name.
    pub name: String,
}
