//! Answers that are lost on their way: nothing counts twice, nothing is taken for ever, nobody is
//! told twice or not at all.

use std::time::Duration;

use executus_circuit::{Admission, CircuitStore, Jitter, Outcome, Policy, State};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer};
use tokio::time::{sleep, timeout};

use crate::stage::{PATIENCE, circuit, cool, key, open, owner, policy, probe, seen, store, until};

/// S1: a failure whose answer was lost counts once.
#[tokio::test]
async fn what_is_said_again_counts_once() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 1).await.unwrap();
    let (store, direct) = (store(&proxy.url()), store(&server.url()));
    for fault in [Fault::LoseAnswer, Fault::LoseRequest] {
        let lease = Duration::from_secs(9);
        let admitted = store.admit(&key(), &policy(), &owner(), lease).await.unwrap();
        let Admission::Admitted { ticket, .. } = admitted else { panic!("{admitted:?}") };
        proxy.set(fault);
        let change = store.record(&key(), &policy(), &ticket, Outcome::Failure, 1).await.unwrap();
        assert_eq!((change.applied, change.seen.failure_count), (true, 1), "{fault:?}");
        assert_eq!(proxy.fault(), Fault::None, "the fault did not happen");
        assert_eq!(seen(&direct).await.failure_count, 1, "{fault:?}");
        store.record(&key(), &policy(), &ticket, Outcome::Success, 1).await.unwrap();
    }
}

/// S3: a probe whose admission was lost is told of it when it asks again, and closes the circuit.
#[tokio::test]
async fn a_probe_that_did_not_hear_of_it_is_told_again() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 1).await.unwrap();
    let (store, direct) = (store(&proxy.url()), store(&server.url()));
    open(&circuit(&direct)).await;
    cool(&direct).await;
    proxy.set(Fault::LoseAnswer);
    let lease = Duration::from_secs(9);
    let admitted = store.admit(&key(), &policy(), &owner(), lease).await.unwrap();
    let Admission::Admitted { ticket, .. } = admitted else { panic!("{admitted:?}") };
    assert!(ticket.is_probe());
    assert_eq!(proxy.fault(), Fault::None, "the fault did not happen");
    store.record(&key(), &policy(), &ticket, Outcome::Success, 1).await.unwrap();
    assert_eq!(seen(&direct).await.state, State::Closed);
}

/// S5: whoever made the circuit dormant learns it, though the first answer was lost.
#[tokio::test]
async fn dormancy_is_told_though_the_answer_was_lost() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 1).await.unwrap();
    let store = store(&proxy.url());
    let policy = Policy::builder().jitter(Jitter::Off).dormant(1, Duration::from_secs(60));
    let policy = policy.build().unwrap();
    let lease = Duration::from_secs(9);
    let admitted = store.admit(&key(), &policy, &owner(), lease).await.unwrap();
    let Admission::Admitted { ticket, .. } = admitted else { panic!("{admitted:?}") };
    proxy.set(Fault::LoseAnswer);
    let change = store.record(&key(), &policy, &ticket, Outcome::Failure, 3).await.unwrap();
    assert!(change.became_dormant, "{change:?}");
    let again = store.record(&key(), &policy, &ticket, Outcome::Failure, 3).await.unwrap();
    assert!(!again.applied && !again.became_dormant, "{again:?}");
}

/// S3: a caller that is dropped while it asks, with its request on its way: the place is back, in
/// whichever order the two arrive.
#[tokio::test]
async fn a_caller_that_is_dropped_while_it_asks_takes_no_place() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 1).await.unwrap();
    let (store, direct) = (store(&proxy.url()), store(&server.url()));
    let elsewhere = circuit(&direct);
    open(&elsewhere).await;
    // Connected, or there is nothing on its way.
    seen(&store).await;
    cool(&direct).await;
    // The answer takes its time: the place is taken when the caller goes.
    proxy.set(Fault::Slow(Duration::from_millis(200)));
    let (policy, owner, lease) = (policy(), owner(), Duration::from_secs(900));
    let key = key();
    let asking = store.admit(&key, &policy, &owner, lease);
    assert!(timeout(Duration::from_millis(300), asking).await.is_err(), "it was answered");
    let taken = until(&direct, |seen| !seen.probing).await;
    assert_eq!(taken.state, State::Open);
    proxy.set(Fault::None);
    drop(probe(&elsewhere).await);
    // The request is held up: the place is taken long after the caller is gone.
    until(&direct, |seen| !seen.probing).await;
    proxy.set(Fault::Silent);
    let asking = store.admit(&key, &policy, &owner, lease);
    assert!(timeout(Duration::from_millis(100), asking).await.is_err(), "it was answered");
    proxy.set(Fault::None);
    timeout(PATIENCE, async {
        // Free for long enough that what was on its way has arrived.
        for _ in 0..20 {
            drop(probe(&elsewhere).await);
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    drop(store);
}
