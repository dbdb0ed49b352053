//! The guarantees of the port.

use std::sync::Arc;
use std::time::Duration;

use executus_budget_redis::Config;
use executus_core::port::Budget;
use executus_testkit::conformance;
use executus_testkit::redis::RedisServer;

use crate::stage::{View, with};

/// B1 B2 B3 B4 B5 B6 B7 B8 B9 B10: on a server of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_keeps_its_guarantees() {
    let server = RedisServer::plain().await;
    let config = Config::new(&server.url()).unwrap().lease(Duration::from_millis(2400));
    let budget = with(config).await;
    let view = View::direct(budget.clone(), Duration::from_millis(600));
    let budget: Arc<dyn Budget> = Arc::new(budget);
    conformance::budget(&budget, &view).await;
}
