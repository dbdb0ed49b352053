//! The place of a probe, over all interleavings of threads that a model checker finds.
//!
//! Run by `RUSTFLAGS="--cfg executus_loom" cargo test -p executus-circuit --test it`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use executus_circuit::{
    Absence, Circuit, CircuitKey, CircuitStore, MemoryCircuits, Outcome, Owner, Permit, Policy,
    Snapshot, State,
};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// The store of one process answers at the first poll.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a store of this process does not wait"),
    }
}

/// An open circuit whose cooldown is over: as another process had it, so that no time has to pass.
fn half_open() -> Circuit {
    let standing = Snapshot { state: State::Open, failure_count: 3, ..Snapshot::default() };
    let absence = Absence {
        id: 1,
        owner: Owner::new("another"),
        samples: Vec::new(),
        answered: false,
        trailing: 3,
        standing,
    };
    let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
    let key = CircuitKey::new("peer");
    now(store.merge(&key, &Policy::default(), &absence)).unwrap();
    Circuit::builder(store, key).owner(Owner::new("this")).build().unwrap()
}

/// All interleavings with up to so many switches where a thread could have gone on.
fn model(switches: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(run);
}

/// Counts who holds a probe, and never sees two.
fn hold(permit: &Permit, holders: &AtomicUsize) {
    assert!(permit.is_probe());
    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two probes at once");
    holders.fetch_sub(1, Ordering::SeqCst);
}

/// CB-10, CB-12: threads that claim the place and give it back, by a drop or a word.
#[test]
fn one_holds_the_place_and_all_give_it_back() {
    model(4, || {
        let circuit = half_open();
        let holders = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = [Some(Outcome::Neutral), None, Some(Outcome::Neutral)]
            .into_iter()
            .map(|end| {
                let (circuit, holders) = (circuit.clone(), holders.clone());
                thread::spawn(move || {
                    if let Ok(permit) = now(circuit.acquire()) {
                        hold(&permit, &holders);
                        match end {
                            Some(outcome) => now(permit.ended(outcome)),
                            None => drop(permit),
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let seen = now(circuit.snapshot());
        assert_eq!((seen.state, seen.probing), (State::Open, false), "the place is back");
        assert!(now(circuit.acquire()).unwrap().is_probe());
    });
}

/// CB-11: a probe that closes, beside one that asks: asked before it is refused, after it passes.
#[test]
fn a_probe_that_closes_is_seen_whole() {
    model(4, || {
        let circuit = half_open();
        let probe = now(circuit.acquire()).unwrap();
        let asking = {
            let circuit = circuit.clone();
            thread::spawn(move || match now(circuit.acquire()) {
                Ok(permit) => assert!(!permit.is_probe()),
                Err(error) => assert!(error.probing),
            })
        };
        now(probe.success());
        asking.join().unwrap();
        assert_eq!(now(circuit.snapshot()).state, State::Closed);
    });
}

/// CB-15: of two failures that race to make it dormant, one is told.
#[test]
fn one_of_two_is_told() {
    model(4, || {
        let told = Arc::new(AtomicUsize::new(0));
        let policy =
            Policy::builder().consecutive(1).dormant(1, Duration::from_secs(60)).build().unwrap();
        let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
        let hook = {
            let told = told.clone();
            move |_: &executus_circuit::Alert| {
                told.fetch_add(1, Ordering::SeqCst);
            }
        };
        let circuit = Circuit::builder(store, CircuitKey::new("peer"))
            .policy(policy)
            .on_alert(Arc::new(hook))
            .build()
            .unwrap();
        let permits = [now(circuit.acquire()).unwrap(), now(circuit.acquire()).unwrap()];
        let threads = permits.map(|permit| thread::spawn(move || now(permit.failure())));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(told.load(Ordering::SeqCst), 1);
    });
}
