//! The budget against the model of it, on a server, and on one behind a proxy that loses things.

use std::time::Duration;

use executus_budget_redis::{Config, Namespace};
use executus_testkit::budget_model::{Command, commands, follow};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::stage::{View, with};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn view(server: &RedisServer, asked: &str, case: u32) -> View {
    // Each case begins with nothing, in a namespace of its own.
    let config = |url: &str| {
        let config = Config::new(url).unwrap().lease(Duration::from_millis(200));
        config.namespace(Namespace::new(&format!("case-{case}")).unwrap())
    };
    let read = with(config(&server.url())).await;
    let asked = with(config(asked)).await;
    View { asked, read, window: Duration::from_millis(300) }
}

fn followed(cases: u32, lost: u32) {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::with_cases(cases)
    };
    let runtime = runtime();
    let server = runtime.block_on(RedisServer::plain());
    let proxy = runtime.block_on(LossyProxy::start(server.port(), 1)).unwrap();
    let case = std::cell::Cell::new(0);
    let check =
        TestRunner::new(config).run(&proptest::collection::vec(any::<[u8; 4]>(), 1..60), |bytes| {
            case.set(case.get() + 1);
            let made: Vec<Command> = commands(&bytes);
            let answer = runtime.block_on(async {
                let url = if lost > 0 { proxy.url() } else { server.url() };
                proxy.set(Fault::None);
                let view = view(&server, &url, case.get()).await;
                proxy.set(Fault::Random { lost });
                follow(&view, &made).await
            });
            answer.map_err(|found| TestCaseError::fail(found.to_string()))
        });
    if let Err(error) = check {
        panic!("{error}");
    }
}

/// B1 B2 B3 B4 B5 B6 B7 B8 B9 B10: after every call of a random sequence, answer and accounts are
/// the model's.
#[test]
fn the_budget_on_redis_is_its_model() {
    followed(25, 0);
}

/// B2 B3 B5: so they are when one piece in twelve is lost, before or after it was applied.
#[test]
fn the_budget_behind_a_lossy_proxy_is_its_model() {
    followed(12, 80);
}
