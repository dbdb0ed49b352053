//! A playbook as a model: it decides from the transcript which step comes next.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::{Entry, Model, Tool, Transcript, Usage};
use serde_json::Value;
use thiserror::Error;

use crate::extract::SubmitFields;
use crate::file::{Body, PlaybookDef, RunFile};
use crate::progress::{Known, Next, Progress};
use crate::report::{PlaybookReport, StepAction};
use crate::step::{OnFailure, StepDef, StepKind};

mod decide;

/// How long a playbook waits before it attempts a step again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Decides a run by the steps of a run file.
///
/// Each attempt of a step is one reply with one call, whose id is the step's id, `#`, and the
/// number of the attempt. The final reply is the output. A playbook keeps nothing between turns:
/// after a crash another instance of the same file goes on from the transcript.
///
/// Three things need a model of its own: an extract step, fields of the output, and a step that is
/// handed over after it failed. What that model used is part of the playbook's reply; it tells of
/// its own failed attempts by
/// [`Turn::attempt_failed`](executus_core::Turn::attempt_failed).
///
/// **Errors**: a step that fails for good ends the run as failed, with the step's number,
/// description and error; after a hand-over with the error of the step and that of the recovery.
/// **Cancellation**: the playbook waits before a second attempt, and for its model; a decision
/// dropped there has done nothing.
pub struct Playbook {
    file: Arc<RunFile>,
    retry_delay: Duration,
    model: Option<Arc<dyn Model>>,
}

/// Why a run file cannot run as a playbook.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaybookError {
    /// The file is an agent: it needs a model provider.
    #[error("`{name}` is an agent, not a playbook; it needs a model provider")]
    NotAPlaybook {
        /// The name in the file.
        name: String,
    },
    /// Something in the file needs a model, and there is none.
    #[error("{place} needs a model; give the playbook one")]
    NoModel {
        /// What needs it: a step by its id, or the fields of the output.
        place: String,
    },
}

impl Playbook {
    /// A playbook that needs no model.
    ///
    /// # Errors
    /// [`PlaybookError`] when the file is no playbook, or when something in it needs a model:
    /// a step with `llm_recover` or `extract`, or fields of the output.
    pub fn new(file: Arc<RunFile>) -> Result<Self, PlaybookError> {
        Self::build(file, None)
    }

    /// A playbook with a model: it reads texts into fields, and it takes over when a step with
    /// `llm_recover` failed for good.
    ///
    /// # Errors
    /// [`PlaybookError::NotAPlaybook`] when the file is no playbook.
    pub fn with_model(file: Arc<RunFile>, model: Arc<dyn Model>) -> Result<Self, PlaybookError> {
        Self::build(file, Some(model))
    }

    fn build(file: Arc<RunFile>, model: Option<Arc<dyn Model>>) -> Result<Self, PlaybookError> {
        let playbook = Self { file, retry_delay: RETRY_DELAY, model };
        let Some(def) = playbook.def() else {
            return Err(PlaybookError::NotAPlaybook { name: playbook.file.name.to_string() });
        };
        match def.first_need().filter(|_| playbook.model.is_none()) {
            Some(place) => Err(PlaybookError::NoModel { place }),
            None => Ok(playbook),
        }
    }

    /// Waits this long before a second attempt, instead of one second.
    #[must_use]
    pub const fn retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// The file.
    #[must_use]
    pub const fn file(&self) -> &Arc<RunFile> {
        &self.file
    }

    /// The playbook's own tools: a host adds them to those of the file. None when no step needs
    /// one.
    #[must_use]
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let extracts = |step: &StepDef| matches!(step.kind, StepKind::Extract { .. });
        match self.steps().iter().any(extracts) {
            true => vec![Arc::new(SubmitFields::of_any())],
            false => Vec::new(),
        }
    }

    /// The most replies that the playbook can take, the final one and those of a recovery
    /// included: what `max_steps` must allow.
    #[must_use]
    pub fn max_replies(&self) -> u32 {
        let attempts = self.steps().iter().map(StepDef::attempts).fold(0, u32::saturating_add);
        let recovers = self.steps().iter().any(|step| self.hands_over(step));
        let recovery = self.def().filter(|_| recovers).map(|def| def.recovery.max_steps);
        // A recovery gives the final reply itself.
        attempts.saturating_add(recovery.unwrap_or(1))
    }

    /// What became of each step. `inputs` are those of the run: `RunSpec::inputs`.
    #[must_use]
    pub fn report(&self, inputs: &Value, transcript: &Transcript) -> PlaybookReport {
        let Some(mut progress) = self.progress(inputs, transcript) else {
            return PlaybookReport::default();
        };
        let failed = match progress.next {
            Next::Failed { step, .. } => self.step(step),
            Next::Attempt { .. } | Next::Finish | Next::Stray { .. } => None,
        };
        let handed_over = failed.is_some_and(|step| self.hands_over(step));
        let mut error = None;
        let mut recovery = Usage::default();
        if let Some(last) = progress.results.last_mut().filter(|_| failed.is_some()) {
            if handed_over {
                last.action = StepAction::LlmHandoff;
                last.recovered = true;
                recovery = used_since(transcript, progress.place);
                last.usage.add(&recovery);
            } else {
                error = Some(last.failure());
            }
        }
        PlaybookReport { error, handed_over, recovery, step_results: progress.results }
    }

    fn def(&self) -> Option<&PlaybookDef> {
        match &self.file.body {
            Body::Playbook(def) => Some(def),
            Body::Agent(_) => None,
        }
    }

    fn steps(&self) -> &[StepDef] {
        self.def().map(|def| def.steps.as_slice()).unwrap_or_default()
    }

    fn step(&self, number: usize) -> Option<&StepDef> {
        self.steps().get(number.checked_sub(1)?)
    }

    fn progress<'a>(
        &'a self,
        inputs: &'a Value,
        transcript: &'a Transcript,
    ) -> Option<Progress<'a>> {
        Some(Progress::of(self.def()?, Known::new(&self.file.params, inputs), transcript))
    }

    fn hands_over(&self, step: &StepDef) -> bool {
        self.model.is_some() && step.on_failure == OnFailure::LlmRecover
    }
}

impl PlaybookDef {
    /// What first needs a model, in words.
    fn first_need(&self) -> Option<String> {
        let step = self.steps.iter().find_map(|step| match (&step.kind, step.on_failure) {
            (StepKind::Extract { .. }, _) => Some(format!("step `{}` reads a text and", step.id)),
            (_, OnFailure::LlmRecover) => Some(format!("step `{}` has `llm_recover` and", step.id)),
            _ => None,
        });
        step.or_else(|| (!self.output.fields.is_empty()).then(|| "[output.fields]".into()))
    }
}

/// What the replies from this place on used.
fn used_since(transcript: &Transcript, place: usize) -> Usage {
    let mut usage = Usage::default();
    for entry in transcript.entries().iter().skip(place) {
        if let Entry::Reply(reply) = entry {
            usage.add(&reply.usage);
        }
    }
    usage
}

impl fmt::Debug for Playbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playbook")
            .field("name", &self.file.name)
            .field("retry_delay", &self.retry_delay)
            .field("has_model", &self.model.is_some())
            .finish_non_exhaustive()
    }
}
