//! What a tool knows of the run that calls it.

use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::executor::{Finalizer, FinalizerPhase, RunHandle, RunRequest, Shared, StartError};
use crate::id::{HoldId, Key, RunId};
use crate::secret::Secrets;
use crate::spec::RunSpec;
use crate::status::Tally;
use crate::time::Timestamp;

/// The call a tool is performing, and the run around it. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct ToolContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) spec: Arc<RunSpec>,
    pub(crate) secrets: Secrets,
    pub(crate) step: u32,
    pub(crate) call: u32,
    /// Which part of the call this is, for one that is made of several.
    pub(crate) part: Option<Arc<str>>,
    pub(crate) deadline: Timestamp,
    /// What this run spends on, and its children with it.
    pub(crate) hold: Option<HoldId>,
}

impl ToolContext {
    /// The run that calls.
    #[must_use]
    pub fn run_id(&self) -> &RunId {
        &self.spec.run_id
    }

    /// What the run was asked to be.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        &self.spec
    }

    /// Where the call stands in its run.
    #[must_use]
    pub const fn key(&self) -> Key {
        Key { step: self.step, call: Some(self.call), args: None }
    }

    /// One text for this call, the same whenever it is repeated: an idempotency key.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let key = self.key().in_run(self.run_id());
        match &self.part {
            None => key,
            Some(part) => format!("{key}.{part}"),
        }
    }

    /// For a tool that calls others: the context of its call with this number, from 0. It has an
    /// idempotency key of its own.
    #[must_use]
    pub fn part(&self, number: u32) -> Self {
        let part = match &self.part {
            None => number.to_string(),
            Some(part) => format!("{part}.{number}"),
        };
        Self { part: Some(part.into()), ..self.clone() }
    }

    /// Cancelled when the run stops; the call's future is dropped 25 ms later.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        self.shared.token()
    }

    /// When the call is cut: the run's deadline, or the tool's own timeout if that is earlier.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The time left until [`deadline`](Self::deadline).
    #[must_use]
    pub fn time_left(&self) -> std::time::Duration {
        self.deadline.since(self.shared.clock().now())
    }

    /// The run's counts right now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.tally().read()
    }

    /// The run's sensitive parameters.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Tells those who watch how far the call is. Lossy.
    pub fn progress(&self, text: &str) {
        self.shared.emit(|| Event::ToolProgress {
            step: self.step,
            call: self.call,
            text: self.secrets.redact(text.to_owned()),
        });
    }

    /// Registers something to undo when the run ends, whatever happens to this call. The newest
    /// registration is undone first; each is isolated from panics and limited in time.
    pub fn on_clean_up<F>(&self, name: &str, action: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.shared.register(Finalizer::new(FinalizerPhase::CleanUp, name, action));
    }

    /// Starts a child of this run on the same executor: the same caller and channel, this run as
    /// its parent, a deadline a margin before this call's, cancelled when this run ends, and its
    /// spending on this run's hold. Settling this run waits for it.
    ///
    /// # Errors
    /// As [`Executor::start`](crate::Executor::start).
    pub fn delegate(&self, request: RunRequest) -> Result<RunHandle, StartError> {
        self.shared.executor().start_child(request, self)
    }
}
