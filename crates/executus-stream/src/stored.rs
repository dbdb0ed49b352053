//! What is stored of runs, as a host's audit gives it.

use async_trait::async_trait;
use executus_core::{RunId, RunStatus, Timestamp};
use serde_json::Value;

use crate::error::StoredError;

/// Reads what is durable. A host implements it with the reader of its audit.
///
/// Dropped calls have no effect. Calls may come at once, for many runs.
#[async_trait]
pub trait Stored: Send + Sync {
    /// What is known of a run; `None` when nothing is.
    ///
    /// # Errors
    /// [`StoredError`] when the storage does not answer.
    async fn run(&self, run: &RunId) -> Result<Option<StoredRun>, StoredError>;

    /// The records of a run with a number above `after`, in order, at most `limit` of them: fewer
    /// only when there are no more.
    ///
    /// # Errors
    /// [`StoredError`] when the storage does not answer.
    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoredError>;
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRun {
    /// Its status as recorded; `None` while a life of it goes on, or when that died.
    pub status: Option<RunStatus>,
    /// Whether it is over: nothing more comes.
    pub closed: bool,
}

impl StoredRun {
    /// The status that it ended with.
    pub(crate) fn ended(&self) -> Option<RunStatus> {
        self.status.filter(|status| self.closed && status.is_terminal())
    }
}

/// A record as people read it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its sequence number.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The step, from 1; 0 before the first.
    pub step: u32,
    /// The call within the step.
    pub call: Option<u32>,
    /// The kind of fact.
    pub kind: String,
    /// What happened, scrubbed: an object with the fields that an audit keeps of this kind. Those
    /// that readers of a stream do not get are left out later.
    pub body: Value,
}
