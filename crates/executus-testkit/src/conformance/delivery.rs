//! The guarantees of a delivery.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::Delivery;
use executus_core::{Executor, Ports, Reply, RunId, RunRequest, RunStatus};

use super::{given, guarantee};
use crate::sample;
use crate::scripted::ScriptedModel;

/// What has arrived, or is kept durably until it does.
#[async_trait]
pub trait DeliveryProbe: Send + Sync {
    /// The keys under which a run's parcels arrived, one per arrival; for what is still on its way,
    /// the key under which it is kept.
    async fn arrivals(&self, run: &RunId) -> Vec<String>;
}

/// Runs all guarantees of a delivery.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn delivery(delivery: &Arc<dyn Delivery>, probe: &dyn DeliveryProbe) {
    what_is_acknowledged_arrives(&**delivery, probe).await;
    twice_under_one_key(&**delivery, probe).await;
    the_outcome_stays(delivery, probe).await;
}

/// D1: a parcel that was acknowledged has arrived, or is kept until it does.
async fn what_is_acknowledged_arrives(delivery: &dyn Delivery, probe: &dyn DeliveryProbe) {
    for status in [RunStatus::Ok, RunStatus::Error, RunStatus::Timeout, RunStatus::Cancelled] {
        let run = RunId::random();
        given("D1", "deliver", delivery.deliver(&sample::parcel(&run, status)).await);
        let arrived = probe.arrivals(&run).await;
        guarantee!("D1", !arrived.is_empty(), "a parcel with status {status} did not arrive");
    }
}

/// D2: a parcel that arrives twice carries the same key, the run's id.
async fn twice_under_one_key(delivery: &dyn Delivery, probe: &dyn DeliveryProbe) {
    let (run, other) = (RunId::random(), RunId::random());
    let parcel = sample::parcel(&run, RunStatus::Ok);
    for parcel in [&parcel, &parcel, &sample::parcel(&other, RunStatus::Ok)] {
        given("D2", "deliver", delivery.deliver(parcel).await);
    }
    let keys = probe.arrivals(&run).await;
    let same = keys.iter().all(|key| key == run.as_str());
    guarantee!("D2", same && !keys.is_empty(), "arrived under {keys:?}");
    let keys = probe.arrivals(&other).await;
    guarantee!("D2", keys.iter().all(|key| key == other.as_str()), "arrived under {keys:?}");
}

/// D3: delivering leaves the outcome of a run as it is.
async fn the_outcome_stays(delivery: &Arc<dyn Delivery>, probe: &dyn DeliveryProbe) {
    let ports = Ports { delivery: Some(Arc::clone(delivery)), ..Ports::default() };
    let executor = Executor::new(ports);
    let model = Arc::new(ScriptedModel::new([Reply::text("done")]));
    let run = RunId::random();
    let request = RunRequest::new(model).run_id(run.clone());
    let handle = given("D3", "start", executor.start(request));
    let outcome = handle.outcome().await;
    let settled = handle.settled().await;
    guarantee!("D3", outcome.status == RunStatus::Ok, "the run ended {}", outcome.status);
    guarantee!("D3", settled.outcome == outcome, "the outcome changed while it was delivered");
    guarantee!("D3", !probe.arrivals(&run).await.is_empty(), "the result did not arrive");
}
