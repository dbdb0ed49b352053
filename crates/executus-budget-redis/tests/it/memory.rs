//! A server without memory: reserving is refused, what was granted goes on and comes back.

use std::time::Duration;

use executus_budget_redis::Config;
use executus_core::port::{Budget, BudgetError};
use executus_redis::{Config as Server, Redis, redis};
use executus_testkit::redis::{RedisServer, Settings};
use tokio::time::sleep;

use crate::stage::{caller, hold, standing, tokens, with};

/// B1 B3 B7: without memory reserving is refused; charging, settling, releasing, and the leases of
/// those who hold work.
#[tokio::test]
async fn without_memory_what_is_held_comes_back() {
    let server =
        RedisServer::started(Settings { max_memory: 100_000_000, ..Settings::default() }).await;
    let lease = Duration::from_millis(400);
    let budget = with(Config::new(&server.url()).unwrap().lease(lease)).await;
    let caller = caller(&budget, 100).await;
    let (settled, released, kept) = (hold(), hold(), hold());
    for id in [&settled, &released, &kept] {
        budget.reserve(id, &caller, tokens(20)).await.unwrap();
    }
    let plain = Redis::connect(Server::new(&server.url()).unwrap()).await.unwrap();
    let memory = async |bytes: &str| {
        let mut cmd = redis::cmd("CONFIG");
        cmd.arg("SET").arg("maxmemory").arg(bytes);
        plain.command(&cmd).await.unwrap();
    };
    memory("1").await;
    let refused = budget.reserve(&hold(), &caller, tokens(1)).await;
    let message = refused.as_ref().map_err(ToString::to_string).unwrap_err();
    assert!(matches!(&refused, Err(BudgetError::Unavailable { .. })), "{refused:?}");
    assert!(message.contains("no memory"), "{message}");
    assert_eq!(standing(&budget, &caller).await, (60, 0, 0), "a refusal holds nothing");

    budget.charge(&settled, &settled.run, tokens(5)).await.unwrap();
    budget.settle(&settled, tokens(8)).await.unwrap();
    budget.release(&released).await.unwrap();
    budget.release(&hold()).await.unwrap();
    assert_eq!(standing(&budget, &caller).await, (20, 8, 0));
    sleep(lease * 2).await;
    assert_eq!(standing(&budget, &caller).await, (20, 8, 0), "the lease was renewed");
    budget.abandon(&kept);
    sleep(lease + Duration::from_millis(100)).await;
    assert_eq!(standing(&budget, &caller).await, (0, 8, 0), "and ended");

    memory("0").await;
    budget.reserve(&hold(), &caller, tokens(1)).await.unwrap();
}
