//! The right to make one call.

use std::fmt;
use std::sync::Arc;

use super::Inner;
use super::held::HeldFailures;
use crate::breaker::{Outcome, Ticket};

/// The right to make one call, and the duty to say how it went.
///
/// Dropping it says nothing, and gives the place of a probe back at once: when the call's future
/// is dropped or panics too. Using it twice does not compile:
///
/// ```compile_fail,E0382
/// # async fn call(permit: executus_circuit::Permit) {
/// permit.success().await;
/// permit.failure().await;
/// # }
/// ```
#[must_use = "a permit that is dropped says nothing about the call"]
pub struct Permit {
    inner: Arc<Inner>,
    /// `None` when it was said how the call went.
    ticket: Option<Ticket>,
    epoch: Option<u64>,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("key", &self.inner.key)
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

impl Permit {
    pub(super) const fn new(inner: Arc<Inner>, ticket: Ticket, epoch: Option<u64>) -> Self {
        Self { inner, ticket: Some(ticket), epoch }
    }

    /// Whether this call is the one that probes an open circuit.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.ticket.as_ref().is_some_and(Ticket::is_probe)
    }

    /// The peer answered.
    ///
    /// **Cancellation**: it may have been recorded or not; the place of a probe is free in any
    /// case.
    pub async fn success(self) {
        self.ended(Outcome::Success).await;
    }

    /// The peer was not reached. **Cancellation**: as for [`success`](Self::success).
    pub async fn failure(self) {
        self.ended(Outcome::Failure).await;
    }

    /// The call teaches nothing: the same as dropping the permit, but the place of a probe is
    /// known to be free when it returns. **Cancellation**: as for [`success`](Self::success).
    pub async fn neutral(self) {
        self.ended(Outcome::Neutral).await;
    }

    /// Says how the call went. **Cancellation**: as for [`success`](Self::success).
    pub async fn ended(mut self, outcome: Outcome) {
        if let Some(ticket) = &self.ticket {
            self.inner.resolve(ticket, self.epoch, outcome, 1).await;
        }
        self.ticket = None;
    }

    /// A failure that may count later: the place of a probe is given back at once, and what is
    /// returned says so when it is known that the failure counts.
    pub fn hold(mut self) -> HeldFailures {
        let held = self.ticket.take().map(|ticket| {
            self.inner.give_back(&ticket, self.epoch);
            (ticket, self.epoch)
        });
        HeldFailures::new(self.inner.clone(), held)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.give_back(&ticket, self.epoch);
        }
    }
}
