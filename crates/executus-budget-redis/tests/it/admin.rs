//! What an operator asks.

use std::collections::BTreeSet;

use executus_budget_redis::Config;
use executus_core::port::{Amounts, Budget, BudgetError, Limit, Window};
use executus_testkit::redis::RedisServer;

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
