//! The kits.

use std::sync::Arc;

use executus_circuit::conformance::{circuits, leases};
use executus_circuit::{CircuitStore, LeaseStore};
use executus_circuit_redis::{Config, RedisCircuits, RedisLeases};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer};

/// S1 S2 S3 S4 S5 S6: the kit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_circuits_conform() {
    let server = RedisServer::plain().await;
    let store = RedisCircuits::connect(&Config::new(&server.url()).unwrap()).await.unwrap();
    let store: Arc<dyn CircuitStore> = Arc::new(store);
    circuits(&store).await;
}

/// L1 L2 L3: the kit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leases_conform() {
    let server = RedisServer::plain().await;
    let store = RedisLeases::connect(&Config::new(&server.url()).unwrap()).await.unwrap();
    let store: Arc<dyn LeaseStore> = Arc::new(store);
    leases(&store).await;
}

/// S1 S2 S3 S4 S5 S6 L1 L2 L3: the kits, while one piece in fifty is lost on its way there or back:
/// nothing counts twice, no place stays taken, nobody is told twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_conform_while_answers_are_lost() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 7).await.unwrap();
    let config = Config::new(&proxy.url()).unwrap();
    let store: Arc<dyn CircuitStore> = Arc::new(RedisCircuits::new(&config));
    proxy.set(Fault::Random { lost: 20 });
    circuits(&store).await;
    let store: Arc<dyn LeaseStore> = Arc::new(RedisLeases::new(&config));
    leases(&store).await;
}
