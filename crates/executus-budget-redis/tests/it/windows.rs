//! Windows on the server's clock, and what a refusal says.

use std::time::Duration;

use executus_core::port::{Accounts, Amounts, Budget, BudgetError, Limit, Window};
use executus_testkit::redis::RedisServer;

use crate::stage::{account, budget, hold, tokens};

const fn most(tokens: u64) -> Amounts {
    Amounts { tokens, ..Amounts::UNLIMITED }
}

/// B10: a refusal says which account, how much is left, and when there will be more.
#[tokio::test]
async fn a_refusal_says_when_to_come_back() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let budget = budget.with_accounts(Accounts::caller().and_always("tenant:acme"));
    let day = Window::fixed(Duration::from_secs(86_400));
    budget.set_limits("tenant:acme", &[Limit::new(day, most(100))]).await.unwrap();
    let id = hold();
    budget.reserve(&id, &"anna".into(), tokens(90)).await.unwrap();
    budget.settle(&id, tokens(90)).await.unwrap();
    let refused = budget.reserve(&hold(), &"bert".into(), tokens(11)).await.unwrap_err();
    let message = refused.to_string();
    let midnight = day.leaves(day.bucket(budget.now().await.unwrap()));
    let BudgetError::Exceeded { account, window, dimension, left, reset, .. } = refused else {
        panic!("{message}");
    };
    assert_eq!((account.as_str(), window, dimension, left), ("tenant:acme", day, "tokens", 10));
    assert_eq!(reset, midnight);
    assert!(message.contains("00:00:00Z"), "{message}");
    // All or nothing: the caller's own account holds nothing either.
    assert_eq!(budget.account("bert").await.unwrap().held, Amounts::default());
}

/// B8: what was spent in many buckets of a rolling window leaves it bucket by bucket.
#[tokio::test]
async fn a_rolling_window_lets_go_bucket_by_bucket() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let window = Window::rolling(Duration::from_millis(600));
    budget.set_limits("anna", &[Limit::new(window, most(1000))]).await.unwrap();
    let mut counted = 0;
    for _ in 0..120 {
        let id = hold();
        budget.reserve(&id, &"anna".into(), tokens(5)).await.unwrap();
        budget.settle(&id, tokens(3)).await.unwrap();
        counted += 3;
        tokio::time::sleep(Duration::from_millis(7)).await;
        // The sum that is kept is that of the buckets that are there.
        let use_of = account(&budget, "anna").await.limits[0];
        assert!(use_of.spent.tokens <= counted && use_of.left.tokens == 1000 - use_of.spent.tokens);
    }
    let spent = account(&budget, "anna").await;
    assert_eq!(spent.spent, tokens(360), "the total forgets nothing");
    assert!(spent.limits[0].spent.tokens < 360, "the window does: {:?}", spent.limits);
    let asked = 1000 - spent.limits[0].spent.tokens + 200;
    tokio::time::sleep(Duration::from_millis(620)).await;
    budget.reserve(&hold(), &"anna".into(), tokens(asked.min(1000))).await.unwrap();
}
