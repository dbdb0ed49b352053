//! What an operator asks.

use std::collections::BTreeSet;
use std::time::Duration;

use executus_budget_redis::Config;
use executus_core::caps::{CapAsk, CapLimits, Caps};
use executus_core::port::{Accounts, Amounts, Budget, BudgetError, Limit, Window};
use executus_redis::redis;
use executus_testkit::redis::{RedisServer, Settings};

use crate::stage::{budget, hold, tokens};

/// Limits of all accounts hold for those that have none of their own.
#[tokio::test]
async fn limits_are_an_accounts_own_or_those_of_all() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let most = |tokens| [Limit::total(Amounts { tokens, ..Amounts::UNLIMITED })];
    let left = async || {
        let refused = budget.reserve(&hold(), &"anna".into(), tokens(1 << 50)).await;
        match refused {
            Err(BudgetError::Exceeded { left, .. }) => Some(left),
            _ => None,
        }
    };
    budget.set_default_limits(&most(10)).await.unwrap();
    assert_eq!(left().await, Some(10));
    budget.set_limits("anna", &most(20)).await.unwrap();
    assert_eq!(left().await, Some(20));
    budget.clear_limits("anna").await.unwrap();
    assert_eq!(left().await, Some(10));
    budget.set_limits("anna", &[]).await.unwrap();
    assert_eq!(left().await, None, "no limit at all");
    let twice = [most(1)[0], most(2)[0]];
    budget.set_limits("anna", &twice).await.unwrap_err();
}

/// All live holds are listed, page by page.
#[tokio::test]
async fn holds_are_listed_in_pages() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let mut ids = BTreeSet::new();
    for _ in 0..700 {
        let id = hold();
        budget.reserve(&id, &"anna".into(), tokens(2)).await.unwrap();
        ids.insert(id.run.clone());
    }
    let (mut from, mut pages, mut seen) = (None, 0, BTreeSet::new());
    loop {
        let page = budget.holds(from).await.unwrap();
        pages += 1;
        for hold in page.holds {
            assert_eq!((hold.held, hold.charged), (tokens(2), tokens(0)));
            assert_eq!(*hold.accounts[0], *"anna");
            seen.insert(hold.id.run);
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    assert!(pages > 1, "{pages} pages");
}

/// An export has a line for every account and every hold.
#[tokio::test]
async fn an_export_is_lines_of_json() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let hour = Window::rolling(std::time::Duration::from_secs(3600));
    budget.set_limits("anna", &[Limit::new(hour, Amounts::UNLIMITED)]).await.unwrap();
    let (over, live) = (hold(), hold());
    budget.reserve(&over, &"anna".into(), tokens(2)).await.unwrap();
    budget.settle(&over, tokens(1)).await.unwrap();
    budget.reserve(&live, &"bert \"b\"".into(), tokens(2)).await.unwrap();
    let mut lines = Vec::new();
    budget.export(&mut |line| lines.push(line)).await.unwrap();
    let lines: Vec<serde_json::Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["export", "account", "account", "hold"]);
    assert_eq!(lines[0]["version"], 1);
    assert_eq!(lines[1]["account"], "anna");
    assert_eq!(lines[1]["standing"]["limits"][0]["spent"]["tokens"], 1);
    assert_eq!(lines[2]["standing"]["held"]["tokens"], 2);
    assert_eq!(lines[3]["hold"]["id"]["run"], live.run.as_str());
}

/// Two namespaces on one server know nothing of each other.
#[tokio::test]
async fn namespaces_are_apart() {
    let server = RedisServer::plain().await;
    let first = budget(&server.url()).await;
    let name = executus_budget_redis::Namespace::new("other").unwrap();
    let second = crate::stage::with(Config::new(&server.url()).unwrap().namespace(name)).await;
    first.reserve(&hold(), &"anna".into(), tokens(5)).await.unwrap();
    assert_eq!(second.account("anna").await.unwrap().held, Amounts::default());
    assert!(second.accounts().await.unwrap().is_empty());
}

/// A node of a cluster, which refuses a script that touches keys of two slots.
async fn node() -> RedisServer {
    let more = vec![("cluster-enabled".into(), "yes".into())];
    let server = RedisServer::started(Settings { more, ..Settings::default() }).await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut bare = client.get_multiplexed_async_connection().await.unwrap();
    let mut all = redis::cmd("CLUSTER");
    all.arg("ADDSLOTSRANGE").arg(0).arg(16383).exec_async(&mut bare).await.unwrap();
    let ok = async |bare: &mut redis::aio::MultiplexedConnection| {
        let mut info = redis::cmd("CLUSTER");
        info.arg("INFO").query_async::<String>(bare).await.unwrap().contains("cluster_state:ok")
    };
    // A node that has just started waits whether others know better.
    while !ok(&mut bare).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server
}

async fn works_on_one_slot(budget: executus_budget_redis::RedisBudget) {
    let budget = budget.with_accounts(Accounts::caller().and_always("tenant:acme"));
    let window = Window::rolling(Duration::from_millis(100));
    budget.set_limits("anna", &[Limit::new(window, Amounts::UNLIMITED)]).await.unwrap();
    let (dead, id) = (hold(), hold());
    budget.reserve(&dead, &"anna".into(), tokens(5)).await.unwrap();
    budget.abandon(&dead);
    tokio::time::sleep(budget.lease() + Duration::from_millis(20)).await;
    budget.reserve(&id, &"anna".into(), tokens(5)).await.unwrap();
    budget.charge(&id, &id.run, tokens(9)).await.unwrap();
    budget.settle(&id, tokens(9)).await.unwrap();
    assert_eq!(budget.account("tenant:acme").await.unwrap().spent, tokens(9));
    budget.export(&mut |_| {}).await.unwrap();
}

/// All keys of a namespace are in one slot, those that scripts make too.
#[tokio::test]
async fn all_keys_are_in_one_slot() {
    let server = node().await;
    let config = Config::new(&server.url()).unwrap().lease(Duration::from_millis(200));
    works_on_one_slot(crate::stage::with(config.clone()).await).await;
    let caps = executus_budget_redis::RedisCaps::open(&config, CapLimits::default());
    let key = "provider".into();
    caps.acquire(&key, CapAsk { tokens: 3, ..CapAsk::default() }).await.unwrap().used(2);
}

/// The same through the client for clusters.
#[cfg(feature = "cluster")]
#[tokio::test]
async fn a_cluster_is_asked_as_one_server() {
    let server = node().await;
    let url = server.url().replace("redis://", "redis+cluster://");
    let config = Config::new(&url).unwrap().lease(Duration::from_millis(200));
    works_on_one_slot(crate::stage::with(config).await).await;
}
