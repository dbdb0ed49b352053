//! The steps of a playbook, as data.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use crate::template::Template;
use crate::tool::ToolDef;

mod read;

pub(crate) use read::{Surroundings, read_steps};

/// A step: one call of a tool, its verification, and what happens when it fails.
#[derive(Debug, Clone)]
pub struct StepDef {
    /// The id, unique in the playbook.
    pub id: Arc<str>,
    /// What the step does, for people; the id when the file has none.
    pub description: Template,
    /// The tool.
    pub tool: Arc<ToolDef>,
    /// The arguments, in file order.
    pub args: Vec<(String, Arg)>,
    /// The name under which later steps and the output find the result.
    pub store_as: Option<String>,
    /// What the result must be.
    pub verify: Option<Verify>,
    /// What happens when the call or its verification fails.
    pub on_failure: OnFailure,
    /// The error to show instead of the raw one; empty for the raw one.
    pub failure_message: Template,
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

/// What a step's result must be.
#[derive(Debug, Clone)]
pub enum Verify {
    /// It contains this text.
    Contains(Template),
    /// It matches this regular expression somewhere.
    Matches(Pattern),
    /// It is this text.
    Equals(Template),
    /// It has something but white space.
    NotEmpty,
}

/// A regular expression that may bind parameters; a bound value matches itself.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(crate) template: Template,
    /// The expression of a template that binds nothing.
    pub(crate) fixed: Option<Regex>,
}

/// What happens when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The playbook ends at the first failure.
    Abort,
    /// One more attempt, then the playbook ends.
    Retry,
    /// One more attempt, then a model takes over this step and all later ones.
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

    /// How often the step is attempted at most.
    #[must_use]
    pub const fn attempts(self) -> u32 {
        match self {
            Self::Abort => 1,
            Self::Retry | Self::LlmRecover => 2,
        }
    }
}
