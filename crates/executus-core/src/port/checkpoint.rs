//! Checkpointer: the facts of unfinished runs, so that a crash loses nothing acknowledged.
//!
//! **For** going on after a crash or a shutdown. **Called** by the executor: `append` with the new
//! records, in batches, but always before a call that is not read-only; `renew` for the runs under
//! way, three times in a lease; at the end one `complete` or one `fail`, and for an interrupted run
//! neither, but `release`; `list`, `parked`, `load` and `claim` at boot.
//!
//! A run is **held** by whoever performs it: one opened store, the *holder*. A holder is a process,
//! or a part of one.
//!
//! # Guarantees
//! - **K1** When `append` returns `Ok`, the records MUST be durable.
//! - **K2** `append` MUST be idempotent by sequence number: a record that is there already is kept
//!   as it is.
//! - **K3** The cost of `append` MUST NOT grow with the run.
//! - **K4** `load` MUST return all appended records in order. A gap in the sequence is refused, except
//!   before a [`Fact::Resumed`]: the records between were void.
//! - **K5** `complete` and `fail` end the keeping of a run: it MUST NOT be listed any more. Both are
//!   idempotent.
//! - **K6** Of several claims of one run exactly one MUST succeed until it is over or its lease ran
//!   out: only one process resumes a run. The first `append` of a run holds it as a claim does.
//! - **K7** `append`, `complete` and `fail` by another than the holder MUST be refused as
//!   [`Lost`](CheckpointError::Lost), and change nothing: who was thought dead does no harm when he
//!   comes back. `renew` tells him.
//! - **K8** A claim MUST be counted, durably, before it returns; `in_vain` MUST begin at 0 again with
//!   an appended fact that shows an advance, see [`Saved::in_vain`]. A claim that is released before
//!   anything was appended was none.
//! - **K9** A parked run MUST be neither listed nor claimed until it is unparked.
//!
//! # Cancellation
//! A dropped call MAY have taken effect; each may be called again.
//!
//! # Errors and panics
//! Saves fail open: an error or a panic is logged and the records are kept for the next save,
//! except the save before a `Once` call, whose failure ends the run with an error of kind
//! `checkpoint`. A run that was lost is left to whoever has it.
//!
//! Proved by `executus_testkit::conformance::checkpointer`.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::Cause;
use crate::id::RunId;
use crate::record::{Fact, Record};
use crate::status::RunError;

/// What is kept of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// All records, in order; the first is the opening one.
    pub records: Vec<Record>,
    /// How many lives the run has been given by `claim`, the first one not counted.
    pub claims: u32,
    /// How many lives in a row were claimed and left no fact that shows an advance: a decision, a
    /// call's answer, or an end. See [`advances`].
    pub in_vain: u32,
    /// Why the run is not to be resumed, while it is parked.
    pub parked: Option<RunError>,
}

/// Whether a life that leaves this fact was not in vain: a run that kills its worker each time
/// leaves none of them.
#[must_use]
pub const fn advances(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Decided(_)
            | Fact::Acted(_)
            | Fact::Answered(_)
            | Fact::Stopped(_)
            | Fact::Refused { .. }
    )
}

/// Keeps the facts of unfinished runs.
#[async_trait]
pub trait Checkpointer: Send + Sync {
    /// Appends records of a run, and holds it for the length of a lease from now on. The first
    /// records of a run make its writer the holder.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn append(
        &self,
        run: &RunId,
        records: &[Record],
        lease: Duration,
    ) -> Result<(), CheckpointError>;

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

    /// The runs that have not ended, that nobody holds and that are not parked.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn list(&self) -> Result<Vec<RunId>, CheckpointError>;

    /// Claims a run for resuming, for the length of a lease. `false`: it is held, by whomever; it
    /// is parked; or nothing is kept of it.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn claim(&self, run: &RunId, lease: Duration) -> Result<bool, CheckpointError>;

    /// Holds these runs for the length of a lease from now on. Returns those that somebody else
    /// holds by now; one of which nothing is kept is left out.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn renew(&self, runs: &[RunId], lease: Duration) -> Result<Vec<RunId>, CheckpointError>;

    /// Gives up a run that this holder has; nothing happens to another's.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn release(&self, run: &RunId) -> Result<(), CheckpointError>;

    /// Sets a run aside that nobody holds, or that this holder has.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn park(&self, run: &RunId, why: &RunError) -> Result<(), CheckpointError>;

    /// Lets a parked run be resumed again: `in_vain` is 0. Whether it was parked.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn unpark(&self, run: &RunId) -> Result<bool, CheckpointError>;

    /// The parked runs.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    async fn parked(&self) -> Result<Vec<RunId>, CheckpointError>;

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
    /// Somebody else holds the run, or nobody does any more.
    #[error("run {run} is held by somebody else, or was given up")]
    Lost {
        /// Which run.
        run: RunId,
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
            Self::Gap { .. } | Self::Lost { .. } | Self::Corrupt { .. } => false,
            Self::Unavailable { .. } => true,
        }
    }
}
