//! What an operator says.

use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{Circuit, MemoryCircuits, Outcome, Snapshot, State};

use crate::support::{exact, fail, key, open, pass};

/// CB-18
#[tokio::test(start_paused = true)]
async fn a_reset_circuit_is_closed_without_a_record() {
    let store = Arc::new(MemoryCircuits::default());
    let circuit = Circuit::new(store.clone(), key(), exact());
    let late = circuit.acquire().await.unwrap();
    open(&circuit).await;
    assert!(store.stored(&key()).is_some());
    circuit.reset().await.unwrap();
    assert_eq!(circuit.snapshot().await, Snapshot::default());
    assert!(store.stored(&key()).is_none() && store.is_empty());
    // A result from before does not count, and makes no record.
    late.failure().await;
    assert!(store.is_empty());
    // From here on it is like a new one.
    fail(&circuit).await;
    assert_eq!(circuit.snapshot().await.failure_count, 1);
}

/// CB-18
#[tokio::test(start_paused = true)]
async fn a_forced_dormancy_lasts_five_minutes_however_often_it_is_forced() {
    let store = Arc::new(MemoryCircuits::default());
    let circuit = Circuit::new(store.clone(), key(), exact());
    let late = circuit.acquire().await.unwrap();
    let first = circuit.force_dormant().await.unwrap();
    assert_eq!((first.state, first.next_probe), (State::Dormant, Duration::from_secs(300)));
    let record = store.stored(&key());
    assert_eq!(circuit.force_dormant().await.unwrap(), first);
    pass(100).await;
    circuit.force_dormant().await.unwrap();
    assert_eq!(store.stored(&key()), record, "nothing changed");
    late.success().await;
    assert_eq!(store.stored(&key()), record, "what is late changes nothing");
    pass(199).await;
    assert!(circuit.acquire().await.is_err());
    pass(1).await;
    circuit.acquire().await.unwrap().success().await;
    assert_eq!(circuit.snapshot().await.state, State::Closed);
}

/// CB-18: over one that is dormant by itself, the five minutes hold, not the hour.
#[tokio::test(start_paused = true)]
async fn a_dormant_circuit_can_be_forced() {
    let circuit = crate::support::circuit();
    open(&circuit).await;
    for _ in 0..9 {
        pass(300).await;
        fail(&circuit).await;
    }
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.next_probe), (State::Dormant, Duration::from_secs(3600)));
    let seen = circuit.force_dormant().await.unwrap();
    assert_eq!((seen.state, seen.next_probe), (State::Dormant, Duration::from_secs(300)));
    assert_eq!(seen.failure_count, 12);
}

#[tokio::test(start_paused = true)]
async fn a_probe_under_way_is_late_after_an_operators_word() {
    let circuit = crate::support::circuit();
    open(&circuit).await;
    pass(30).await;
    let probe = circuit.acquire().await.unwrap();
    circuit.force_dormant().await.unwrap();
    let before = circuit.snapshot().await;
    assert!(!before.probing);
    probe.success().await;
    assert_eq!(circuit.snapshot().await, before);
    pass(300).await;
    let probe = circuit.acquire().await.unwrap();
    circuit.reset().await.unwrap();
    drop(probe);
    assert_eq!(circuit.snapshot().await, Snapshot::default());
}

/// HM-09
#[tokio::test(start_paused = true)]
async fn who_looks_without_asking_pushes_an_open_circuit_or_closes_it() {
    let store = Arc::new(MemoryCircuits::default());
    let circuit = Circuit::new(store.clone(), key(), exact());
    open(&circuit).await;
    let cooldowns = [60, 120, 240, 300, 300, 300, 300, 300];
    for seconds in cooldowns {
        circuit.observe(Outcome::Failure).await;
        let seen = circuit.snapshot().await;
        assert_eq!(
            (seen.state, seen.cooldown_remaining),
            (State::Open, Duration::from_secs(seconds))
        );
    }
    circuit.observe(Outcome::Neutral).await;
    assert_eq!(circuit.snapshot().await.state, State::Open);
    circuit.observe(Outcome::Failure).await;
    assert_eq!(circuit.snapshot().await.state, State::Dormant);
    // Dormant is for an operator, or for a probe in an hour.
    circuit.observe(Outcome::Success).await;
    assert_eq!(circuit.snapshot().await.state, State::Dormant);
    circuit.reset().await.unwrap();
    open(&circuit).await;
    let refused = circuit.acquire().await;
    assert!(refused.is_err());
    circuit.observe(Outcome::Success).await;
    assert_eq!(circuit.snapshot().await, Snapshot::default());
    // In a closed one it counts like a call, and a success forgets what failed.
    circuit.observe(Outcome::Failure).await;
    circuit.observe(Outcome::Failure).await;
    assert_eq!(circuit.snapshot().await.failure_count, 2);
    circuit.observe(Outcome::Success).await;
    assert_eq!(circuit.snapshot().await.failure_count, 0);
}
