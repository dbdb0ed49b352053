//! A playbook as a model: it decides from the transcript which step comes next.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::{Call, Model, ModelError, Reply, Transcript, Turn};
use serde_json::Value;
use thiserror::Error;

use crate::arguments::bind_arguments;
use crate::file::{Body, PlaybookDef, RunFile};
use crate::progress::{Known, Next, Progress, call_id};
use crate::report::PlaybookReport;
use crate::step::{OnFailure, StepDef};

/// How long a playbook waits before it attempts a step again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Decides a run by the steps of a run file.
///
/// Each attempt of a step is one reply with one call, whose id is the step's id, `#`, and the
/// number of the attempt. The final reply is the output. A playbook keeps nothing between turns:
/// after a crash another instance of the same file goes on from the transcript.
///
/// **Errors**: a step that fails for good ends the run as failed, with the step's number,
/// description and error. **Cancellation**: the only wait is the one before a second attempt;
/// a decision dropped there has done nothing.
pub struct Playbook {
    file: Arc<RunFile>,
    retry_delay: Duration,
    recovery: Option<Arc<dyn Model>>,
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
    /// A step recovers by a model, and there is none.
    #[error(
        "step `{step}` recovers by a model, and no model is there; \
         set `on_failure` to \"abort\" or \"retry\", or give the playbook a model"
    )]
    NoRecovery {
        /// The step's id.
        step: String,
    },
}

impl Playbook {
    /// A playbook that hands nothing over.
    ///
    /// # Errors
    /// [`PlaybookError`] when the file is no playbook, or a step has `llm_recover`.
    pub fn new(file: Arc<RunFile>) -> Result<Self, PlaybookError> {
        Self::build(file, None)
    }

    /// A playbook whose steps with `llm_recover` are handed to `recovery` after they failed: it
    /// decides from there on, with the playbook's transcript before it.
    ///
    /// # Errors
    /// [`PlaybookError::NotAPlaybook`] when the file is no playbook.
    pub fn with_recovery(
        file: Arc<RunFile>,
        recovery: Arc<dyn Model>,
    ) -> Result<Self, PlaybookError> {
        Self::build(file, Some(recovery))
    }

    fn build(file: Arc<RunFile>, recovery: Option<Arc<dyn Model>>) -> Result<Self, PlaybookError> {
        let playbook = Self { file, retry_delay: RETRY_DELAY, recovery };
        let Some(def) = playbook.def() else {
            return Err(PlaybookError::NotAPlaybook { name: playbook.file.name.to_string() });
        };
        let recovers = |step: &&StepDef| step.on_failure == OnFailure::LlmRecover;
        if let (None, Some(step)) = (&playbook.recovery, def.steps.iter().find(recovers)) {
            return Err(PlaybookError::NoRecovery { step: step.id.to_string() });
        }
        Ok(playbook)
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

    /// The most replies that the steps can take, the final one included: what `max_steps` must
    /// allow. A recovery needs more.
    #[must_use]
    pub fn max_replies(&self) -> u32 {
        let steps = self.def().map(|def| def.steps.as_slice()).unwrap_or_default();
        steps.iter().map(|step| step.on_failure.attempts()).sum::<u32>().saturating_add(1)
    }

    /// What became of each step. `inputs` are those of the run: `RunSpec::inputs`.
    #[must_use]
    pub fn report(&self, inputs: &Value, transcript: &Transcript) -> PlaybookReport {
        let Some(progress) = self.progress(inputs, transcript) else {
            return PlaybookReport { step_results: Vec::new(), error: None, handed_over: false };
        };
        let last = progress.results.last();
        let failed = matches!(progress.next, Next::Failed { .. });
        let handed_over = failed && last.is_some_and(|last| self.hands_over(last.number));
        let error = last.filter(|_| failed && !handed_over).map(|last| last.failure());
        PlaybookReport { error, handed_over, step_results: progress.results }
    }

    fn def(&self) -> Option<&PlaybookDef> {
        match &self.file.body {
            Body::Playbook(def) => Some(def),
            Body::Agent(_) => None,
        }
    }

    fn step(&self, number: usize) -> Option<&StepDef> {
        self.def()?.steps.get(number.checked_sub(1)?)
    }

    fn progress<'a>(
        &'a self,
        inputs: &'a Value,
        transcript: &'a Transcript,
    ) -> Option<Progress<'a>> {
        Some(Progress::of(self.def()?, Known::new(&self.file.params, inputs), transcript))
    }

    fn hands_over(&self, number: usize) -> bool {
        self.recovery.is_some()
            && self.step(number).is_some_and(|step| step.on_failure == OnFailure::LlmRecover)
    }

    /// The reply or the error that follows, and whether it waits for a second attempt.
    fn next(&self, inputs: &Value, transcript: &Transcript) -> Result<Decision, ModelError> {
        let failed = |message: String| ModelError::Failed { message };
        let progress = self
            .progress(inputs, transcript)
            .ok_or_else(|| failed("the run file is no playbook".into()))?;
        match progress.next {
            Next::Attempt { step: number, attempt } => {
                let step = self.step(number).ok_or_else(|| failed(format!("no step {number}")))?;
                let reply = attempt_reply(step, attempt, &progress.known);
                Ok(Decision::Reply { reply, waits: attempt > 1 })
            }
            Next::Finish => {
                let output = self.def().and_then(|def| def.output.as_ref());
                let text = match output {
                    Some(template) => progress.known.render(template),
                    None => progress
                        .results
                        .into_iter()
                        .next_back()
                        .map_or_else(String::new, |last| last.outcome.unwrap_or_default()),
                };
                Ok(Decision::Reply { reply: Reply::text(text), waits: false })
            }
            Next::Failed { step, error } if self.hands_over(step) => {
                Ok(Decision::HandOver { error })
            }
            Next::Failed { error, .. } => {
                let message = progress.results.last().map_or(error, |last| last.failure());
                Err(failed(message))
            }
            Next::Stray { found, expected } => Err(failed(format!(
                "the transcript is not that of this playbook: call `{found}` stands where \
                 `{expected}` was expected; resume with the run file that the run began with"
            ))),
        }
    }
}

enum Decision {
    Reply { reply: Reply, waits: bool },
    HandOver { error: String },
}

fn attempt_reply(step: &StepDef, attempt: u32, known: &Known<'_>) -> Reply {
    let mut call = Call {
        id: call_id(step, attempt).into(),
        name: Arc::clone(&step.tool.name),
        ..Call::default()
    };
    match bind_arguments(step, known) {
        Ok(bound) => {
            call.args = Value::Object(bound.args);
            call.secrets = bound.secrets;
        }
        // The call is answered with this error: the failure is recorded like any other.
        Err(error) => {
            call.args = Value::Object(serde_json::Map::new());
            call.broken = Some(error.into());
        }
    }
    Reply { text: known.render(&step.description), calls: vec![call], ..Reply::default() }
}

#[async_trait]
impl Model for Playbook {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        match self.next(&turn.spec().inputs, turn.transcript())? {
            Decision::Reply { reply, waits } => {
                if waits {
                    tokio::time::sleep(self.retry_delay).await;
                }
                Ok(reply)
            }
            Decision::HandOver { error } => match &self.recovery {
                Some(recovery) => recovery.decide(turn).await.map_err(|recovery| {
                    let message = format!("step error: {error}; recovery error: {recovery}");
                    ModelError::Failed { message }
                }),
                None => Err(ModelError::Failed { message: error }),
            },
        }
    }
}

impl fmt::Debug for Playbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Playbook")
            .field("name", &self.file.name)
            .field("retry_delay", &self.retry_delay)
            .field("recovers", &self.recovery.is_some())
            .finish_non_exhaustive()
    }
}
