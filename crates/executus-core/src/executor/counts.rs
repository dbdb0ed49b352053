//! Counts of an executor, for a host to export.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::status::{Outcome, RunStatus};

const STATUSES: usize = RunStatus::ALL.len();
const BUCKETS: usize = Durations::BOUNDS_MS.len() + 1;

/// Counts of an executor since it was built.
///
/// A host exports them as it likes; as text for Prometheus, say:
///
/// ```
/// use executus_core::{RunStatus, executor::{Counts, Durations}};
///
/// fn prometheus(counts: &Counts) -> String {
///     let mut text = format!(
///         "executus_runs_started_total {}\nexecutus_runs_active {}\n",
///         counts.started, counts.active,
///     );
///     for status in RunStatus::ALL {
///         let durations = &counts.durations[status as usize];
///         let mut below = 0;
///         for (bound, count) in Durations::BOUNDS_MS.iter().zip(durations.buckets) {
///             below += count;
///             text += &format!(
///                 "executus_run_duration_ms_bucket{{status=\"{status}\",le=\"{bound}\"}} {below}\n"
///             );
///         }
///         let (sum, count) = (durations.sum_ms, durations.count());
///         text += &format!(
///             "executus_run_duration_ms_bucket{{status=\"{status}\",le=\"+Inf\"}} {count}\n\
///              executus_run_duration_ms_sum{{status=\"{status}\"}} {sum}\n\
///              executus_run_duration_ms_count{{status=\"{status}\"}} {count}\n"
///         );
///     }
///     text
/// }
/// assert!(prometheus(&Counts::default()).contains("executus_runs_active 0"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Runs started, resumed ones included.
    pub started: u64,
    /// Runs under way.
    pub active: u64,
    /// Runs that ended, by status in the order of [`RunStatus::ALL`].
    pub ended: [u64; STATUSES],
    /// How long they took, by status in the order of [`RunStatus::ALL`].
    pub durations: [Durations; STATUSES],
}

/// How long runs took, from their start to their end, as a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Durations {
    /// The sum of all, in milliseconds.
    pub sum_ms: u64,
    /// How many took at most the bound at the same place in [`BOUNDS_MS`](Self::BOUNDS_MS), and
    /// longer than the one before; the last place counts those beyond every bound.
    pub buckets: [u64; BUCKETS],
}

impl Durations {
    /// The bounds between the buckets, in milliseconds: from 10 ms to an hour.
    pub const BOUNDS_MS: [u64; 13] = [
        10, 50, 100, 500, 1000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
        3_600_000,
    ];

    /// How many runs there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The live counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    started: AtomicU64,
    ended: [Ended; STATUSES],
}

/// The counts of one status. How many ended is the sum of the buckets.
#[derive(Debug, Default)]
struct Ended {
    sum_ms: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Counters {
    pub(super) fn started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, outcome: &Outcome) {
        let ended = &self.ended[outcome.status as usize];
        let took = outcome.stats.runtime_ms;
        let bucket = Durations::BOUNDS_MS.partition_point(|bound| *bound < took);
        ended.sum_ms.fetch_add(took, Ordering::Relaxed);
        ended.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, active: u64) -> Counts {
        let durations = self.ended.each_ref().map(|ended| Durations {
            sum_ms: ended.sum_ms.load(Ordering::Relaxed),
            buckets: ended.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed)),
        });
        Counts {
            started: self.started.load(Ordering::Relaxed),
            active,
            ended: durations.each_ref().map(Durations::count),
            durations,
        }
    }
}
