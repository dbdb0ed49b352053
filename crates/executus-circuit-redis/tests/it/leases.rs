//! Leases: one holder, whoever dies, and terms that rise, whatever is forgotten.

use std::time::Duration;

use executus_circuit::{LeaseStore, Owner};
use executus_circuit_redis::{Config, RedisLeases};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer};
use tokio::time::sleep;

const LONG: Duration = Duration::from_secs(60);

/// L1: an answer that was lost leaves one holder, and the holder knows.
#[tokio::test]
async fn a_holder_that_did_not_hear_of_it_is_told_again() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 1).await.unwrap();
    let leases = RedisLeases::new(&Config::new(&proxy.url()).unwrap());
    let owner = Owner::random();
    leases.acquire("warm-up", &owner, LONG).await.unwrap();
    proxy.set(Fault::LoseAnswer);
    let lease = leases.acquire("sweep", &owner, LONG).await.unwrap().unwrap();
    proxy.set(Fault::LoseAnswer);
    assert!(leases.renew(&lease, LONG).await.unwrap());
    proxy.set(Fault::LoseAnswer);
    leases.release(&lease).await.unwrap();
    let next = leases.acquire("sweep", &Owner::random(), LONG).await.unwrap().unwrap();
    assert!(next.term > lease.term, "{next:?} after {lease:?}");
    assert!(!leases.renew(&lease, LONG).await.unwrap(), "what was released is renewed");
}

/// L3: a server that forgot gives a higher term, and the old holder is not renewed.
#[tokio::test]
async fn terms_rise_when_the_server_forgot() {
    let mut server = RedisServer::plain().await;
    let leases = RedisLeases::new(&Config::new(&server.url()).unwrap());
    let first = leases.acquire("sweep", &Owner::new("one"), LONG).await.unwrap().unwrap();
    server.restart().await.unwrap();
    assert!(!leases.renew(&first, LONG).await.unwrap());
    let second = leases.acquire("sweep", &Owner::new("two"), LONG).await.unwrap().unwrap();
    assert!(second.term > first.term, "{second:?} after {first:?}");
    assert!(leases.acquire("sweep", &Owner::new("one"), LONG).await.unwrap().is_none());
}

/// L2: a time to live of nothing takes nothing, one that never ends is a long one, and strange
/// names are names.
#[tokio::test]
async fn the_ends_of_the_range() {
    let server = RedisServer::plain().await;
    let leases = RedisLeases::new(&Config::new(&server.url()).unwrap());
    let owner = Owner::new("a b\n1 2 \u{0}c");
    assert!(leases.acquire("x", &owner, Duration::ZERO).await.unwrap().is_none());
    for name in ["", "}{", "a b", "ü\n"] {
        let lease = leases.acquire(name, &owner, Duration::MAX).await.unwrap().unwrap();
        assert!(leases.renew(&lease, Duration::from_micros(1)).await.unwrap(), "{name:?}");
        sleep(Duration::from_millis(5)).await;
        assert!(!leases.renew(&lease, LONG).await.unwrap(), "{name:?}");
    }
}
