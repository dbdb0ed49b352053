//! The samples of the time just before: a ring of buckets, not a list of samples.

use std::collections::VecDeque;
use std::time::Duration;

use executus_core::Timestamp;
use serde::{Deserialize, Serialize};

/// A window has so many buckets: a sample counts for the whole window less up to one of them.
const BUCKETS: i64 = 30;

/// What happened within one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bucket {
    /// The bucket's number: its start, in bucket widths since the epoch.
    pub(crate) slot: i64,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
}

/// Buckets, the oldest first; never more than [`BUCKETS`] and the one that a clock running ahead
/// has begun.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Window {
    buckets: VecDeque<Bucket>,
}

/// The width of a bucket in microseconds.
pub(crate) fn width(window: Duration) -> i64 {
    i64::try_from(window.as_micros()).unwrap_or(i64::MAX).max(BUCKETS) / BUCKETS
}

impl Window {
    /// Adds samples of the time `at`, as seen from `now`.
    pub(crate) fn add(
        &mut self,
        window: Duration,
        now: Timestamp,
        at: Timestamp,
        successes: u32,
        failures: u32,
    ) {
        let width = width(window);
        let latest = now.as_micros().div_euclid(width);
        self.forget(latest);
        let slot = at.as_micros().div_euclid(width).min(latest);
        if slot <= latest - BUCKETS {
            return;
        }
        let place = self.buckets.iter().rposition(|bucket| bucket.slot <= slot);
        if let Some(bucket) = place.and_then(|place| self.buckets.get_mut(place))
            && bucket.slot == slot
        {
            bucket.successes = bucket.successes.saturating_add(successes);
            bucket.failures = bucket.failures.saturating_add(failures);
            return;
        }
        let place = place.map_or(0, |place| place + 1);
        self.buckets.insert(place, Bucket { slot, successes, failures });
    }

    /// Successes and failures of the window that ends now.
    pub(crate) fn count(&self, window: Duration, now: Timestamp) -> (u64, u64) {
        let latest = now.as_micros().div_euclid(width(window));
        let live = self.buckets.iter().filter(|bucket| is_live(bucket, latest));
        live.fold((0, 0), |(good, bad), bucket| {
            (good + u64::from(bucket.successes), bad + u64::from(bucket.failures))
        })
    }

    /// The buckets with the time at which each began.
    pub(crate) fn samples(
        &self,
        window: Duration,
    ) -> impl Iterator<Item = (Timestamp, u32, u32)> + '_ {
        let width = width(window);
        self.buckets.iter().map(move |bucket| {
            let start = Timestamp::from_micros(bucket.slot.saturating_mul(width));
            (start, bucket.successes, bucket.failures)
        })
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// The most buckets there can be.
    pub(crate) const MOST: usize = BUCKETS as usize + 1;

    fn forget(&mut self, latest: i64) {
        // A clock that went back leaves buckets of the future behind; they would never end.
        while self.buckets.back().is_some_and(|bucket| bucket.slot > latest + 1) {
            self.buckets.pop_back();
        }
        while self.buckets.front().is_some_and(|bucket| bucket.slot <= latest - BUCKETS) {
            self.buckets.pop_front();
        }
    }
}

fn is_live(bucket: &Bucket, latest: i64) -> bool {
    bucket.slot > latest - BUCKETS && bucket.slot <= latest + 1
}
