//! Runs under budgets with windows and several accounts, and budgets that the model finds out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_core::memory::MemoryBudget;
use executus_core::port::{Account, Accounts, Amounts, Budget, BudgetError, Limit, Window};
use executus_core::{
    Clock, Executor, HoldId, Ports, Reply, RunId, RunRequest, RunStatus, Timestamp, Usage,
};
use executus_testkit::budget_model::{commands, follow};
use executus_testkit::conformance::BudgetProbe;
use executus_testkit::scripted::ScriptedModel;

use crate::conformance::BudgetView;

const HOUR: Window = Window::fixed(Duration::from_secs(3600));

fn request(reserve: u64, uses: u64) -> RunRequest {
    let usage = Usage { input_tokens: uses, ..Usage::default() };
    let model = ScriptedModel::new([Reply::text("done").using(usage)]).shared();
    let ask = Amounts { tokens: reserve, ..Amounts::default() };
    RunRequest::new(model).caller("anna").reserve(ask)
}

fn limited(tokens: u64) -> MemoryBudget {
    // 2026-01-31, 14:05:00.
    let start = Timestamp::from_millis(1_769_868_300_000);
    let limit = Limit::new(HOUR, Amounts { tokens, ..Amounts::UNLIMITED });
    MemoryBudget::limited([limit]).unwrap().with_clock(Clock::starting_at(start))
}

fn executor(budget: &MemoryBudget) -> Executor {
    Executor::new(Ports { budget: Some(Arc::new(budget.clone())), ..Ports::default() })
}

/// B8 B10: a run that the window does not cover is told when to come back, and is right to.
#[tokio::test(start_paused = true)]
async fn a_refused_run_is_told_when_to_come_back() {
    let budget = limited(1000);
    let executor = executor(&budget);
    let first = executor.start(request(900, 700)).unwrap().settled().await;
    assert_eq!(first.outcome.status, RunStatus::Ok);
    let refused = executor.start(request(400, 1)).unwrap().settled().await.outcome;
    assert_eq!(refused.status, RunStatus::BudgetExceeded);
    let error = refused.error.as_ref().unwrap();
    assert!(error.retryable);
    assert!(
        error.to_string().contains(
            "the budget of `anna` does not cover 400 tokens: 300 left of this hour, \
             again at 2026-01-31T15:00:00Z"
        ),
        "{error}"
    );
    tokio::time::advance(Duration::from_secs(55 * 60)).await;
    let later = executor.start(request(400, 1)).unwrap().settled().await;
    assert_eq!(later.outcome.status, RunStatus::Ok);
}

/// B9: handles of one ledger name accounts of their own: a budget for each model.
#[tokio::test(start_paused = true)]
async fn a_handle_names_its_accounts() {
    let budget = limited(1000);
    let large = budget.clone().with_accounts(Accounts::caller().and_always("model:large"));
    let fifty = Amounts { tokens: 50, ..Amounts::UNLIMITED };
    budget.set_limits("model:large", [Limit::total(fifty)]).unwrap();
    let spent = executor(&large).start(request(40, 30)).unwrap().settled().await;
    assert_eq!(spent.outcome.status, RunStatus::Ok);
    let refused = executor(&large).start(request(40, 1)).unwrap().settled().await.outcome;
    let error = refused.error.as_ref().unwrap().to_string();
    assert!(error.contains("`model:large` does not cover 40 tokens: 20 left"), "{error}");
    let other = executor(&budget).start(request(40, 30)).unwrap().settled().await;
    assert_eq!(other.outcome.status, RunStatus::Ok);
    assert_eq!(budget.account("anna").spent.tokens, 60);
    assert_eq!(budget.account("model:large").spent.tokens, 30);
}

/// B1: limits can be changed under way; what was spent stays.
#[tokio::test(start_paused = true)]
async fn limits_are_changed_under_way() {
    let budget = limited(1000);
    executor(&budget).start(request(500, 500)).unwrap().settled().await;
    let of = |tokens| Amounts { tokens, ..Amounts::UNLIMITED };
    let day = Window::rolling(Duration::from_secs(86_400));
    let limits = [Limit::new(HOUR, of(700)), Limit::new(day, of(100)), Limit::total(of(900))];
    budget.set_limits("anna", limits).unwrap();
    let left: Vec<_> = budget.account("anna").limits.iter().map(|one| one.left.tokens).collect();
    assert_eq!(left, [200, 100, 400], "a new window begins empty, the total never forgets");
    let twice = [Limit::new(HOUR, of(1)), Limit::new(HOUR, of(2))];
    assert!(matches!(budget.set_limits("anna", twice), Err(BudgetError::Limit { .. })));
    assert_eq!(budget.account("anna").limits.len(), 3, "refused limits change nothing");
}

/// A budget in memory with one call that is not quite what it should be.
#[derive(Clone)]
struct Twisted {
    inner: MemoryBudget,
    twist: Twist,
    calls: Arc<AtomicU64>,
}

impl Twisted {
    /// How a call fares: lost before it is made, or after.
    fn lost(&self) -> (bool, bool) {
        let lossy = self.twist == Twist::Lossy;
        let n = self.calls.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (lossy && n >> 61 == 0, lossy && n >> 61 == 1)
    }
}

fn lost() -> Result<(), BudgetError> {
    Err(BudgetError::Unavailable { message: "lost".into(), source: None })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Twist {
    None,
    /// A release of an unknown id is refused.
    StrictRelease,
    /// A settling below what was charged counts one more.
    DearSettling,
    /// The second account is not asked.
    OneAccount,
    /// A refusal names another amount left.
    WrongLeft,
    /// Calls are lost before or after they are made: no fault of the budget.
    Lossy,
}

#[async_trait]
impl Budget for Twisted {
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let (before, after) = self.lost();
        if before {
            return lost();
        }
        match self.inner.reserve(hold, caller, ask).await {
            _ if after => lost(),
            Err(BudgetError::Exceeded { account, window, dimension, asked, left, held, reset })
                if self.twist == Twist::WrongLeft && left > 20 =>
            {
                let left = left - 1;
                Err(BudgetError::Exceeded { account, window, dimension, asked, left, held, reset })
            }
            answer => answer,
        }
    }

    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError> {
        let (before, after) = self.lost();
        match before {
            true => lost(),
            false => self.inner.charge(hold, line, total).await.and_then(|()| match after {
                true => lost(),
                false => Ok(()),
            }),
        }
    }

    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError> {
        let charged = self.inner.holds().into_iter().find(|one| one.id == *hold);
        let less = charged.as_ref().is_some_and(|one| one.charged.tokens > spent.tokens);
        if self.twist == Twist::DearSettling && less {
            let charged = charged.map(|one| one.charged.tokens).unwrap_or_default();
            return self.inner.settle(hold, Amounts { tokens: charged + 1, ..spent }).await;
        }
        self.inner.settle(hold, spent).await
    }

    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        if self.twist == Twist::StrictRelease {
            return self.inner.settle(hold, Amounts::default()).await;
        }
        self.inner.release(hold).await
    }
}

struct TwistedView {
    view: BudgetView,
    twist: Twist,
}

#[async_trait]
impl BudgetProbe for TwistedView {
    async fn with_accounts(&self, accounts: Accounts) -> Arc<dyn Budget> {
        let accounts = if self.twist == Twist::OneAccount { Accounts::caller() } else { accounts };
        let inner = self.view.budget.clone().with_accounts(accounts);
        Arc::new(Twisted { inner, twist: self.twist, calls: Arc::default() })
    }

    async fn set_limits(&self, account: &str, limits: &[Limit]) {
        self.view.set_limits(account, limits).await;
    }

    async fn account(&self, account: &str) -> Account {
        self.view.account(account).await
    }

    async fn now(&self) -> Timestamp {
        self.view.now().await
    }

    async fn advance(&self, by: Duration) {
        self.view.advance(by).await;
    }

    async fn abandon(&self, _: &HoldId) {}

    fn lease(&self) -> Option<Duration> {
        self.view.lease
    }

    fn window(&self) -> Duration {
        self.view.window
    }
}

/// Sequences of bytes that are the same each time.
fn sequences() -> impl FnMut(usize) -> Vec<[u8; 4]> {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let [_, a, b, c, d, ..] = random.to_le_bytes();
        [a, b, c, d]
    };
    move |length| (0..length).map(|_| next()).collect()
}

/// B3 B4 B9 B10: random calls find what is twisted, and nothing where nothing is.
#[tokio::test(start_paused = true)]
async fn the_model_finds_what_is_twisted() {
    let mut sequence = sequences();
    for (twist, finds) in [
        (Twist::None, false),
        (Twist::Lossy, false),
        (Twist::StrictRelease, true),
        (Twist::DearSettling, true),
        (Twist::OneAccount, true),
        (Twist::WrongLeft, true),
    ] {
        let mut found = None;
        for _ in 0..40 {
            let lease = Some(Duration::from_secs(10));
            let budget = MemoryBudget::unlimited().with_lease(Duration::from_secs(10));
            let view = BudgetView { lease, ..BudgetView::paused(budget) };
            let followed = follow(&TwistedView { view, twist }, &commands(&sequence(60))).await;
            found = found.or(followed.err());
        }
        assert_eq!(found.is_some(), finds, "{twist:?}: {found:?}");
    }
}

/// B7 B8: the model follows a budget in real time, where a call has no exact moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_follows_in_real_time() {
    let mut sequence = sequences();
    for _ in 0..8 {
        let lease = Some(Duration::from_millis(80));
        let view = BudgetView {
            lease,
            window: Duration::from_millis(60),
            paused: false,
            ..BudgetView::paused(MemoryBudget::unlimited().with_lease(Duration::from_millis(80)))
        };
        if let Err(found) = follow(&view, &commands(&sequence(60))).await {
            panic!("{found}");
        }
    }
}
