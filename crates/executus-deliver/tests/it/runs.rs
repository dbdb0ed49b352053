//! Real runs, and where their results go.

use std::sync::Arc;

use executus_core::memory::MemoryBudget;
use executus_core::port::{Amounts, Delivery};
use executus_core::{Executor, Limits, Reply, RunId, RunRequest, RunStatus, Settled};
use executus_deliver::{Direct, Outbox, Routes, Webhook, When};
use executus_testkit::scripted::{Say, ScriptedModel};
use tempfile::TempDir;

use crate::receiver::{Act, OK, Receiver};
use crate::support::{client, config, key, quick};

struct Stage {
    good: Receiver,
    bad: Receiver,
}

impl Stage {
    async fn new() -> Self {
        Self { good: Receiver::start(|_, _| OK).await, bad: Receiver::start(|_, _| OK).await }
    }

    /// Success to one, errors to the other.
    fn routes(&self) -> Routes {
        let hook =
            |receiver: &Receiver| Webhook::new(client(), &receiver.url("/")).unwrap().key(key());
        let routes = Routes::new().to("good", When::Ok, hook(&self.good)).unwrap();
        routes.to("bad", When::Error, hook(&self.bad)).unwrap()
    }

    fn arrived(&self) -> (usize, usize) {
        (self.good.received().len(), self.bad.received().len())
    }
}

async fn performed(delivery: Option<Arc<dyn Delivery>>, request: RunRequest) -> Settled {
    let budget =
        MemoryBudget::new(Amounts { tokens: 10, runtime_ms: 1000, cost_micros: 0, runs: 9 });
    let mut executor = Executor::builder().budget(Arc::new(budget));
    if let Some(delivery) = delivery {
        executor = executor.delivery(delivery);
    }
    executor.build().start(request).unwrap().settled().await
}

fn request(lines: impl IntoIterator<Item = Say>) -> RunRequest {
    let limits = Limits {
        max_tokens: 5,
        hard_timeout: std::time::Duration::from_millis(500),
        ..Limits::default()
    };
    RunRequest::new(Arc::new(ScriptedModel::new(lines))).limits(limits)
}

/// DV-01: without a delivery the output is in the result, and nobody else hears of it.
#[tokio::test]
async fn without_a_delivery() {
    let stage = Stage::new().await;
    let settled = performed(None, request([Reply::text("done").into()])).await;
    assert_eq!(settled.outcome.output.as_deref(), Some("done"));
    assert_eq!(stage.arrived(), (0, 0));
}

/// DV-02: a success goes to the target of successes, once, under the run's id; so it does when it is
/// handed over again.
#[tokio::test]
async fn a_success_arrives_under_its_key() {
    let (stage, folder) = (Stage::new().await, TempDir::new().unwrap());
    let outbox = Outbox::open(config(&folder, 3), stage.routes()).unwrap();
    let run = RunId::random();
    let request = request([Reply::text("done").into()]).run_id(run.clone());
    let settled = performed(Some(Arc::new(outbox.clone())), request).await;
    assert_eq!((settled.outcome.status, settled.failures.len()), (RunStatus::Ok, 0));
    let parcel = crate::support::parcel(run.as_str(), RunStatus::Ok);
    outbox.deliver(&parcel).await.unwrap();
    outbox.flush().await.unwrap();
    outbox.deliver(&parcel).await.unwrap();
    outbox.flush().await.unwrap();
    assert_eq!(stage.arrived(), (1, 0));
    assert_eq!(stage.good.keys(), [run.as_str()]);
    assert_eq!(stage.good.received()[0].json()["data"]["output"], "done");
}

/// DV-03: what went wrong inside the loop goes to the target of errors, not to that of successes.
#[tokio::test]
async fn an_error_arrives_as_one() {
    let cases = [(Say::Panic, RunStatus::Error), (Say::Hang, RunStatus::Timeout)];
    for (line, status) in cases {
        let stage = Stage::new().await;
        let direct = Direct::new(stage.routes());
        let settled = performed(Some(Arc::new(direct)), request([line])).await;
        assert_eq!(settled.outcome.status, status);
        assert_eq!(stage.arrived(), (0, 1));
        let message = stage.bad.received()[0].json();
        assert_eq!(message["type"], format!("run.{status}"));
        assert_eq!(
            message["data"]["error"]["kind"],
            settled.outcome.error.as_ref().unwrap().kind.as_str()
        );
    }
}

/// DV-04: a run that stopped before its loop is kept nowhere.
#[tokio::test]
async fn what_never_began_is_not_kept() {
    let (stage, folder) = (Stage::new().await, TempDir::new().unwrap());
    let outbox = Outbox::open(config(&folder, 3), stage.routes()).unwrap();
    let limits = Limits { max_steps: 0, ..Limits::default() };
    let refused = request([Say::Hang]).limits(limits);
    let settled = performed(Some(Arc::new(outbox.clone())), refused).await;
    assert_eq!(settled.outcome.status, RunStatus::Error);
    let dear = request([Say::Hang]).limits(Limits::default());
    let settled = performed(Some(Arc::new(outbox.clone())), dear).await;
    assert_eq!(settled.outcome.status, RunStatus::BudgetExceeded);
    assert_eq!(outbox.list(None, 10).await.unwrap(), []);
    assert_eq!(stage.arrived(), (0, 0));
}

/// A receiver that refuses does not change the outcome; it stands beside it.
#[tokio::test]
async fn a_failed_delivery_leaves_the_outcome() {
    let receiver = Receiver::start(|_, _| Act::Answer(403, "", "no")).await;
    let webhook = Webhook::new(client(), &receiver.url("/")).unwrap();
    let routes = Routes::new().to("hook", When::Always, webhook).unwrap();
    let direct = Direct::new(routes).backoff(quick(3));
    let request = request([Reply::text("done").into()]);
    let settled = performed(Some(Arc::new(direct)), request).await;
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(settled.failures.len(), 1);
    assert!(settled.failures[0].1.contains("403"), "{:?}", settled.failures);
}
