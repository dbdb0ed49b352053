//! The store of one process.

use std::time::Duration;

use executus_circuit::{
    Admission, CircuitKey, CircuitStore, MemoryCircuits, Outcome, Owner, State, Ticket,
};

use crate::support::{exact, key};

const LEASE: Duration = Duration::from_secs(10);

async fn ticket(store: &MemoryCircuits, key: &CircuitKey) -> Ticket {
    match store.admit(key, &exact(), &Owner::new("worker-1"), LEASE).await.unwrap() {
        Admission::Admitted { ticket, .. } => ticket,
        Admission::Refused { seen, .. } => panic!("{key} is {seen:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_makes_no_record() {
    let store = MemoryCircuits::default();
    let ticket = ticket(&store, &key()).await;
    let change = store.record(&key(), &exact(), &ticket, Outcome::Neutral, 1).await.unwrap();
    assert!(change.applied && store.is_empty());
    store.give_back(&key(), &exact(), ticket);
    assert!(store.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_full_store_forgets_those_that_are_well_first() {
    let store = MemoryCircuits::default();
    let dead = key();
    let late = ticket(&store, &dead).await;
    store.record(&dead, &exact(), &late, Outcome::Failure, 3).await.unwrap();
    let mut first = None;
    for peer in 0..3 * MemoryCircuits::CAPACITY {
        let key = CircuitKey::transport(&format!("http://peer-{peer}"));
        let ticket = ticket(&store, &key).await;
        store.record(&key, &exact(), &ticket, Outcome::Success, 1).await.unwrap();
        first.get_or_insert((key, ticket));
    }
    assert!(store.len() <= MemoryCircuits::CAPACITY, "{} circuits", store.len());
    assert_eq!(store.snapshot(&dead).await.unwrap().state, State::Open);
    let all = store.all();
    assert_eq!(all.len(), store.len());
    assert!(all.is_sorted_by_key(|(key, _)| key.clone()));
    // A ticket of a record that had to go is late.
    let (key, ticket) = first.unwrap();
    if store.stored(&key).is_none() {
        let change = store.record(&key, &exact(), &ticket, Outcome::Failure, 3).await.unwrap();
        assert!(!change.applied);
    }
}

/// S5: many threads record the failure that makes it dormant, and one is told.
#[test]
fn one_of_many_is_told_of_a_change() {
    let store = MemoryCircuits::default();
    let policy = executus_circuit::Policy::builder().dormant(1, LEASE).build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        for round in 0..200 {
            let key = CircuitKey::transport(&format!("http://peer-{round}"));
            let ticket = ticket(&store, &key).await;
            let mut callers = tokio::task::JoinSet::new();
            for _ in 0..16 {
                let (store, key) = (store.clone(), key.clone());
                let (policy, ticket) = (policy.clone(), ticket.clone());
                callers.spawn(async move {
                    let change = store.record(&key, &policy, &ticket, Outcome::Failure, 1).await;
                    change.unwrap().became_dormant
                });
            }
            let told = callers.join_all().await.into_iter().filter(|told| *told).count();
            assert_eq!(told, 1, "round {round}");
        }
    });
}
