//! Telling an operator that a peer was found dead for good.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::key::CircuitKey;

/// A circuit became dormant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Which circuit.
    pub key: CircuitKey,
    /// Counted failures since the last success.
    pub failure_count: u32,
    /// How long until the next probe.
    pub next_probe: Duration,
    /// Whether this process found it by itself, while the store was away. Others may have too.
    pub local: bool,
}

/// The alert was not raised.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the alert was not raised: {message}")]
pub struct AlertError {
    /// Why.
    pub message: String,
}

/// Raises alerts for an operator.
///
/// **Called** once for each change of a circuit to dormant, by the process whose result changed it,
/// with no lock held. It must not block: what takes long is handed to a task. **Errors and
/// panics** are logged, and the breaker goes on as if it had been raised.
pub trait OnAlert: Send + Sync {
    /// Raises it.
    ///
    /// # Errors
    /// [`AlertError`] when it could not be.
    fn raise(&self, alert: &Alert) -> Result<(), AlertError>;
}

impl<F: Fn(&Alert) + Send + Sync> OnAlert for F {
    fn raise(&self, alert: &Alert) -> Result<(), AlertError> {
        self(alert);
        Ok(())
    }
}
