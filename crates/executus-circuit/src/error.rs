//! What goes wrong: a circuit that is open, a store that is away.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::key::CircuitKey;
use crate::snapshot::State;

/// The call was refused before anything was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the circuit `{key}` is {state}{}; not asked again for {:.1} s at most, unless an operator resets it",
    if *.probing { " and being probed" } else { "" }, .retry_after.as_secs_f64())]
#[non_exhaustive]
pub struct CircuitOpen {
    /// Which circuit.
    pub key: CircuitKey,
    /// Open or dormant.
    pub state: State,
    /// When a call may pass again, at the latest: a probe under way may end sooner.
    pub retry_after: Duration,
    /// Whether it was refused because another call is the probe.
    pub probing: bool,
}

/// The store of circuits or leases did not do what it was asked.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached, or failed. What was asked may have been done or not.
    #[error("the circuit store is not available: {message}")]
    Unavailable {
        /// Why.
        message: String,
        /// What its client said.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// It did not answer in time. What was asked may have been done or not.
    #[error("the circuit store did not answer within {limit:?}")]
    TimedOut {
        /// How long it was waited for.
        limit: Duration,
    },
    /// It answered what cannot be read: another version wrote it.
    #[error("the circuit store holds a record that cannot be read: {message}; reset the circuit")]
    Unreadable {
        /// What is wrong with it.
        message: String,
    },
}

impl StoreError {
    /// A store that cannot be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: message.into(), source: None }
    }
}
