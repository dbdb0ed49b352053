//! Delivery: takes results where they belong.
//!
//! **For** handing a result, or the error, to whoever waits for it elsewhere. **Called** by the
//! executor once per run that entered its loop and ended for good, after the record is closed; after
//! a crash between the two, again, under the same key.
//!
//! # Guarantees
//! - **D1** At least once: when `deliver` returns `Ok`, the parcel has arrived, or is kept durably
//!   until it does.
//! - **D2** The key is the run's id: a parcel that arrives twice MUST carry the same key.
//! - **D3** Delivery never changes the outcome of a run.
//!
//! # Cancellation
//! A dropped `deliver` MAY have delivered.
//!
//! # Errors and panics
//! Logged, and kept in [`Settled`](crate::Settled); nothing else.
//!
//! Proved by `executus_testkit::conformance::delivery`.

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use super::Cause;
use crate::spec::RunSpec;
use crate::status::Outcome;

/// What is delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    /// The run, its caller and its channel. `spec.run_id` is the idempotency key.
    pub spec: Arc<RunSpec>,
    /// The outcome: output and artifacts when its status is `ok`, else the error.
    pub outcome: Arc<Outcome>,
}

/// Takes results where they belong.
#[async_trait]
pub trait Delivery: Send + Sync {
    /// Delivers.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError>;
}

/// Why nothing was delivered.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The target refuses the parcel: trying again will not help.
    #[error("the target refused: {message}")]
    Rejected {
        /// What it said.
        message: String,
    },
    /// The target cannot be reached.
    #[error("the target is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl DeliveryError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Rejected { .. } => false,
            Self::Unavailable { .. } => true,
        }
    }
}
