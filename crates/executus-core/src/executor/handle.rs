//! What the caller holds of a run.

use std::sync::Arc;

use super::shared::{Shared, cancelled, stop};
use crate::id::RunId;
use crate::record::Phase;
use crate::status::{ErrorKind, Outcome, RunStatus, Tally};
use crate::transcript::Steer;

/// A run that is under way. Dropping it asks the run to stop; settling still happens.
#[derive(Debug)]
pub struct RunHandle {
    shared: Arc<Shared>,
    detached: bool,
}

/// All that is to be known after a run: everything durable, or what was not.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The final outcome. It differs from [`RunHandle::outcome`] only when the record could not be
    /// closed: its status is then `error` of kind `audit`.
    pub outcome: Arc<Outcome>,
    /// The phases of settling that failed, and how.
    pub failures: Vec<(Phase, String)>,
}

impl RunHandle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, detached: false }
    }

    /// The run.
    #[must_use]
    pub fn run_id(&self) -> &RunId {
        &self.shared.spec().run_id
    }

    /// Asks the run to stop: status `cancelled`. The first stop that is asked for counts.
    pub fn cancel(&self) {
        self.shared.request_stop(|| cancelled("the caller stopped the run"));
    }

    /// Asks the run to stop for a reason: status `error` of kind `stopped`.
    pub fn stop(&self, reason: &str) {
        self.shared.request_stop(|| stop(RunStatus::Error, ErrorKind::Stopped, reason));
    }

    /// Puts a text before the model at the next step.
    pub fn steer(&self, source: &str, text: &str) {
        self.shared.steer(Steer { source: source.into(), text: text.to_owned() });
    }

    /// The counts right now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.tally().read()
    }

    /// How the run ends: known as soon as settling begins, and at most 50 ms after the deadline, a
    /// cancel or a stop, whatever the run's task is doing. Cancel safe, and may be asked again.
    ///
    /// For a resumed run they count from when the audit has answered: an earlier life may have ended
    /// it, and then that is how it ended.
    ///
    /// The 50 ms hold when the runtime has a free worker: two workers, or tools that never block
    /// their thread without saying so.
    pub async fn outcome(&self) -> Arc<Outcome> {
        self.shared.wait_outcome().await
    }

    /// All done: the record closed, the budget settled, everything durable that will be. Bounded
    /// by the executor's settling allowance. A host exits after this. Cancel safe.
    pub async fn settled(&self) -> Settled {
        self.shared.wait_settled().await
    }

    /// Somebody who only watches: dropping it changes nothing.
    #[must_use]
    pub fn observe(&self) -> RunObserver {
        RunObserver(Arc::clone(&self.shared))
    }

    /// Lets the run go on without this handle.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

/// Watches a run without holding it. Clones watch the same run.
#[derive(Debug, Clone)]
pub struct RunObserver(Arc<Shared>);

impl RunObserver {
    /// As [`RunHandle::outcome`].
    pub async fn outcome(&self) -> Arc<Outcome> {
        self.0.wait_outcome().await
    }

    /// As [`RunHandle::settled`].
    pub async fn settled(&self) -> Settled {
        self.0.wait_settled().await
    }

    /// What [`settled`](Self::settled) would answer, if it is there.
    #[must_use]
    pub fn try_settled(&self) -> Option<Settled> {
        self.0.settled()
    }

    /// The counts right now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.0.tally().read()
    }
}

impl Drop for RunHandle {
    fn drop(&mut self) {
        if !self.detached && !self.shared.is_stopping() {
            self.shared.request_stop(|| cancelled("the caller dropped the run"));
        }
    }
}
