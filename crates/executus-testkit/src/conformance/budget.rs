//! The guarantees of a budget.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Account, Accounts, Amounts, Budget, BudgetError, Limit};
use executus_core::{HoldId, RunId, Timestamp};
use tokio::task::JoinSet;

use super::{given, guarantee};

mod accounts;
mod windows;

/// Sets up and reads accounts, and moves what the store keeps time by.
#[async_trait]
pub trait BudgetProbe: Send + Sync {
    /// Another handle to the same store, whose holds take from these accounts.
    async fn with_accounts(&self, accounts: Accounts) -> Arc<dyn Budget>;

    /// Sets the limits of an account.
    async fn set_limits(&self, account: &str, limits: &[Limit]);

    /// What stands in an account.
    async fn account(&self, account: &str) -> Account;

    /// The store's own clock.
    async fn now(&self) -> Timestamp;

    /// Returns when the store's clock has moved on by this much, or a little more: by moving a
    /// paused clock, or by waiting.
    async fn advance(&self, by: Duration);

    /// The holder of this hold dies: what renews its lease by itself no longer does.
    async fn abandon(&self, hold: &HoldId);

    /// After which time an abandoned hold comes back; `None` when holders cannot die alone.
    fn lease(&self) -> Option<Duration>;

    /// The length of window to test with, in whole milliseconds: short where real time passes.
    fn window(&self) -> Duration;
}

/// Runs all guarantees of a budget.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn budget(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    never_more_than_the_limit(budget, probe).await;
    every_dimension_is_limited(budget, probe).await;
    one_id_is_one_hold(budget, probe).await;
    settled_once(budget, probe).await;
    released_unknown_is_closed(budget, probe).await;
    charged_by_total(budget, probe).await;
    charges_stay_within_the_limit(budget, probe).await;
    an_overrun_is_recorded(budget, probe).await;
    a_dead_hold_comes_back(budget, probe).await;
    windows::what_was_spent_leaves(budget, probe).await;
    windows::a_hold_counts_in_every_window(budget, probe).await;
    windows::refusals_say_when(budget, probe).await;
    accounts::all_or_nothing(budget, probe).await;
    accounts::each_is_charged(budget, probe).await;
}

/// A caller that nobody used before, with a limit in all.
async fn fresh(probe: &dyn BudgetProbe, limit: Amounts) -> Arc<str> {
    limited(probe, &[Limit::total(limit)]).await
}

/// The key of an account that nobody used before, with these limits.
async fn limited(probe: &dyn BudgetProbe, limits: &[Limit]) -> Arc<str> {
    let account: Arc<str> = RunId::random().as_str().into();
    probe.set_limits(&account, limits).await;
    account
}

fn hold() -> HoldId {
    HoldId { run: RunId::random(), attempt: 1 }
}

const fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, runtime_ms: 0, cost_micros: 0, runs: 0 }
}

/// A limit of so many tokens, and room for a hundred runs.
const fn limit(tokens: u64) -> Amounts {
    Amounts { tokens, runtime_ms: 1_000_000, cost_micros: 1_000_000, runs: 100 }
}

/// B1: held and spent together never pass the limit, whoever races.
async fn never_more_than_the_limit(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(1000)).await;
    let mut tasks = JoinSet::new();
    for n in 0..200 {
        let (budget, caller) = (Arc::clone(budget), Arc::clone(&caller));
        tasks.spawn(async move {
            let hold = hold();
            let granted = match budget.reserve(&hold, &caller, tokens(10)).await {
                Ok(()) => true,
                Err(BudgetError::Exceeded { .. }) => false,
                Err(error) => panic!("B1 cannot be shown: reserve failed: {error}"),
            };
            // Some settle while others still ask: what was spent stays taken.
            if granted && n % 2 == 0 {
                given("B1", "settle", budget.settle(&hold, tokens(10)).await);
            }
            granted
        });
    }
    let mut granted = 0;
    while let Some(done) = tasks.join_next().await {
        granted += u64::from(given("B1", "a reserver", done));
    }
    guarantee!("B1", granted <= 100, "{granted} holds of 10 granted of a limit of 1000");
    guarantee!("B1", granted == 100, "only {granted} holds of 10 granted of a limit of 1000");
    let standing = probe.account(&caller).await;
    let taken = standing.held.tokens + standing.spent.tokens;
    guarantee!("B1", taken == 1000, "{taken} of 1000 stand in the account");

    let refused = budget.reserve(&hold(), &caller, tokens(1)).await;
    let exceeded = matches!(refused, Err(BudgetError::Exceeded { left: 0, asked: 1, .. }));
    guarantee!("B1", exceeded, "with nothing left: {refused:?}");

    let caller = fresh(probe, limit(100)).await;
    let refused = budget.reserve(&hold(), &caller, tokens(101)).await;
    guarantee!("B1", refused.is_err(), "101 of 100 granted");
    let held = probe.account(&caller).await.held;
    guarantee!("B1", held == Amounts::default(), "a refusal holds {held:?}: all or nothing");
}

/// B1: a limit holds in every dimension; an amount out of range is refused by name.
async fn every_dimension_is_limited(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let one = Amounts { tokens: 1, runtime_ms: 1, cost_micros: 1, runs: 1 };
    let caller = fresh(probe, one).await;
    for ask in [
        Amounts { tokens: 2, ..one },
        Amounts { runtime_ms: 2, ..one },
        Amounts { cost_micros: 2, ..one },
        Amounts { runs: 2, ..one },
    ] {
        let refused = budget.reserve(&hold(), &caller, ask).await;
        guarantee!("B1", refused.is_err(), "{ask:?} granted of {one:?}");
    }
    let far = budget.reserve(&hold(), &caller, tokens(Amounts::MAX + 1)).await;
    let invalid = matches!(far, Err(BudgetError::Invalid { field: "tokens" }));
    guarantee!("B1", invalid, "an amount above 2^53 - 1: {far:?}");

    // A place among the runs at once is free again when its run is over.
    for _ in 0..3 {
        let hold = hold();
        let ask = Amounts { runs: 1, ..Amounts::default() };
        given("B1", "reserve of a free place", budget.reserve(&hold, &caller, ask).await);
        given("B1", "settle", budget.settle(&hold, ask).await);
    }
}

/// B2: one id is one hold.
async fn one_id_is_one_hold(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(100)).await;
    let hold = hold();
    for _ in 0..5 {
        given("B2", "reserve", budget.reserve(&hold, &caller, tokens(60)).await);
    }
    let held = probe.account(&caller).await.held.tokens;
    guarantee!("B2", held == 60, "reserved five times under one id: {held} held of 60");
    let mut tasks = JoinSet::new();
    let racing = HoldId { run: RunId::random(), attempt: 1 };
    for _ in 0..20 {
        let (budget, caller, id) = (Arc::clone(budget), Arc::clone(&caller), racing.clone());
        tasks.spawn(async move { budget.reserve(&id, &caller, tokens(10)).await.is_ok() });
    }
    while let Some(done) = tasks.join_next().await {
        guarantee!("B2", given("B2", "a reserver", done), "one of many reserves of an id refused");
    }
    let held = probe.account(&caller).await.held.tokens;
    guarantee!("B2", held == 70, "one id reserved at once: {held} held of 70");
}

/// B3: settling counts once and gives the rest back.
async fn settled_once(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(100)).await;
    let hold = hold();
    given("B3", "reserve", budget.reserve(&hold, &caller, tokens(80)).await);
    for spent in [30, 30, 50] {
        given("B3", "settle", budget.settle(&hold, tokens(spent)).await);
    }
    given("B3", "release after settle", budget.release(&hold).await);
    let standing = probe.account(&caller).await;
    guarantee!("B3", standing.spent == tokens(30), "settled 30 once: {:?} spent", standing.spent);
    guarantee!("B3", standing.held == Amounts::default(), "{:?} held", standing.held);

    let released = HoldId { run: RunId::random(), attempt: 1 };
    given("B3", "reserve", budget.reserve(&released, &caller, tokens(70)).await);
    given("B3", "release", budget.release(&released).await);
    given("B3", "settle after release", budget.settle(&released, tokens(70)).await);
    let standing = probe.account(&caller).await;
    guarantee!("B3", standing.spent == tokens(30), "a released hold spent {:?}", standing.spent);
    guarantee!("B3", standing.held == Amounts::default(), "{:?} held", standing.held);
}

/// B4: an unknown id can be released, and is closed from then on.
async fn released_unknown_is_closed(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(100)).await;
    let hold = hold();
    given("B4", "release of an unknown id", budget.release(&hold).await);
    given("B4", "a second release", budget.release(&hold).await);
    let late = budget.reserve(&hold, &caller, tokens(10)).await;
    guarantee!("B4", matches!(late, Err(BudgetError::Closed { .. })), "a late reserve: {late:?}");
    let held = probe.account(&caller).await.held;
    guarantee!("B4", held == Amounts::default(), "a late reserve holds {held:?}");
}

/// B5: a charge sets a line's total, once or twice.
async fn charged_by_total(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(100)).await;
    let hold = hold();
    let child = RunId::random();
    given("B5", "reserve", budget.reserve(&hold, &caller, tokens(50)).await);
    for total in [10, 10, 25, 25] {
        given("B5", "charge", budget.charge(&hold, &hold.run, tokens(total)).await);
    }
    for total in [5, 5] {
        given("B5", "charge", budget.charge(&hold, &child, tokens(total)).await);
    }
    let held = probe.account(&caller).await.held.tokens;
    guarantee!("B5", held == 50, "charges within the hold: {held} held of 50");
    given("B5", "release", budget.release(&hold).await);
    let standing = probe.account(&caller).await;
    guarantee!("B5", standing.spent == tokens(30), "charged 25 and 5: {:?} spent", standing.spent);
    guarantee!("B5", standing.held == Amounts::default(), "{:?} held", standing.held);
}

/// B5: a charge above the hold is covered from what is left of the limit, or refused.
async fn charges_stay_within_the_limit(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(100)).await;
    let (first, second) = (hold(), hold());
    given("B5", "reserve", budget.reserve(&first, &caller, tokens(40)).await);
    given("B5", "reserve", budget.reserve(&second, &caller, tokens(40)).await);
    given("B5", "charge into what is left", budget.charge(&first, &first.run, tokens(55)).await);
    let held = probe.account(&caller).await.held.tokens;
    guarantee!("B5", held == 95, "40 held and 55 charged: {held} held of 95");
    let refused = budget.charge(&first, &first.run, tokens(61)).await;
    let exceeded = matches!(refused, Err(BudgetError::Exceeded { .. }));
    guarantee!("B5", exceeded, "6 more with 5 left: {refused:?}");
    let held = probe.account(&caller).await.held.tokens;
    guarantee!("B5", held == 95, "a refused charge changed what is held to {held}");
    given("B5", "settle", budget.settle(&first, tokens(61)).await);
    given("B5", "settle", budget.settle(&second, tokens(0)).await);
    let standing = probe.account(&caller).await;
    guarantee!("B5", standing.spent == tokens(61), "{:?} spent of 61", standing.spent);

    let unknown = budget.charge(&hold(), &RunId::random(), tokens(1)).await;
    guarantee!("B5", unknown.is_err(), "a charge on an unknown hold was granted");
}

/// B6: a settled total above what is held is recorded in full, and is an overrun.
async fn an_overrun_is_recorded(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let caller = fresh(probe, limit(100)).await;
    let id = hold();
    given("B6", "reserve", budget.reserve(&id, &caller, tokens(10)).await);
    given("B6", "settle above the limit", budget.settle(&id, tokens(130)).await);
    let account = probe.account(&caller).await;
    guarantee!("B6", account.spent == tokens(130), "130 settled: {:?} spent", account.spent);
    guarantee!("B6", account.overrun == tokens(120), "{:?} overrun of 120", account.overrun);
    let refused = budget.reserve(&hold(), &caller, tokens(1)).await;
    guarantee!("B6", refused.is_err(), "granted to a caller that spent more than its limit");
}

/// B7: the unspent part of a dead holder's hold comes back, and the hold does not.
async fn a_dead_hold_comes_back(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let Some(lease) = probe.lease() else { return };
    let caller = fresh(probe, limit(100)).await;
    let (dead, alive) = (hold(), hold());
    given("B7", "reserve", budget.reserve(&dead, &caller, tokens(60)).await);
    given("B7", "charge", budget.charge(&dead, &dead.run, tokens(20)).await);
    given("B7", "reserve", budget.reserve(&alive, &caller, tokens(10)).await);
    probe.abandon(&dead).await;
    for _ in 0..4 {
        // A holder that renews in time stays.
        probe.advance(lease / 2).await;
        given("B7", "renewal", budget.reserve(&alive, &caller, tokens(10)).await);
    }
    let next = hold();
    given("B7", "reserve of what came back", budget.reserve(&next, &caller, tokens(70)).await);
    let account = probe.account(&caller).await;
    guarantee!("B7", account.held == tokens(80), "{:?} held of 80", account.held);
    guarantee!("B7", account.spent == tokens(20), "{:?} spent of 20", account.spent);

    let again = budget.reserve(&dead, &caller, tokens(1)).await;
    let unknown = matches!(again, Err(BudgetError::Unknown { .. }));
    guarantee!("B2", unknown, "a reserve of a hold whose lease ran out: {again:?}");
    let charged = budget.charge(&dead, &dead.run, tokens(21)).await;
    let unknown = matches!(charged, Err(BudgetError::Unknown { .. }));
    guarantee!("B2", unknown, "a charge on a hold whose lease ran out: {charged:?}");

    // The holder was only slow: what it spent was spent, though nothing was held for it any more.
    given("B7", "a late settle", budget.settle(&dead, tokens(45)).await);
    given("B7", "a second late settle", budget.settle(&dead, tokens(45)).await);
    let account = probe.account(&caller).await;
    guarantee!("B7", account.spent == tokens(45), "{:?} spent of 45", account.spent);
    guarantee!("B7", account.overrun == tokens(25), "{:?} overrun of 25", account.overrun);
    guarantee!("B7", account.held == tokens(80), "{:?} held of 80", account.held);
    given("B7", "release", budget.release(&alive).await);
    given("B7", "release", budget.release(&next).await);
}
