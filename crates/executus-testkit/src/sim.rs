//! The simulator: from one seed a schedule of faults, cancels, drops, shutdowns and crashes over
//! whole runs, checked against the general rules.
//!
//! ```
//! let violations = executus_testkit::sim::simulate(7);
//! assert!(violations.is_empty(), "{violations:?}");
//! ```
//!
//! A seed decides everything but the wall clock: which ports there are, what goes wrong where, what
//! models say and tools do, and who stops what when. Time is tokio's paused clock, so that a seed
//! takes a millisecond or two. The same seed gives the same schedule: a violation is replayed by
//! simulating its seed again.

use std::future::Future;
use std::time::Duration;

mod check;
mod crash;
mod schedule;
mod world;

use schedule::Schedule;
use world::World;

/// Lets one seed happen and says what broke the rules; empty when nothing did.
///
/// # Panics
/// When no tokio runtime can be built.
#[must_use]
pub fn simulate(seed: u64) -> Vec<String> {
    let schedule = Schedule::from_seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("no runtime to simulate in: {error}"));
    let violations = runtime.block_on(within_time(World::new(schedule).live()));
    violations.unwrap_or_else(|| vec!["the world did not come to rest".into()])
}

/// Everything is bounded, so the world comes to rest long before this.
async fn within_time<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(3600), work).await.ok()
}
