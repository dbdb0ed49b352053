//! Checkpointer: the facts of unfinished runs, so that a crash loses nothing acknowledged.
//!
//! **For** going on after a crash or a shutdown. **Called** by the executor: `append` with the new
//! records, in batches, but always before a call that is not read-only; at the end one `complete` or
//! one `fail`, and neither for an interrupted run; `list`, `claim` and `load` at boot.
//!
//! # Guarantees
//! - **K1** When `append` returns `Ok`, the records MUST be durable.
//! - **K2** `append` MUST be idempotent by sequence number: a record that is there already is kept
//!   as it is.
//! - **K3** The cost of `append` MUST NOT grow with the run.
//! - **K4** `load` MUST return all appended records in order. A gap in the sequence is refused, except
//!   before a [`Fact::Resumed`](crate::Fact::Resumed): the records between were void.
//! - **K5** `complete` and `fail` end the keeping of a run: it MUST NOT be listed any more. Both are
//!   idempotent.
//! - **K6** Of several claims of one run exactly one MUST succeed until it is over or its lease ran
//!   out: only one process resumes a run.
//!
//! # Cancellation
//! A dropped call MAY have taken effect; each may be called again.
//!
//! # Errors and panics
//! Saves fail open: an error or a panic is logged and the records are kept for the next save,
//! except the save before a `Once` call, whose failure ends the run with an error of kind
//! `checkpoint`.
//!
//! Proved by `executus_testkit::conformance::checkpointer`.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::Cause;
use crate::id::RunId;
use crate::record::Record;
use crate::status::RunError;

/// What is kept of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// All records, in order; the first is the opening one.
    pub records: Vec<Record>,
    /// How many lives the run has been given by `claim`, the first one not counted.
    pub claims: u32,
}

/// Keeps the facts of unfinished runs.
#[async_trait]
pub trait Checkpointer: Send + Sync {
    /// Appends records of a run.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn append(&self, run: &RunId, records: &[Record]) -> Result<(), CheckpointError>;

    /// The run ended well: its facts need not be kept.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn complete(&self, run: &RunId) -> Result<(), CheckpointError>;

    /// The run ended badly for good.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn fail(&self, run: &RunId, error: &RunError) -> Result<(), CheckpointError>;

    /// The runs that have neither ended nor are claimed.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn list(&self) -> Result<Vec<RunId>, CheckpointError>;

    /// Claims a run for resuming, for the length of a lease. `false`: somebody else has it.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn claim(&self, run: &RunId, lease: Duration) -> Result<bool, CheckpointError>;

    /// What is kept of a run; `None` when nothing is.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn load(&self, run: &RunId) -> Result<Option<Saved>, CheckpointError>;
}

/// Why facts were not kept.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The records leave a gap to what is kept.
    #[error("run {run}: record {found} given where {expected} comes next")]
    Gap {
        /// Which run.
        run: RunId,
        /// The next sequence number.
        expected: u64,
        /// The one given.
        found: u64,
    },
    /// What is kept cannot be read.
    #[error("run {run}: the kept facts cannot be read: {message}")]
    Corrupt {
        /// Which run.
        run: RunId,
        /// What is wrong.
        message: String,
    },
    /// The store cannot be reached, or is full.
    #[error("the checkpoint store is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl CheckpointError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Gap { .. } | Self::Corrupt { .. } => false,
            Self::Unavailable { .. } => true,
        }
    }
}
