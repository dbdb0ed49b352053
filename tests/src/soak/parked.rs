//! Very many runs parked in the model call at once: each can be cancelled, each is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use executus_core::{Executor, Model, ModelError, Reply, RunRequest, RunStatus, Turn};

use super::ledger::Ledger;
use super::stage::paused;
use super::{Asked, Report};

/// Never answers, and counts who waits.
#[derive(Debug, Default)]
struct Parked(AtomicU64);

struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Model for Parked {
    async fn decide(&self, _turn: &Turn) -> Result<Reply, ModelError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.0);
        std::future::pending().await
    }
}

/// Parks so many runs and cancels them all. Returns what broke a rule.
#[must_use]
pub fn park(count: u64) -> Vec<String> {
    paused(cancelled(count))
}

async fn cancelled(count: u64) -> Vec<String> {
    let mut broken = Vec::new();
    let (ledger, model) = (Ledger::default(), Arc::new(Parked::default()));
    let executor = Executor::builder().audit(Arc::new(ledger.clone())).build();
    let mut runs = Vec::new();
    for _ in 0..count {
        match executor.start(RunRequest::new(Arc::<Parked>::clone(&model))) {
            Ok(run) => runs.push(run),
            Err(error) => broken.push(error.to_string()),
        }
    }
    while model.0.load(Ordering::Relaxed) < count && broken.is_empty() {
        tokio::task::yield_now().await;
    }
    if executor.counts().active != count {
        broken.push(format!("{} runs are under way", executor.counts().active));
    }
    for run in &runs {
        run.cancel();
    }
    for run in &runs {
        let settled = run.settled().await;
        let closes = ledger.closes(run.run_id());
        if settled.outcome.status != RunStatus::Cancelled || closes != [RunStatus::Cancelled] {
            let status = settled.outcome.status;
            broken.push(format!("{}: settled {status}, closed {closes:?}", run.run_id()));
        }
    }
    let waiting = model.0.load(Ordering::Relaxed);
    if waiting > 0 {
        broken.push(format!("{waiting} models are still asked"));
    }
    if ledger.begun() as u64 != count {
        broken.push(format!("{} of {count} runs were recorded", ledger.begun()));
    }
    broken
}

pub(super) fn soak(asked: Asked) -> Report {
    let violations = park(asked.count);
    let done = format!("{} runs parked in the model call at once and cancelled", asked.count);
    Report { done, violations }
}
