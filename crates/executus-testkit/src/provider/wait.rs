//! Waiting for what the server sees, so that tests wait for events and not for times.

use std::time::Duration;

use super::server::{ProviderServer, Seen, Shared};

/// How long a test waits before it is said to have failed.
const LIMIT: Duration = Duration::from_secs(10);

/// Each wait is there twice: blocking, for tests without a runtime, and async. The async ones wait
/// on a thread, which also keeps a paused clock of tokio from running ahead meanwhile.
impl ProviderServer {
    /// Returns once n requests have come in all.
    ///
    /// # Panics
    ///
    /// When they have not come within 10 seconds.
    pub fn wait_for_requests(&self, n: usize) {
        self.shared.wait(&format!("{n} requests"), |seen| seen.requests.len() >= n);
    }

    /// [`wait_for_requests`](Self::wait_for_requests), async.
    ///
    /// # Panics
    ///
    /// When they have not come within 10 seconds, or without a tokio runtime.
    pub async fn requests_reached(&self, n: usize) {
        self.wait_async(move |shared| {
            shared.wait(&format!("{n} requests"), |seen| seen.requests.len() >= n);
        })
        .await;
    }

    /// Returns once n clients in all went away before their answer was complete.
    ///
    /// # Panics
    ///
    /// When they have not within 10 seconds.
    pub fn wait_for_aborted(&self, n: usize) {
        self.shared.wait(&format!("{n} aborted requests"), |seen| seen.aborted >= n);
    }

    /// [`wait_for_aborted`](Self::wait_for_aborted), async.
    ///
    /// # Panics
    ///
    /// When they have not within 10 seconds, or without a tokio runtime.
    pub async fn aborted_reached(&self, n: usize) {
        self.wait_async(move |shared| {
            shared.wait(&format!("{n} aborted requests"), |seen| seen.aborted >= n);
        })
        .await;
    }

    /// Returns once no connection is open.
    ///
    /// # Panics
    ///
    /// When one still is after 10 seconds.
    pub fn wait_for_no_connections(&self) {
        self.shared.wait("the last connection to close", |seen| seen.open == 0);
    }

    /// [`wait_for_no_connections`](Self::wait_for_no_connections), async.
    ///
    /// # Panics
    ///
    /// When one still is open after 10 seconds, or without a tokio runtime.
    pub async fn all_closed(&self) {
        self.wait_async(|shared| {
            shared.wait("the last connection to close", |seen| seen.open == 0);
        })
        .await;
    }

    async fn wait_async(&self, wait: impl FnOnce(&Shared) + Send + 'static) {
        let shared = self.shared.clone();
        if let Err(failed) = tokio::task::spawn_blocking(move || wait(&shared)).await
            && let Ok(panic) = failed.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Shared {
    fn wait(&self, what: &str, mut done: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.lock();
        let waited = self.changed.wait_while_for(&mut seen, |seen| !done(seen), LIMIT);
        assert!(!waited.timed_out(), "waited {LIMIT:?} for {what} in vain: {:?}", *seen);
    }
}
