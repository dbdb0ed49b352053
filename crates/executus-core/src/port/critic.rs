//! Critic: watches a run, steers it, moves its deadline, stops it.
//!
//! **For** telling a slow healthy run from a hanging one. **Called** by the executor: `monitor` once
//! per life, after the budget is held and before the first model call; then the watcher: `step`,
//! `decided`, `tool` and `acted` as they happen, `steer` before each step, `stop` exactly once at the
//! end.
//!
//! # Guarantees
//! - **C1** A watcher MUST be safe for concurrent use: steps come from the run, deadlines from
//!   elsewhere.
//! - **C2** `steer` drains: each text MUST be handed out once, in the order in which it was queued.
//! - **C3** `step`, `decided`, `tool`, `acted` and `steer` MUST NOT wait.
//! - **C4** A directive without a deadline (or with a zero one) means that the critic sets none; the
//!   run's own deadline stays. A deadline MAY be moved until it has passed, never beyond the run's
//!   own.
//! - **C5** After `stop` the watcher MUST hold no task and no timer.
//!
//! # Cancellation
//! A dropped `monitor` MUST leave nothing running.
//!
//! # Errors and panics
//! An error or a panic of `monitor` refuses the run with an error of kind `critic`. After that the
//! critic fails open: a panic of the watcher ends the watching, never the run.
//!
//! Proved by `executus_testkit::conformance::critic`.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

use super::{Cause, RunStart};
use crate::time::Timestamp;
use crate::transcript::{Acted, Reply};

/// Starts watching runs.
#[async_trait]
pub trait Critic: Send + Sync {
    /// Starts to watch a run. `None` means: unmonitored, by choice.
    ///
    /// # Errors
    /// An error refuses the run.
    async fn monitor(
        &self,
        start: &RunStart,
        soft_timeout: Duration,
    ) -> Result<Option<Box<dyn Watcher>>, CriticError>;
}

/// What a critic wants of its run right now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directive {
    /// The run times out then; `None` or zero for no deadline of the critic's.
    pub deadline: Option<Timestamp>,
    /// The run is stopped, for this reason.
    pub stop: Option<String>,
}

/// Watches one life of one run.
#[async_trait]
pub trait Watcher: Send + Sync {
    /// A step begins, counted from 1.
    fn step(&self, step: u32);

    /// A step was decided: what was said, asked for and used. A reply without calls is the final
    /// answer. A critic that only measures time leaves this as it is.
    fn decided(&self, step: u32, reply: &Reply) {
        let _ = (step, reply);
    }

    /// A tool is called.
    fn tool(&self, name: &str, args: &Value);

    /// A call was answered, one that was not made too. A critic that only measures time leaves this
    /// as it is.
    fn acted(&self, acted: &Acted) {
        let _ = acted;
    }

    /// The texts to put before the model, drained.
    fn steer(&self) -> Vec<String>;

    /// Where the critic's directive can be followed; asked once. `None`: it never has one.
    fn directive(&self) -> Option<watch::Receiver<Directive>>;

    /// The run is over.
    async fn stop(&self);
}

/// Why a critic does not watch.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CriticError {
    /// It is not configured as it must be.
    #[error("the critic is not configured: {message}")]
    Invalid {
        /// What is wrong.
        message: String,
    },
    /// Something it needs is not there.
    #[error("the critic is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl CriticError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Invalid { .. } => false,
            Self::Unavailable { .. } => true,
        }
    }
}
