//! The steps of a playbook, as data.

use std::sync::Arc;

use serde_json::Value;

use crate::param::ParamDef;
use crate::template::Template;
use crate::tool::ToolDef;

mod args;
mod read;
mod verify;

pub(crate) use read::{Surroundings, read_steps};
pub use verify::{Pattern, Verify};

/// A step: what is done, its verification, and what happens when it fails.
#[derive(Debug, Clone)]
pub struct StepDef {
    /// The id, unique in the playbook.
    pub id: Arc<str>,
    /// What the step does, for people; the id when the file has none.
    pub description: Template,
    /// What is done.
    pub kind: StepKind,
    /// The name under which later steps and the output find the result.
    pub store_as: Option<String>,
    /// What the result must be.
    pub verify: Option<Verify>,
    /// What happens when it or its verification fails.
    pub on_failure: OnFailure,
    /// The error to show instead of the raw one; empty for the raw one.
    pub failure_message: Template,
}

/// What a step does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StepKind {
    /// It calls a tool.
    Call {
        /// The tool.
        tool: Arc<ToolDef>,
        /// The arguments, in file order.
        args: Vec<(String, Arg)>,
    },
    /// A model reads a text into fields; the result is a JSON object.
    Extract {
        /// The text.
        text: Template,
        /// The fields, at least one, in file order.
        fields: Vec<ParamDef>,
    },
}

impl StepDef {
    /// How often the step is attempted at most. A model that was asked in vain is not asked the
    /// same again before another one takes over.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        match (&self.kind, self.on_failure) {
            (StepKind::Extract { .. }, OnFailure::LlmRecover) => 1,
            _ => self.on_failure.attempts(),
        }
    }
}

/// An argument: a value whose texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub enum Arg {
    /// A text.
    Text(Template),
    /// A number or a boolean.
    Plain(Value),
    /// An array.
    Array(Vec<Self>),
    /// A table.
    Table(Vec<(String, Self)>),
}

/// What happens when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The playbook ends at the first failure.
    Abort,
    /// One more attempt, then the playbook ends.
    Retry,
    /// One more attempt (of a call), then a model takes over this step and all later ones.
    #[default]
    LlmRecover,
}

impl OnFailure {
    /// The name in run files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::LlmRecover => "llm_recover",
        }
    }

    /// How often a step that calls a tool is attempted at most.
    #[must_use]
    pub const fn attempts(self) -> u32 {
        match self {
            Self::Abort => 1,
            Self::Retry | Self::LlmRecover => 2,
        }
    }
}
