//! Sending again what may be sent again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::HttpError;

/// What a full bucket holds.
const FULL: u32 = 500;
/// What one more attempt costs.
const COST: u32 = 5;

/// How often a request that failed is sent again, and after which waits.
///
/// It is done for requests that are [idempotent](crate::Request::idempotent), and for failures that
/// may pass before a response came. Each further attempt takes from a bucket that belongs to the
/// base address and that answers fill slowly: a server that is in trouble is not asked twice as
/// often for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    most: usize,
    first: Duration,
    longest: Duration,
}

impl Retries {
    /// At most so many further attempts, after waits that begin at 100 ms, double up to 5 s, and
    /// are spread.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most, first: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }

    /// With waits that begin at `first` and double up to `longest`.
    #[must_use]
    pub const fn waits(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// The waits before each further attempt.
    pub(crate) fn delays(self) -> impl Iterator<Item = Duration> + Send {
        ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.most)
            .with_jitter()
            .build()
    }
}

/// Whether another attempt may do better. One that a circuit refuses would be refused again.
pub(crate) fn is_worth_it(error: &HttpError) -> bool {
    error.retry() && !matches!(error, HttpError::CircuitOpen { .. })
}

/// What further attempts to one base address are paid from.
#[derive(Debug)]
pub(crate) struct Bucket(AtomicU32);

impl Default for Bucket {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Bucket {
    /// Pays for one more attempt, if there is enough.
    pub(crate) fn pay(&self) -> bool {
        let paid = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(COST));
        paid.is_ok()
    }

    /// There was an answer.
    pub(crate) fn fill(&self) {
        let more = |left| (left < FULL).then_some(left + 1);
        let _full = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, COST, FULL, Retries};

    #[test]
    fn a_bucket_is_paid_from_and_filled() {
        let bucket = Bucket::default();
        for _ in 0..FULL / COST {
            assert!(bucket.pay());
        }
        assert!(!bucket.pay());
        for _ in 0..COST {
            assert!(!bucket.pay());
            bucket.fill();
        }
        assert!(bucket.pay());
        for _ in 0..2 * FULL {
            bucket.fill();
        }
        assert_eq!((0..FULL).filter(|_| bucket.pay()).count(), (FULL / COST) as usize);
    }

    #[test]
    fn waits_are_as_many_as_told_and_bounded() {
        let retries = Retries::new(20);
        let waits: Vec<_> = retries.delays().collect();
        assert_eq!(waits.len(), 20);
        assert!(waits.iter().all(|wait| *wait <= 2 * retries.longest), "{waits:?}");
    }
}
