//! B8 and B10: limits within windows, and what a refusal says of them.

use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;
use executus_core::port::{Amounts, Budget, BudgetError, Limit, Window};

use super::super::{given, guarantee};
use super::{BudgetProbe, hold, limited, tokens};

const fn of(tokens: u64) -> Amounts {
    Amounts { tokens, ..Amounts::UNLIMITED }
}

/// Moves to just after the next boundary of a fixed window, so that what follows is within one.
async fn to_a_fresh_window(probe: &dyn BudgetProbe, window: Window) -> Timestamp {
    let now = probe.now().await;
    if let Some(end) = window.leaves(window.bucket(now)) {
        probe.advance(end.since(now) + Duration::from_millis(1)).await;
    }
    probe.now().await
}

/// Moves to a moment, or a little past it.
async fn to(probe: &dyn BudgetProbe, at: Timestamp) {
    let ahead = at.since(probe.now().await);
    if !ahead.is_zero() {
        probe.advance(ahead + Duration::from_millis(1)).await;
    }
}

/// B8: what was spent leaves a fixed and a rolling window in time, and never the total.
pub(super) async fn what_was_spent_leaves(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let length = probe.window();
    let (fixed, rolling) = (Window::fixed(length), Window::rolling(length));
    for window in [fixed, rolling] {
        let limits = [Limit::new(window, of(100)), Limit::total(of(150))];
        let caller = limited(probe, &limits).await;
        to_a_fresh_window(probe, fixed).await;
        let first = hold();
        given("B8", "reserve", budget.reserve(&first, &caller, tokens(80)).await);
        given("B8", "settle", budget.settle(&first, tokens(80)).await);
        let settled = probe.now().await;
        let refused = budget.reserve(&hold(), &caller, tokens(30)).await;
        let Err(BudgetError::Exceeded { reset: Some(reset), left: 20, .. }) = &refused else {
            panic!("B8 is violated: 30 with 20 left of {window}: {refused:?}");
        };
        if window == rolling {
            // The settling may have come a little before its time was read.
            let kept = reset.since(settled) + length / 10;
            guarantee!("B8", kept >= length, "left {window} after {kept:?}");
        }
        let latest = settled.after(length + length / 60 + Duration::from_millis(2));
        guarantee!("B8", *reset <= latest, "{window} keeps what was spent beyond its length");
        to(probe, *reset).await;
        let next = hold();
        given("B8", "reserve at the reset", budget.reserve(&next, &caller, tokens(30)).await);
        let account = probe.account(&caller).await;
        let within = account.limits.first().map(|one| one.spent.tokens);
        guarantee!("B8", within == Some(0), "{within:?} still counted in {window}");
        guarantee!("B8", account.spent == tokens(80), "the total forgot: {:?}", account.spent);
        let refused = budget.reserve(&hold(), &caller, tokens(50)).await;
        let total = matches!(
            refused,
            Err(BudgetError::Exceeded {
                window: Window::Total,
                left: 40,
                held: 30,
                reset: None,
                ..
            })
        );
        guarantee!("B10", total, "50 with 40 left in the total: {refused:?}");
        given("B8", "release", budget.release(&next).await);
    }
}

/// B8: a live hold counts in the next window too, and is counted where it is settled.
pub(super) async fn a_hold_counts_in_every_window(
    budget: &Arc<dyn Budget>,
    probe: &dyn BudgetProbe,
) {
    let length = probe.window();
    if probe.lease().is_some_and(|lease| lease < length * 2) {
        // Kept by its lease for a window and more, or the case cannot be shown.
        return;
    }
    let window = Window::fixed(length);
    let caller = limited(probe, &[Limit::new(window, of(100))]).await;
    to_a_fresh_window(probe, window).await;
    let long = hold();
    given("B8", "reserve", budget.reserve(&long, &caller, tokens(70)).await);
    to_a_fresh_window(probe, window).await;
    let refused = budget.reserve(&hold(), &caller, tokens(31)).await;
    guarantee!("B8", refused.is_err(), "31 beside a hold of 70 that crossed into the window");
    given("B8", "settle", budget.settle(&long, tokens(60)).await);
    let spent = probe.account(&caller).await.limits.first().map(|one| one.spent.tokens);
    guarantee!("B8", spent == Some(60), "{spent:?} counted where 60 were settled");
}

/// B10: what is only held is told apart from what was spent, and what never fits has no reset.
pub(super) async fn refusals_say_when(budget: &Arc<dyn Budget>, probe: &dyn BudgetProbe) {
    let window = Window::fixed(probe.window());
    let amounts = Amounts { runs: 1, ..of(100) };
    let caller = limited(probe, &[Limit::new(window, amounts)]).await;
    let now = to_a_fresh_window(probe, window).await;
    let holding = hold();
    let ask = Amounts { runs: 1, ..tokens(60) };
    given("B10", "reserve", budget.reserve(&holding, &caller, ask).await);

    let end = window.leaves(window.bucket(now));
    let refused = budget.reserve(&hold(), &caller, tokens(50)).await;
    let said = matches!(&refused, Err(BudgetError::Exceeded {
        account, window: of, dimension: "tokens", asked: 50, left: 40, held: 60, reset,
    }) if **account == *caller && *of == window && *reset == end);
    guarantee!("B10", said, "50 with 40 left and 60 held: {refused:?}");
    guarantee!("B10", refused.is_err_and(|e| e.retry()), "what is held may come back");

    let refused = budget.reserve(&hold(), &caller, Amounts { runs: 1, ..tokens(1) }).await;
    let said = matches!(
        &refused,
        Err(BudgetError::Exceeded {
            dimension: "runs",
            asked: 1,
            left: 0,
            held: 1,
            reset: None,
            ..
        })
    );
    guarantee!("B10", said, "a second run at once: {refused:?}");

    let refused = budget.reserve(&hold(), &caller, tokens(101)).await;
    let said = matches!(&refused, Err(BudgetError::Exceeded { asked: 101, reset: None, .. }));
    guarantee!("B10", said, "more than the limit: {refused:?}");
    guarantee!("B10", refused.is_err_and(|e| !e.retry()), "what never fits cannot be tried again");
    given("B10", "release", budget.release(&holding).await);
}
