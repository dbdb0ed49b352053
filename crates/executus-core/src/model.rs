//! The deciding part of a run: a language model, a playbook, a recording.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::executor::Shared;
use crate::record::Attempt;
use crate::secret::Secrets;
use crate::spec::{Brief, RunSpec};
use crate::status::{ErrorKind, RunError};
use crate::text;
use crate::time::Timestamp;
use crate::tool::Toolbox;
use crate::transcript::{Reply, Transcript, Usage};

/// Decides the next step of a run from its transcript.
///
/// **Called** by the executor once per step, never twice at once for one run, but for many runs at
/// once. **Cancellation**: when the run stops, the turn's token is cancelled and the future is
/// dropped 25 ms later; a dropped decision is not part of the run, the failed attempts that it told
/// of, in its drop too, are. **Panics** end that run with an error of kind `model`. A model keeps no state between turns that is not in the transcript:
/// after a crash another instance goes on from there.
#[async_trait]
pub trait Model: Send + Sync {
    /// Decides: text and calls, or the final answer when there are no calls.
    ///
    /// # Errors
    /// A [`ModelError`] ends the run; a model that wants to try again does so inside.
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError>;
}

/// Why a model did not decide.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The model cannot be reached, or failed on its side.
    #[error("the model is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
    },
    /// Too many requests.
    #[error("the model refused the rate of requests: {message}")]
    RateLimited {
        /// What it said.
        message: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// The transcript no longer fits.
    #[error("the transcript does not fit the model's context: {message}")]
    ContextOverflow {
        /// What it said.
        message: String,
    },
    /// The request is wrong: a bad key, an unknown model, bad settings.
    #[error("the model refused the request: {message}")]
    Rejected {
        /// What it said.
        message: String,
    },
    /// The answer cannot be read, or stopped in the middle.
    #[error("the model's answer cannot be used: {message}")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// The deciding part ends the run as failed, on purpose.
    #[error("{message}")]
    Failed {
        /// Why.
        message: String,
    },
}

impl ModelError {
    /// Whether asking again may help.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::RateLimited { .. } | Self::Malformed { .. } => true,
            Self::ContextOverflow { .. } | Self::Rejected { .. } | Self::Failed { .. } => false,
        }
    }

    pub(crate) fn to_run_error(&self) -> RunError {
        let kind = match self {
            Self::ContextOverflow { .. } => ErrorKind::ContextOverflow,
            Self::Failed { .. } => ErrorKind::Failed,
            Self::Unavailable { .. }
            | Self::RateLimited { .. }
            | Self::Rejected { .. }
            | Self::Malformed { .. } => ErrorKind::Model,
        };
        RunError::new(kind, self.to_string()).retryable(self.retry())
    }
}

/// What a model decides from. It shares what the run has and copies nothing.
#[derive(Debug)]
pub struct Turn {
    pub(crate) shared: Arc<Shared>,
    pub(crate) spec: Arc<RunSpec>,
    /// Another question than the run's own.
    pub(crate) brief: Option<Arc<Brief>>,
    pub(crate) transcript: Transcript,
    pub(crate) tools: Toolbox,
    pub(crate) secrets: Secrets,
    pub(crate) step: u32,
    pub(crate) deadline: Timestamp,
}

impl Turn {
    /// The run.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// The step to decide, from 1.
    #[must_use]
    pub const fn step(&self) -> u32 {
        self.step
    }

    /// What a language model is asked; `None` when nobody said.
    #[must_use]
    pub fn brief(&self) -> Option<&Brief> {
        self.brief.as_deref().or(self.spec.brief.as_deref())
    }

    /// The same turn with another question: for a deciding part that asks a model of its own.
    ///
    /// Pieces and failed attempts of it are those of this turn's step.
    #[must_use]
    pub fn asking(&self, brief: Brief, transcript: Transcript, tools: Toolbox) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            spec: Arc::clone(&self.spec),
            brief: Some(Arc::new(brief)),
            transcript,
            tools,
            secrets: self.secrets.clone(),
            step: self.step,
            deadline: self.deadline,
        }
    }

    /// What happened so far.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The tools there are.
    #[must_use]
    pub const fn tools(&self) -> &Toolbox {
        &self.tools
    }

    /// The run's sensitive parameters.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// When the run times out.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// How much time the run has left.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.since(self.shared.clock().now())
    }

    /// Cancelled when the run stops.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        self.shared.token()
    }

    /// Sends a piece of the answer to those who watch. Lossy: a slow watcher misses some.
    ///
    /// A sensitive value is hidden also where it comes in several pieces: what may be the beginning
    /// of one is sent with the next piece, or when the step is decided.
    pub fn delta(&self, text: &str) {
        self.shared.say(self.step, text, &self.secrets);
    }

    /// Says that an attempt to decide this step failed: before another one is made, before the
    /// error is returned, or when the decision is dropped in the middle. What the attempt used
    /// counts for the run, whatever becomes of the step; what is told after the decision counts for
    /// the next one, if there is one.
    pub fn attempt_failed(&self, model: impl Into<Arc<str>>, error: &str, usage: Usage) {
        let (step, model) = (self.step, model.into());
        let error = self.secrets.redact(error.to_owned());
        let error = text::bounded(text::scrub(&error).into_owned());
        self.shared.emit(|| Event::AttemptFailed {
            step,
            model: Arc::clone(&model),
            error: error.clone(),
        });
        self.shared.deciding().attempted(Attempt { step, model, error, usage });
    }

    /// Tells those who watch to forget the pieces of this step: the answer starts again.
    pub fn reset(&self) {
        self.shared.unsay();
        self.shared.emit(|| Event::DeltaReset { step: self.step });
    }
}
