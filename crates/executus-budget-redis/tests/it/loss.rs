//! Servers that forget, and what is granted without one.

use std::time::Duration;

use executus_budget_redis::{Allowance, Away, Config, OpenError, RedisBudget};
use executus_core::port::{Amounts, Budget, BudgetError};
use executus_redis::{Config as Server, Redis, redis};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer};
use tokio::time::sleep;

use crate::stage::{budget, caller, hold, kept, quick, standing, tokens, with};

fn is_lost(answer: &Result<(), BudgetError>) -> bool {
    matches!(answer, Err(error @ BudgetError::Unavailable { .. }) if error.to_string().contains("reseeded"))
}

/// B1: a server that starts again without its data denies, until somebody says from where to go on.
#[tokio::test]
async fn a_lost_epoch_denies_until_reseeded() {
    let mut server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let caller = caller(&budget, 100).await;
    let (id, running) = (hold(), hold());
    budget.reserve(&id, &caller, tokens(70)).await.unwrap();
    budget.settle(&id, tokens(70)).await.unwrap();
    budget.reserve(&running, &caller, tokens(20)).await.unwrap();
    server.restart().await.unwrap();
    let denied = budget.reserve(&hold(), &caller, tokens(1)).await;
    assert!(is_lost(&denied), "{denied:?}");
    let error = RedisBudget::connect(&Config::new(&server.url()).unwrap()).await.unwrap_err();
    assert!(matches!(error, OpenError::Unseeded { .. }), "{error:?}");
    // A run that was under way: what it spent is counted, although its hold is forgotten.
    budget.settle(&running, tokens(15)).await.unwrap();
    assert_eq!(standing(&budget, &caller).await, (0, 15, 15));

    budget.reseed(&[(caller.clone(), tokens(85))]).await.unwrap();
    let limit = executus_core::port::Limit::total(tokens_limit(100));
    budget.set_limits(&caller, &[limit]).await.unwrap();
    assert_eq!(standing(&budget, &caller).await, (0, 85, 15));
    let refused = budget.reserve(&hold(), &caller, tokens(16)).await;
    assert!(matches!(refused, Err(BudgetError::Exceeded { left: 15, .. })), "{refused:?}");
    budget.reserve(&hold(), &caller, tokens(15)).await.unwrap();
}

const fn tokens_limit(tokens: u64) -> Amounts {
    Amounts { tokens, ..Amounts::UNLIMITED }
}

/// B1: a server that has gone back to an older state denies everybody, once one process has seen
/// that it knew more.
#[tokio::test]
async fn a_server_that_went_back_in_time_denies() {
    let server = RedisServer::plain().await;
    let (budget, other) = (budget(&server.url()).await, budget(&server.url()).await);
    let caller = caller(&budget, 100).await;
    let plain = Redis::connect(Server::new(&server.url()).unwrap()).await.unwrap();
    for _ in 0..3 {
        let id = hold();
        budget.reserve(&id, &caller, tokens(10)).await.unwrap();
        budget.settle(&id, tokens(10)).await.unwrap();
    }
    // What a restore from an older snapshot leaves.
    let mut back = redis::cmd("HSET");
    back.arg("{executus}:budget:meta").arg("count").arg(2);
    plain.command(&back).await.unwrap();
    let denied = budget.reserve(&hold(), &caller, tokens(1)).await;
    assert!(is_lost(&denied), "{denied:?}");
    let denied = other.reserve(&hold(), &caller, tokens(1)).await;
    assert!(is_lost(&denied), "told by the first: {denied:?}");
    other.reseed(&[]).await.unwrap();
    budget.reserve(&hold(), &caller, tokens(1)).await.unwrap();
}

/// B3: a server that is killed and keeps its data knows every hold, and each is ended once.
#[tokio::test]
async fn a_killed_server_with_a_log_goes_on() {
    let mut server = kept().await;
    let budget = budget(&server.url()).await;
    let caller = caller(&budget, 100).await;
    let (held, settled) = (hold(), hold());
    budget.reserve(&held, &caller, tokens(30)).await.unwrap();
    budget.reserve(&settled, &caller, tokens(30)).await.unwrap();
    budget.settle(&settled, tokens(20)).await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(standing(&budget, &caller).await, (30, 20, 0));
    budget.settle(&settled, tokens(20)).await.unwrap();
    budget.settle(&held, tokens(30)).await.unwrap();
    assert_eq!(standing(&budget, &caller).await, (0, 50, 0));
}

/// B3: an end that Redis did not hear is an error, and is told all the same when Redis is back.
#[tokio::test]
async fn an_end_that_could_not_be_told_is_told_later() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let (asked, read) = (with(quick(&proxy.url())).await, budget(&server.url()).await);
    let caller = caller(&read, 100).await;
    let (settled, released) = (hold(), hold());
    for id in [&settled, &released] {
        asked.reserve(id, &caller, tokens(30)).await.unwrap();
    }
    proxy.set(Fault::Cut);
    asked.settle(&settled, tokens(12)).await.unwrap_err();
    asked.release(&released).await.unwrap_err();
    proxy.set(Fault::None);
    assert!(asked.close().await, "Redis knows all");
    assert_eq!(standing(&read, &caller).await, (0, 12, 0));
}

/// B1: with an allowance a process grants on its own, never more than that, and Redis counts it
/// when it is back.
#[tokio::test]
async fn an_allowance_is_counted_afterwards() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let most = Amounts { tokens: 50, ..Amounts::UNLIMITED };
    let config = quick(&proxy.url()).away(Away::Allow(Allowance { most }));
    let (asked, read) = (with(config).await, budget(&server.url()).await);
    let caller = caller(&read, 100).await;
    let before = hold();
    asked.reserve(&before, &caller, tokens(40)).await.unwrap();

    proxy.set(Fault::Cut);
    let (first, second) = (hold(), hold());
    asked.reserve(&first, &caller, tokens(30)).await.unwrap();
    asked.reserve(&first, &caller, tokens(30)).await.unwrap();
    let refused = asked.reserve(&second, &caller, tokens(30)).await;
    assert!(
        matches!(refused, Err(BudgetError::Exceeded { asked: 30, left: 20, .. })),
        "{refused:?}"
    );
    asked.charge(&first, &first.run, tokens(35)).await.unwrap();
    asked.charge(&first, &first.run, tokens(60)).await.unwrap_err();
    // Holds of before go on within what they were granted.
    let child = hold().run;
    asked.charge(&before, &child, tokens(15)).await.unwrap();
    asked.charge(&before, &before.run, tokens(41)).await.unwrap_err();
    asked.settle(&before, tokens(20)).await.unwrap();
    asked.settle(&first, tokens(38)).await.unwrap();
    assert_eq!(standing(&read, &caller).await, (40, 0, 0), "Redis knows nothing of it yet");

    proxy.set(Fault::None);
    while standing(&read, &caller).await.0 > 0 {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(asked.close().await);
    assert_eq!(standing(&read, &caller).await, (0, 35 + 38, 38), "what no limit covered is told");
}
