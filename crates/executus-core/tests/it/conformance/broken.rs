//! Ports with one fault each, to show that the kits find it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::memory::{MemoryAudit, MemoryBudget, MemoryCheckpointer};
use executus_core::port::{
    Account, Accounts, Amounts, Audit, AuditError, Budget, BudgetError, CheckpointError,
    Checkpointer, Limit, Recorder, RunStart, Saved, Window,
};
use executus_core::{HoldId, Outcome, Record, RunError, RunId, Timestamp};
use executus_testkit::conformance::{self, AuditProbe, BudgetProbe, CheckpointProbe};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::{AuditView, BudgetView};

/// What a kit says of something broken.
async fn complaint(kit: impl Future<Output = ()> + Send + 'static) -> String {
    let mut tasks = JoinSet::new();
    tasks.spawn(kit);
    let ended = tasks.join_next().await.unwrap();
    let payload = ended.expect_err("the kit found nothing").into_panic();
    payload.downcast_ref::<String>().cloned().expect("a message")
}

/// Checks what is left, and counts later: another caller comes in between.
#[derive(Default)]
struct LateCounting {
    limits: Mutex<HashMap<Arc<str>, u64>>,
    taken: Mutex<HashMap<Arc<str>, u64>>,
}

#[async_trait]
impl Budget for LateCounting {
    async fn reserve(
        &self,
        _hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let limit = self.limits.lock()[caller];
        let taken = self.taken.lock().get(caller).copied().unwrap_or(0);
        if taken + ask.tokens > limit {
            let caller = caller.to_string();
            let (asked, left) = (ask.tokens, limit - taken);
            return Err(BudgetError::Exceeded {
                account: caller,
                window: Window::Total,
                dimension: "tokens",
                asked,
                left,
                held: taken,
                reset: None,
            });
        }
        tokio::task::yield_now().await;
        *self.taken.lock().entry(Arc::clone(caller)).or_insert(0) += ask.tokens;
        Ok(())
    }

    async fn charge(&self, _: &HoldId, _: &RunId, _: Amounts) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn settle(&self, _: &HoldId, _: Amounts) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn release(&self, _: &HoldId) -> Result<(), BudgetError> {
        Ok(())
    }
}

struct LateView(Arc<LateCounting>);

#[async_trait]
impl BudgetProbe for LateView {
    async fn with_accounts(&self, _: Accounts) -> Arc<dyn Budget> {
        self.0.clone()
    }

    async fn set_limits(&self, account: &str, limits: &[Limit]) {
        self.0.limits.lock().insert(account.into(), limits[0].amounts.tokens);
    }

    async fn account(&self, account: &str) -> Account {
        let tokens = self.0.taken.lock().get(account).copied().unwrap_or(0);
        Account { held: Amounts { tokens, ..Amounts::default() }, ..Account::default() }
    }

    async fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn advance(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }

    async fn abandon(&self, _: &HoldId) {}

    fn lease(&self) -> Option<Duration> {
        None
    }

    fn window(&self) -> Duration {
        Duration::from_secs(3)
    }
}

/// B1: checking first and counting later is found.
#[tokio::test(start_paused = true)]
async fn a_budget_that_counts_late_is_found() {
    let late = Arc::new(LateCounting::default());
    let complaint = complaint(async move {
        let port: Arc<dyn Budget> = late.clone();
        conformance::budget(&port, &LateView(late)).await;
    });
    let complaint = complaint.await;
    assert!(complaint.starts_with("B1 is violated"), "{complaint}");
}

/// A budget in memory with one call that is not what it should be.
struct Twisted {
    inner: MemoryBudget,
    twist: Twist,
}

#[derive(Clone, Copy, PartialEq)]
enum Twist {
    /// Reserving the same id again takes more.
    SecondHold,
    /// Charges are added up.
    AddedCharges,
    /// A settled total is cut to what is held.
    CutOverrun,
    /// A release of an unknown id leaves nothing behind.
    NoTombstone,
}

#[async_trait]
impl Budget for Twisted {
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let again = HoldId { run: RunId::random(), attempt: 1 };
        let known = self.inner.holds().iter().any(|held| held.id == *hold);
        let hold = if self.twist == Twist::SecondHold && known { &again } else { hold };
        self.inner.reserve(hold, caller, ask).await
    }

    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError> {
        let fresh = RunId::random();
        let line = if self.twist == Twist::AddedCharges { &fresh } else { line };
        self.inner.charge(hold, line, total).await
    }

    async fn settle(&self, hold: &HoldId, mut spent: Amounts) -> Result<(), BudgetError> {
        let held = self.inner.holds().into_iter().find(|held| held.id == *hold);
        if let (Twist::CutOverrun, Some(held)) = (self.twist, held) {
            spent.tokens = spent.tokens.min(held.held.tokens);
        }
        self.inner.settle(hold, spent).await
    }

    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        let known = self.inner.holds().iter().any(|held| held.id == *hold);
        if self.twist == Twist::NoTombstone && !known {
            return Ok(());
        }
        self.inner.release(hold).await
    }
}

/// B2 B4 B5 B6: each twist is found by the guarantee that it breaks.
#[tokio::test(start_paused = true)]
async fn twisted_budgets_are_found() {
    for (twist, id) in [
        (Twist::SecondHold, "B2"),
        (Twist::NoTombstone, "B4"),
        (Twist::AddedCharges, "B5"),
        (Twist::CutOverrun, "B"),
    ] {
        let complaint = complaint(async move {
            let inner = MemoryBudget::unlimited();
            let view = BudgetView::paused(inner.clone());
            let port: Arc<dyn Budget> = Arc::new(Twisted { inner, twist });
            conformance::budget(&port, &view).await;
        });
        let complaint = complaint.await;
        assert!(complaint.starts_with(id), "{id}: {complaint}");
    }
}

/// An audit whose recorders close again for every close, or lose the order.
struct Careless {
    closes: Arc<Mutex<HashMap<RunId, u64>>>,
    inner: MemoryAudit,
    loses: bool,
}

struct CarelessRecorder {
    run: RunId,
    closes: Arc<Mutex<HashMap<RunId, u64>>>,
    inner: Box<dyn Recorder>,
    loses: bool,
}

#[async_trait]
impl Audit for Careless {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let inner = self.inner.start(start).await?;
        Ok(inner.map(|inner| {
            let run = start.spec.run_id.clone();
            let closes = Arc::clone(&self.closes);
            Box::new(CarelessRecorder { run, closes, inner, loses: self.loses })
                as Box<dyn Recorder>
        }))
    }
}

#[async_trait]
impl Recorder for CarelessRecorder {
    fn last_seq(&self) -> u64 {
        self.inner.last_seq()
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        // Acknowledged, and gone.
        if self.loses && record.seq == 4 { Ok(()) } else { self.inner.record(record) }
    }

    async fn flush(&self) -> Result<(), AuditError> {
        self.inner.flush().await
    }

    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError> {
        *self.closes.lock().entry(self.run.clone()).or_insert(0) += 1;
        self.inner.close(outcome).await
    }

    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError> {
        self.inner.suspend(outcome).await
    }
}

struct CarelessView(Arc<Careless>);

#[async_trait]
impl AuditProbe for CarelessView {
    async fn seqs(&self, run: &RunId) -> Vec<u64> {
        AuditView(self.0.inner.clone()).seqs(run).await
    }

    async fn closes(&self, run: &RunId) -> u64 {
        self.0.closes.lock().get(run).copied().unwrap_or(0)
    }

    async fn text(&self, run: &RunId) -> String {
        // Everything as it was given.
        format!("{:?}", self.0.inner.records(run))
    }
}

/// A1 A4: an audit that closes twice, and one that loses a record, are found.
#[tokio::test(start_paused = true)]
async fn careless_audits_are_found() {
    for (loses, id) in [(false, "A4 is violated"), (true, "A1")] {
        let audit =
            Arc::new(Careless { closes: Arc::default(), inner: MemoryAudit::default(), loses });
        let view = CarelessView(Arc::clone(&audit));
        let complaint = complaint(async move { conformance::audit(&*audit, &view).await }).await;
        assert!(complaint.starts_with(id), "{complaint}");
    }
}

/// Saves the whole run each time, and lets everybody claim.
struct Wasteful {
    inner: MemoryCheckpointer,
    written: Mutex<u64>,
    wastes: bool,
}

#[async_trait]
impl Checkpointer for Wasteful {
    async fn append(
        &self,
        run: &RunId,
        records: &[Record],
        lease: Duration,
    ) -> Result<(), CheckpointError> {
        self.inner.append(run, records, lease).await?;
        let kept = self.inner.load(run).await?.map_or(0, |saved| saved.records.len() as u64);
        *self.written.lock() += if self.wastes { kept } else { records.len() as u64 };
        Ok(())
    }

    async fn complete(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.inner.complete(run).await
    }

    async fn fail(&self, run: &RunId, error: &RunError) -> Result<(), CheckpointError> {
        self.inner.fail(run, error).await
    }

    async fn list(&self) -> Result<Vec<RunId>, CheckpointError> {
        self.inner.list().await
    }

    async fn claim(&self, run: &RunId, _lease: Duration) -> Result<bool, CheckpointError> {
        Ok(self.inner.load(run).await?.is_some())
    }

    async fn renew(&self, runs: &[RunId], lease: Duration) -> Result<Vec<RunId>, CheckpointError> {
        self.inner.renew(runs, lease).await
    }

    async fn release(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.inner.release(run).await
    }

    async fn park(&self, run: &RunId, why: &RunError) -> Result<(), CheckpointError> {
        self.inner.park(run, why).await
    }

    async fn unpark(&self, run: &RunId) -> Result<bool, CheckpointError> {
        self.inner.unpark(run).await
    }

    async fn parked(&self) -> Result<Vec<RunId>, CheckpointError> {
        self.inner.parked().await
    }

    async fn load(&self, run: &RunId) -> Result<Option<Saved>, CheckpointError> {
        self.inner.load(run).await
    }
}

struct WastefulView(Arc<Wasteful>);

#[async_trait]
impl CheckpointProbe for WastefulView {
    async fn open(&self) -> Arc<dyn Checkpointer> {
        Arc::clone(&self.0) as Arc<dyn Checkpointer>
    }

    async fn written(&self) -> u64 {
        *self.0.written.lock()
    }
}

/// K3 K6: saving the whole run each time, and claims for everybody, are found.
#[tokio::test(start_paused = true)]
async fn wasteful_checkpointers_are_found() {
    for (wastes, id) in [(true, "K3 is violated"), (false, "K6 is violated")] {
        let inner = MemoryCheckpointer::default();
        let store = Wasteful { inner, written: Mutex::default(), wastes };
        let view = WastefulView(Arc::new(store));
        let complaint = complaint(async move { conformance::checkpointer(&view).await }).await;
        assert!(complaint.starts_with(id), "{complaint}");
    }
}
