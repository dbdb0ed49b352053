//! Audit: the trail of every run.
//!
//! **For** knowing afterwards what a run did, whatever happened to it. **Called** by the executor:
//! [`Audit::start`] once per life of a run, before anything else; then the recorder, from the run's
//! task alone, one record per fact; at the end one `close`, or one `suspend`.
//!
//! # Guarantees
//! - **A1** Records of a run MUST be kept in the order in which they were given.
//! - **A2** When `flush` or `close` returns `Ok`, all that was given before MUST be durable.
//! - **A3** `record` MUST NOT wait for I/O. It MAY refuse with [`AuditError::Full`]; the executor
//!   then awaits `flush` and gives the record once more.
//! - **A4** A run MUST have at most one close over all its lives: `start` of a closed run answers
//!   [`AuditError::Closed`] with the recorded outcome, and closing twice returns `Ok` and changes
//!   nothing.
//! - **A5** `start` of a run that is known MUST continue its log (a later life); `last_seq` says how
//!   far it goes. Starting the same life twice MUST NOT lose a record. A record that is kept already
//!   is kept as it is, and giving it again is `Ok`; a gap is refused, except before a
//!   [`Fact::Resumed`](crate::Fact::Resumed).
//! - **A6** Records of many runs MAY be given at once; each run's trail MUST be its own.
//! - **A7** What is kept for people MUST be scrubbed; see [`crate::text::scrub_json`].
//!
//! # Cancellation
//! A dropped `start` MAY have begun the record; the executor cuts it only by its own limit. A
//! dropped `flush`, `close` or `suspend` MAY have taken effect; each may be called again.
//!
//! # Errors and panics
//! No audit, no run: an error or a panic of `start` refuses the run with an error of kind `audit`;
//! one of `record` or `flush` stops it. When `close` fails, the run's final status is `error` of
//! kind `audit`. A dropped recorder MUST NOT close the run: the process may be dying.
//!
//! Proved by `executus_testkit::conformance::audit`.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Cause;
use crate::record::Record;
use crate::spec::RunSpec;
use crate::status::Outcome;
use crate::time::Timestamp;

/// The start record: what audit and critic learn of a run before it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// Who runs what for whom, with which inputs and limits.
    pub spec: std::sync::Arc<RunSpec>,
    /// Which life of the run begins, from 1.
    pub attempt: u32,
    /// When this life began.
    pub at: Timestamp,
}

/// Starts the trail of runs.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Starts or continues the trail of a run. `None` means: unrecorded, by choice.
    ///
    /// # Errors
    /// An error refuses the run.
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError>;
}

/// The trail of one life of one run.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// The newest sequence number kept of the run when this life began; 0 for a new run.
    fn last_seq(&self) -> u64;

    /// Takes one record. Never waits.
    ///
    /// # Errors
    /// [`AuditError::Full`] asks for a flush; any other error stops the run.
    fn record(&self, record: &Record) -> Result<(), AuditError>;

    /// Waits until all that was given is durable.
    ///
    /// # Errors
    /// An error stops the run.
    async fn flush(&self) -> Result<(), AuditError>;

    /// Ends the trail for good, durably.
    ///
    /// # Errors
    /// An error makes the run's final status `error` of kind `audit`.
    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError>;

    /// Ends the trail of this life, durably; another life may continue it.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError>;
}

/// Why an audit did not record.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The queue is full: flush, then give the record again.
    #[error("the audit queue is full")]
    Full,
    /// The store cannot be reached, or is busy; later it may work.
    #[error("the audit store is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
    /// The store is broken or full: nothing can be recorded until somebody mends it.
    #[error("the audit store cannot record: {message}")]
    Broken {
        /// What happened and what to do.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
    /// The run is over: a trail that is closed takes nothing more.
    #[error("the record of run {} is closed: it ended {}", outcome.run_id, outcome.status)]
    Closed {
        /// How the run ended, as recorded.
        outcome: Box<Outcome>,
    },
    /// The record does not fit the trail: a gap in the sequence.
    #[error("the record does not fit the trail: {message}")]
    Conflict {
        /// What does not fit.
        message: String,
    },
}

impl AuditError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Full | Self::Unavailable { .. } => true,
            Self::Broken { .. } | Self::Closed { .. } | Self::Conflict { .. } => false,
        }
    }
}
