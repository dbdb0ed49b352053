//! The store is away: each process decides by itself, and tells once what it saw.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use executus_circuit::{Alert, Circuit, CircuitStore, OnAlert, State};
use parking_lot::Mutex;

use crate::support::{Faulty, Ill, exact, fail, key, open, pass, succeed};

fn circuit(store: &Arc<Faulty>) -> Circuit {
    Circuit::new(store.clone(), key(), exact())
}

async fn stored(store: &Arc<Faulty>) -> executus_circuit::Snapshot {
    store.inner.snapshot(&key()).await.unwrap()
}

fn merges(store: &Arc<Faulty>) -> usize {
    store.merges.load(Ordering::SeqCst)
}

/// CB-16: in every way a store can be away.
#[tokio::test(start_paused = true)]
async fn nothing_fails_because_the_store_is_away() {
    for ill in [Ill::Refuses, Ill::Hangs, Ill::Panics, Ill::LosesAnswers] {
        let store = Faulty::new();
        let circuit = circuit(&store);
        store.is(ill);
        // Never seen: closed. Then by its own judgement.
        open(&circuit).await;
        let error = circuit.acquire().await.unwrap_err();
        assert_eq!((error.state, error.probing), (State::Open, false), "{ill:?}");
        assert_eq!(circuit.snapshot().await.state, State::Open, "{ill:?}");
        pass(31).await;
        let probe = circuit.acquire().await.unwrap();
        assert!(probe.is_probe(), "{ill:?}");
        assert!(circuit.acquire().await.unwrap_err().probing, "{ill:?}");
        drop(probe);
        circuit.acquire().await.unwrap().success().await;
        assert_eq!(circuit.snapshot().await.state, State::Closed, "{ill:?}");
        succeed(&circuit).await;
    }
}

/// CB-16: the last seen state holds, and its cooldown goes on.
#[tokio::test(start_paused = true)]
async fn a_circuit_goes_on_with_what_it_saw_last() {
    let store = Faulty::new();
    let (one, other) = (circuit(&store), circuit(&store));
    open(&one).await;
    assert!(other.acquire().await.is_err(), "the other has seen it");
    store.is(Ill::Refuses);
    pass(10).await;
    for circuit in [&one, &other] {
        let error = circuit.acquire().await.unwrap_err();
        assert_eq!((error.state, error.retry_after), (State::Open, Duration::from_secs(20)));
    }
    pass(20).await;
    // Each process has a probe of its own now.
    assert!(one.acquire().await.unwrap().is_probe());
    assert!(other.acquire().await.unwrap().is_probe());
    // Two failures that were counted before are counted still.
    let store = Faulty::new();
    let circuit = circuit(&store);
    fail(&circuit).await;
    fail(&circuit).await;
    store.is(Ill::Refuses);
    fail(&circuit).await;
    assert_eq!(circuit.snapshot().await.state, State::Open);
}

/// CB-16: what was seen meanwhile is merged when the store is back, once.
#[tokio::test(start_paused = true)]
async fn what_was_seen_is_merged_once() {
    let store = Faulty::new();
    let circuit = circuit(&store);
    succeed(&circuit).await;
    store.is(Ill::Refuses);
    fail(&circuit).await;
    fail(&circuit).await;
    assert_eq!(stored(&store).await.failure_count, 0);
    store.is(Ill::No);
    // Not asked again within the second, so nothing is told yet.
    circuit.acquire().await.unwrap().neutral().await;
    assert_eq!(merges(&store), 0);
    pass(1).await;
    circuit.acquire().await.unwrap().neutral().await;
    assert_eq!((merges(&store), stored(&store).await.failure_count), (1, 2));
    circuit.acquire().await.unwrap().neutral().await;
    pass(5).await;
    circuit.acquire().await.unwrap().neutral().await;
    assert_eq!((merges(&store), stored(&store).await.failure_count), (1, 2));
    fail(&circuit).await;
    assert_eq!(stored(&store).await.state, State::Open);
}

/// CB-16: the answer to the merge is lost, and it is told again.
#[tokio::test(start_paused = true)]
async fn a_merge_that_is_told_twice_counts_once() {
    let store = Faulty::new();
    let circuit = circuit(&store);
    store.is(Ill::Refuses);
    fail(&circuit).await;
    fail(&circuit).await;
    store.is(Ill::LosesAnswers);
    for _ in 0..3 {
        pass(1).await;
        circuit.acquire().await.unwrap().neutral().await;
        assert_eq!(stored(&store).await.failure_count, 2);
    }
    store.is(Ill::No);
    pass(1).await;
    circuit.acquire().await.unwrap().neutral().await;
    let seen = stored(&store).await;
    assert_eq!((seen.state, seen.failure_count), (State::Closed, 2));
}

/// CB-16: the process opened its own circuit; the store, which had heard nothing, opens too.
#[tokio::test(start_paused = true)]
async fn a_circuit_opened_meanwhile_is_open_for_all() {
    let store = Faulty::new();
    let (one, other) = (circuit(&store), circuit(&store));
    store.is(Ill::Hangs);
    open(&one).await;
    let mine = one.snapshot().await;
    store.is(Ill::No);
    pass(2).await;
    assert!(one.acquire().await.is_err());
    let seen = stored(&store).await;
    assert_eq!((seen.state, seen.failure_count), (State::Open, mine.failure_count));
    assert!(
        seen.cooldown_remaining < mine.cooldown_remaining,
        "it goes on, it does not begin anew"
    );
    assert!(other.acquire().await.is_err());
}

/// CB-16: what is known by hearsay is not told as if it had been seen.
#[tokio::test(start_paused = true)]
async fn a_stale_state_does_not_overrule_the_store() {
    let store = Faulty::new();
    let circuit = circuit(&store);
    open(&circuit).await;
    store.is(Ill::Refuses);
    pass(5).await;
    assert!(circuit.acquire().await.is_err());
    // Meanwhile an operator resets it, from elsewhere.
    store.inner.reset(&key()).await.unwrap();
    store.is(Ill::No);
    pass(1).await;
    succeed(&circuit).await;
    assert_eq!(stored(&store).await.state, State::Closed);
    assert_eq!(merges(&store), 0, "there was nothing to tell");
}

/// CB-16: results that come in after the store is back are told too.
#[tokio::test(start_paused = true)]
async fn calls_admitted_meanwhile_end_afterwards() {
    let store = Faulty::new();
    let circuit = circuit(&store);
    store.is(Ill::Refuses);
    let (one, other) = (circuit.acquire().await.unwrap(), circuit.acquire().await.unwrap());
    store.is(Ill::No);
    pass(1).await;
    circuit.acquire().await.unwrap().neutral().await;
    one.failure().await;
    other.failure().await;
    assert_eq!(stored(&store).await.failure_count, 2);
    // And the other way round: admitted by the store, ended without it.
    let admitted = circuit.acquire().await.unwrap();
    let unused = circuit.acquire().await.unwrap();
    store.is(Ill::Refuses);
    circuit.acquire().await.unwrap().neutral().await;
    admitted.failure().await;
    assert_eq!(circuit.snapshot().await.state, State::Open);
    drop(unused);
    store.is(Ill::No);
    pass(1).await;
    assert!(circuit.acquire().await.is_err());
    assert_eq!(stored(&store).await.state, State::Open);
}

/// CB-16: a probe of the store whose end the store did not hear of has its place back.
#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_without_the_store_blocks_nobody() {
    let store = Faulty::new();
    let (one, other) = (circuit(&store), circuit(&store));
    open(&one).await;
    pass(30).await;
    let probe = one.acquire().await.unwrap();
    store.is(Ill::Refuses);
    probe.success().await;
    assert_eq!(one.snapshot().await.state, State::Closed, "this process knows that it is well");
    store.is(Ill::No);
    assert!(other.acquire().await.unwrap_err().probing, "the store does not know that it ended");
    succeed(&one).await;
    pass(1).await;
    // The store is told, and the next one probes.
    succeed(&one).await;
    assert_eq!(stored(&store).await.state, State::Closed);
}

/// CB-15, CB-16: an operator is told once, though the store learns of it later.
#[tokio::test(start_paused = true)]
async fn dormancy_without_the_store_is_told_once() {
    #[derive(Default)]
    struct Pager(Mutex<Vec<bool>>);
    impl OnAlert for Pager {
        fn raise(&self, alert: &Alert) -> Result<(), executus_circuit::AlertError> {
            self.0.lock().push(alert.local);
            Ok(())
        }
    }
    let (store, pager) = (Faulty::new(), Arc::new(Pager::default()));
    let hook: Arc<dyn OnAlert> = pager.clone();
    let circuit =
        Circuit::builder(store.clone(), key()).policy(exact()).on_alert(hook).build().unwrap();
    store.is(Ill::Refuses);
    open(&circuit).await;
    for _ in 0..9 {
        pass(300).await;
        fail(&circuit).await;
    }
    assert_eq!(circuit.snapshot().await.state, State::Dormant);
    store.is(Ill::No);
    pass(2).await;
    assert!(circuit.acquire().await.is_err());
    let seen = stored(&store).await;
    assert_eq!((seen.state, seen.failure_count), (State::Dormant, 12));
    assert_eq!(*pager.0.lock(), [true]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_by_one_call_a_second() {
    let store = Faulty::new();
    let circuit = circuit(&store);
    store.is(Ill::Hangs);
    circuit.acquire().await.unwrap().neutral().await;
    let before = store.calls();
    let mut callers = tokio::task::JoinSet::new();
    let start = tokio::time::Instant::now();
    for _ in 0..100 {
        let circuit = circuit.clone();
        callers.spawn(async move { circuit.acquire().await.unwrap().success().await });
    }
    while callers.join_next().await.transpose().unwrap().is_some() {}
    assert_eq!((store.calls() - before, start.elapsed()), (0, Duration::ZERO), "nobody waits");
    pass(1).await;
    for _ in 0..100 {
        let circuit = circuit.clone();
        callers.spawn(async move { circuit.acquire().await.unwrap().success().await });
    }
    while callers.join_next().await.transpose().unwrap().is_some() {}
    assert_eq!(store.calls() - before, 1, "one waited for the store's limit");
    assert_eq!(start.elapsed(), Duration::from_millis(1_250));
}

#[tokio::test(start_paused = true)]
async fn an_operators_word_says_when_the_store_did_not_hear_it() {
    let store = Faulty::new();
    let circuit = circuit(&store);
    store.is(Ill::Refuses);
    open(&circuit).await;
    assert!(circuit.reset().await.is_err());
    assert_eq!(circuit.snapshot().await.state, State::Closed, "it holds here");
    assert!(circuit.force_dormant().await.is_err());
    assert_eq!(circuit.snapshot().await.state, State::Dormant);
}
