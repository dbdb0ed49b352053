//! The breaker of what a peer says about credentials.

use crate::breaker::Outcome;
use crate::circuit::{Circuit, Permit};
use crate::error::CircuitOpen;

/// How a dispatched call went, as far as its credentials are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DispatchOutcome {
    /// It was answered.
    Success,
    /// It was refused for its credentials.
    Auth,
    /// It failed in any other way: a timeout, the network, a 502. Nothing is learned of credentials.
    Other,
}

impl From<DispatchOutcome> for Outcome {
    fn from(outcome: DispatchOutcome) -> Self {
        match outcome {
            DispatchOutcome::Success => Self::Success,
            DispatchOutcome::Auth => Self::Failure,
            DispatchOutcome::Other => Self::Neutral,
        }
    }
}

/// A breaker that only refused credentials trip: three in a row by
/// [`Policy::dispatch`](crate::Policy::dispatch). Its key begins with `dispatch:`, so that it
/// never mixes with the breaker of connections to the same peer.
#[derive(Debug, Clone)]
pub struct DispatchBreaker(Circuit);

impl DispatchBreaker {
    /// Over a circuit of its own, whose key is a
    /// [`CircuitKey::dispatch`](crate::CircuitKey::dispatch).
    #[must_use]
    pub const fn new(circuit: Circuit) -> Self {
        Self(circuit)
    }

    /// The circuit, for operators.
    #[must_use]
    pub const fn circuit(&self) -> &Circuit {
        &self.0
    }

    /// Asks whether a call may be dispatched. Waits no longer than the circuit's store limit.
    ///
    /// # Errors
    /// [`CircuitOpen`]: credentials were refused too often.
    pub async fn acquire(&self) -> Result<DispatchPermit, CircuitOpen> {
        self.0.acquire().await.map(DispatchPermit)
    }
}

/// A permit to dispatch one call. Dropping it is [`DispatchOutcome::Other`].
#[derive(Debug)]
#[must_use = "a permit that is dropped says nothing about the call"]
pub struct DispatchPermit(Permit);

impl DispatchPermit {
    /// Says how the call went. **Cancellation**: as for [`Permit::success`].
    pub async fn ended(self, outcome: DispatchOutcome) {
        self.0.ended(outcome.into()).await;
    }
}
