//! B9: holds of several accounts.

use std::sync::Arc;

use executus_core::port::{Accounts, Amounts, Budget, BudgetError};
use tokio::task::JoinSet;

use super::super::{given, guarantee};
use super::{BudgetProbe, fresh, hold, limit, tokens};

/// B9: a hold takes from all of its accounts or from none, whoever races.
pub(super) async fn all_or_nothing(alone: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let (wide, narrow) = (fresh(probe, limit(1000)).await, fresh(probe, limit(100)).await);
    let budget = probe.with_accounts(Accounts::caller().and_always(Arc::clone(&narrow))).await;
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let (both, alone) = (Arc::clone(&budget), Arc::clone(alone));
        let (wide, narrow) = (Arc::clone(&wide), Arc::clone(&narrow));
        tasks.spawn(async move {
            // Some ask for the narrow account alone, and race for it with those that ask for both.
            match n % 3 {
                0 => (0, u64::from(alone.reserve(&hold(), &narrow, tokens(7)).await.is_ok()) * 7),
                _ => {
                    let granted = both.reserve(&hold(), &wide, tokens(7)).await.is_ok();
                    (u64::from(granted) * 7, u64::from(granted) * 7)
                }
            }
        });
    }
    let mut granted = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (wide, narrow) = given("B9", "a reserver", done);
        granted = (granted.0 + wide, granted.1 + narrow);
    }
    let held = (probe.account(&wide).await.held.tokens, probe.account(&narrow).await.held.tokens);
    guarantee!("B9", held == granted, "{held:?} held, {granted:?} granted: not all or nothing");
    guarantee!("B9", held.1 == 98, "{} of 100 held in the narrow account", held.1);

    let refused = budget.reserve(&hold(), &wide, tokens(7)).await;
    let named = matches!(&refused, Err(BudgetError::Exceeded { account, left: 2, held: 98, .. })
        if **account == *narrow);
    guarantee!("B10", named, "the account that does not cover: {refused:?}");
}

/// B9: charges beyond the hold, settling and releasing count in every account.
pub(super) async fn each_is_charged(_: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let (own, shared) = (fresh(probe, limit(100)).await, fresh(probe, limit(60)).await);
    let budget = probe.with_accounts(Accounts::caller().and_always(Arc::clone(&shared))).await;
    let (first, second) = (hold(), hold());
    given("B9", "reserve", budget.reserve(&first, &own, tokens(40)).await);
    given("B9", "charge", budget.charge(&first, &first.run, tokens(55)).await);
    let refused = budget.charge(&first, &first.run, tokens(61)).await;
    let exceeded = matches!(&refused, Err(BudgetError::Exceeded { account, asked: 6, left: 5, .. })
        if **account == *shared);
    guarantee!("B9", exceeded, "6 more with 5 left in the second account: {refused:?}");
    for account in [&own, &shared] {
        let held = probe.account(account).await.held;
        guarantee!("B9", held == tokens(55), "55 charged: {held:?} held in {account}");
    }
    given("B9", "settle", budget.settle(&first, tokens(50)).await);
    given("B9", "release of an unknown id", budget.release(&second).await);
    let third = hold();
    given("B9", "reserve", budget.reserve(&third, &own, tokens(5)).await);
    given("B9", "release", budget.release(&third).await);
    for account in [&own, &shared] {
        let account = probe.account(account).await;
        guarantee!("B9", account.spent == tokens(55), "{:?} spent of 55", account.spent);
        guarantee!("B9", account.held == Amounts::default(), "{:?} held", account.held);
    }
}
