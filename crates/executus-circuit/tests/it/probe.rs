//! The one call that asks whether an open circuit's peer is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use executus_circuit::{Circuit, CircuitStore, MemoryCircuits, Policy, State};
use executus_core::isolate::isolate;

use crate::support::{circuit, exact, fail, key, open, pass};

/// Two workers that share a store.
async fn workers() -> (Circuit, Circuit) {
    let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
    let one = Circuit::new(store.clone(), key(), exact());
    let other = Circuit::new(store, key(), exact());
    open(&one).await;
    pass(30).await;
    (one, other)
}

/// CB-10
#[tokio::test(start_paused = true)]
async fn of_two_workers_one_probes() {
    let (one, other) = workers().await;
    let (first, second) = tokio::join!(one.acquire(), other.acquire());
    let (permit, error) = match (first, second) {
        (Ok(permit), Err(error)) | (Err(error), Ok(permit)) => (permit, error),
        both => panic!("one of them probes, not {both:?}"),
    };
    assert!(permit.is_probe() && error.probing);
    assert!(error.to_string().contains("is open and being probed"));
}

/// CB-10: a thousand at once, on threads.
#[test]
fn of_a_thousand_callers_one_probes() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let policy = Policy::builder()
            .cooldown(Duration::from_millis(1), Duration::from_millis(1))
            .build()
            .unwrap();
        let store = Arc::new(MemoryCircuits::default());
        let asking = Circuit::new(store.clone(), key(), policy);
        for round in 0..20 {
            open(&asking).await;
            while asking.snapshot().await.cooldown_remaining > Duration::ZERO {
                tokio::task::yield_now().await;
            }
            let (reached, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let barrier = Arc::new(tokio::sync::Barrier::new(1000));
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..1000 {
                let (asking, barrier) = (asking.clone(), barrier.clone());
                let (reached, refused) = (reached.clone(), refused.clone());
                callers.spawn(async move {
                    barrier.wait().await;
                    match asking.acquire().await {
                        Ok(permit) => {
                            reached.fetch_add(1, Ordering::SeqCst);
                            // Keeps its place until all have asked.
                            barrier.wait().await;
                            permit.neutral().await;
                        }
                        Err(_) => {
                            refused.fetch_add(1, Ordering::SeqCst);
                            barrier.wait().await;
                        }
                    }
                });
            }
            while callers.join_next().await.transpose().unwrap().is_some() {}
            let counted = (reached.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
            assert_eq!(counted, (1, 999), "round {round}");
            asking.reset().await.unwrap();
        }
    });
}

/// CB-11
#[tokio::test(start_paused = true)]
async fn a_probe_that_succeeds_closes() {
    let (one, other) = workers().await;
    one.acquire().await.unwrap().success().await;
    let seen = other.snapshot().await;
    assert_eq!((seen.state, seen.failure_count, seen.probe_count), (State::Closed, 0, 0));
    // The next opening is a first one again.
    open(&other).await;
    assert_eq!(one.snapshot().await.cooldown_remaining, Duration::from_secs(30));
}

/// CB-11
#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_opens_for_longer() {
    let (one, other) = workers().await;
    fail(&one).await;
    let seen = other.snapshot().await;
    assert_eq!((seen.state, seen.failure_count, seen.probe_count), (State::Open, 4, 1));
    assert_eq!((seen.cooldown_remaining, seen.probing), (Duration::from_secs(60), false));
    pass(60).await;
    assert!(other.acquire().await.unwrap().is_probe());
}

/// CB-12: a neutral end, a drop, a cancelled future and a panic.
#[tokio::test(start_paused = true)]
async fn a_probe_that_tells_nothing_gives_its_place_back_at_once() {
    let (one, other) = workers().await;
    let before = one.snapshot().await;

    one.acquire().await.unwrap().neutral().await;
    assert_eq!(one.snapshot().await, before);

    drop(other.acquire().await.unwrap());
    assert_eq!(one.snapshot().await, before);

    let mut cancelled = Box::pin(async {
        let _permit = one.acquire().await.unwrap();
        std::future::pending::<()>().await;
    });
    tokio::select! {
        biased;
        () = &mut cancelled => unreachable!("it waits for ever"),
        () = tokio::task::yield_now() => {}
    }
    assert!(other.acquire().await.unwrap_err().probing);
    drop(cancelled);
    assert_eq!(one.snapshot().await, before);

    let panicked = isolate(|| {
        Box::pin(async {
            let _permit = other.acquire().await.unwrap();
            panic!("in the call");
        })
    });
    let told: Result<(), executus_core::isolate::Panicked> = panicked.await;
    assert_eq!(told.unwrap_err().0, "in the call");
    assert_eq!(one.snapshot().await, before);

    let held = other.acquire().await.unwrap().hold();
    assert_eq!(one.snapshot().await, before);
    drop(held);

    assert!(one.acquire().await.unwrap().is_probe(), "the next one may probe");
}

/// CB-19: of a closed circuit too, nothing is recorded of a call that was cancelled.
#[tokio::test(start_paused = true)]
async fn a_cancelled_call_records_nothing() {
    let circuit = circuit();
    fail(&circuit).await;
    let call = async {
        let permit = circuit.acquire().await.unwrap();
        std::future::pending::<()>().await;
        permit.failure().await;
    };
    let ended = tokio::time::timeout(Duration::from_secs(1), call).await;
    assert!(ended.is_err(), "the cancellation comes through");
    assert_eq!(circuit.snapshot().await.failure_count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_worker_died_is_replaced_when_its_lease_is_over() {
    let (one, other) = workers().await;
    // What was leaked is never given back: so it is with a process that was killed.
    let lost = one.acquire_for(Duration::from_secs(30)).await.unwrap();
    pass(39).await;
    let error = other.acquire().await.unwrap_err();
    assert_eq!((error.probing, error.retry_after), (true, Duration::from_secs(1)));
    pass(1).await;
    let next = other.acquire().await.unwrap();
    assert!(next.is_probe());
    // The first one was not dead after all. It is late, and takes nobody's place.
    let before = other.snapshot().await;
    lost.success().await;
    assert_eq!(other.snapshot().await, before);
    assert!(one.acquire().await.is_err());
    next.success().await;
    assert_eq!(one.snapshot().await.state, State::Closed);
}

#[tokio::test(start_paused = true)]
async fn held_failures_count_together_when_the_circuit_has_not_moved_on() {
    let circuit = circuit();
    let mut held = circuit.acquire().await.unwrap().hold();
    for _ in 0..8 {
        held.join(circuit.acquire().await.unwrap().hold());
    }
    assert_eq!((held.len(), held.is_empty()), (9, false));
    assert_eq!(circuit.snapshot().await.failure_count, 0);
    held.count().await;
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.failure_count), (State::Open, 3));

    // Of two generations the older one is late.
    pass(30).await;
    let mut old = circuit.acquire().await.unwrap().hold();
    circuit.acquire().await.unwrap().success().await;
    old.join(circuit.acquire().await.unwrap().hold());
    assert_eq!(old.len(), 1);
    old.count().await;
    assert_eq!(circuit.snapshot().await.failure_count, 1);
    let late = circuit.acquire().await.unwrap().hold();
    fail(&circuit).await;
    fail(&circuit).await;
    let before = circuit.snapshot().await;
    late.count().await;
    assert_eq!(circuit.snapshot().await, before);
}
