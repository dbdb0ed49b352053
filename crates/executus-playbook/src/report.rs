//! What became of each step.

use std::sync::Arc;

use crate::progress::Known;
use crate::step::StepDef;

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// The step's number, from 1.
    pub number: usize,
    /// Its id.
    pub id: Arc<str>,
    /// What it does, bound.
    pub description: String,
    /// How often it was attempted.
    pub attempts: u32,
    /// The text of the successful attempt, or the error of the last one.
    pub outcome: Result<String, String>,
    /// How long its calls took, in milliseconds.
    pub duration_ms: u64,
}

impl StepResult {
    pub(crate) fn new(number: usize, step: &StepDef, known: &Known<'_>) -> Self {
        Self {
            number,
            id: Arc::clone(&step.id),
            description: known.render(&step.description),
            attempts: 0,
            outcome: Err(String::new()),
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookReport {
    /// The steps that ended, in order; the last one may have failed.
    pub step_results: Vec<StepResult>,
    /// The error that ends the playbook, if one does: number, description and error of the step.
    pub error: Option<String>,
    /// Whether a model took over after the last of `step_results`.
    pub handed_over: bool,
}
