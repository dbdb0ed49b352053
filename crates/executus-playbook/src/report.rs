//! What became of each step.

use std::sync::Arc;

use executus_core::Usage;

use crate::progress::Known;
use crate::step::{StepDef, StepKind};

/// How a step was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepAction {
    /// By a call of its tool.
    Call,
    /// By a model that read a text into fields.
    Extract,
    /// By handing it over to a model after it had failed, with all later steps.
    LlmHandoff,
}

impl StepAction {
    /// The name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Extract => "extract",
            Self::LlmHandoff => "llm_handoff",
        }
    }
}

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The step's number, from 1.
    pub number: usize,
    /// Its id.
    pub id: Arc<str>,
    /// What it does, bound.
    pub description: String,
    /// How it was done last.
    pub action: StepAction,
    /// How often it was attempted, before any recovery.
    pub attempts: u32,
    /// The text of the successful attempt, or the error of the last one.
    pub outcome: Result<String, String>,
    /// Whether a model took over here, whatever came of it.
    pub recovered: bool,
    /// What the replies of its attempts used, and those of the recovery that took over.
    pub usage: Usage,
    /// How long its calls took, in milliseconds.
    pub duration_ms: u64,
}

impl StepResult {
    pub(crate) fn new(number: usize, step: &StepDef, known: &Known<'_>) -> Self {
        Self {
            number,
            id: Arc::clone(&step.id),
            description: known.render(&step.description),
            action: match step.kind {
                StepKind::Call { .. } => StepAction::Call,
                StepKind::Extract { .. } => StepAction::Extract,
            },
            attempts: 0,
            outcome: Err(String::new()),
            recovered: false,
            usage: Usage::default(),
            duration_ms: 0,
        }
    }

    /// The error of a playbook that ends with this step: its number, description and error.
    pub(crate) fn failure(&self) -> String {
        let error = self.outcome.as_ref().err().map(String::as_str).unwrap_or_default();
        format!("step {} \"{}\" failed: {error}", self.number, self.description)
    }
}

/// The results of a playbook so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaybookReport {
    /// The steps that ended, in order; the last one may have failed.
    pub step_results: Vec<StepResult>,
    /// The error that ends the playbook, if one does: number, description and error of the step.
    /// How a recovery failed is told by the run's own error.
    pub error: Option<String>,
    /// Whether a model took over after the last of `step_results`.
    pub handed_over: bool,
    /// What the replies of the model that took over used; the last step's usage has it too.
    pub recovery: Usage,
}
