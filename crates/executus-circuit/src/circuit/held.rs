//! Failures that may count later.

use std::fmt;
use std::sync::Arc;

use super::Inner;
use crate::breaker::{Outcome, Ticket};

/// Failures of one circuit of which it is not known yet whether they count. Dropping them forgets
/// them.
#[must_use = "failures that are dropped never count"]
pub struct HeldFailures {
    inner: Arc<Inner>,
    held: Option<(Ticket, Option<u64>)>,
    times: u32,
}

impl fmt::Debug for HeldFailures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldFailures")
            .field("key", &self.inner.key)
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}

impl HeldFailures {
    pub(super) fn new(inner: Arc<Inner>, held: Option<(Ticket, Option<u64>)>) -> Self {
        let times = u32::from(held.is_some());
        Self { inner, held, times }
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.times
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.times == 0
    }

    /// Adds others of the same circuit. Of two generations the newer stays: the other is late.
    pub fn join(&mut self, mut other: Self) {
        let rank = |held: &Option<(Ticket, Option<u64>)>| {
            held.as_ref().map(|(ticket, epoch)| (*epoch, ticket.generation(), !ticket.is_probe()))
        };
        let (mine, theirs) = (rank(&self.held), rank(&other.held));
        if mine == theirs {
            self.times = self.times.saturating_add(other.times);
        } else if mine < theirs {
            self.held = other.held.take();
            self.times = other.times;
        }
    }

    /// They count, if the circuit has not moved on meanwhile. **Cancellation**: they may have been
    /// recorded or not.
    pub async fn count(self) {
        if let Some((ticket, epoch)) = &self.held {
            self.inner.resolve(ticket, *epoch, Outcome::Failure, self.times).await;
        }
    }
}
