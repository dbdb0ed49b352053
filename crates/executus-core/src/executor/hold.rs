//! Holding what is kept of the runs under way: a task for all of them, as long as there are some.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::Inner;
use super::shared::Shared;
use super::stops::within;
use crate::isolate::isolate;

/// How often a hold is renewed in the length of a lease.
const RENEWALS: u32 = 3;

impl Inner {
    /// Sees to it that the runs under way stay this executor's. Not needed for one that ends soon:
    /// its saves renew its hold too.
    pub(super) fn hold_runs(self: &Arc<Self>) {
        if self.keeping.load(Ordering::SeqCst) || self.keeping.swap(true, Ordering::SeqCst) {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(hold(Arc::downgrade(self)))),
            Err(_) => self.keeping.store(false, Ordering::SeqCst),
        }
    }

    fn kept_runs(&self) -> Vec<Arc<Shared>> {
        let mut runs = self.runs.lock().runs();
        runs.retain(|run| run.spec().ports.checkpoint && run.settled().is_none());
        runs
    }

    async fn renew(&self, runs: &[Arc<Shared>]) {
        let Some(checkpointer) = &self.ports.checkpointer else { return };
        let ids: Vec<_> = runs.iter().map(|run| run.spec().run_id.clone()).collect();
        let lease = self.config.saving.lease;
        let renew = isolate(|| checkpointer.renew(&ids, lease));
        match within(renew, self.config.port_limit).await {
            Some(Ok(Ok(lost))) => {
                for run in runs.iter().filter(|run| lost.contains(&run.spec().run_id)) {
                    tracing::warn!(run = %run.spec().run_id, "another process has taken the run over");
                    run.lose();
                }
            }
            Some(Ok(Err(error))) => tracing::warn!(%error, "the runs under way were not renewed"),
            Some(Err(panicked)) => {
                tracing::warn!(panic = %panicked.0, "the checkpointer panicked at a renewal");
            }
            None => tracing::warn!("the runs under way were not renewed in time"),
        }
    }
}

async fn hold(executor: Weak<Inner>) {
    loop {
        let Some(lease) = executor.upgrade().map(|executor| executor.config.saving.lease) else {
            return;
        };
        tokio::time::sleep(lease / RENEWALS).await;
        let Some(executor) = executor.upgrade() else { return };
        let runs = executor.kept_runs();
        if runs.is_empty() {
            executor.keeping.store(false, Ordering::SeqCst);
            // One that began meanwhile has seen that somebody renews.
            let is_needed = !executor.kept_runs().is_empty();
            if !is_needed || executor.keeping.swap(true, Ordering::SeqCst) {
                return;
            }
            continue;
        }
        executor.renew(&runs).await;
    }
}
