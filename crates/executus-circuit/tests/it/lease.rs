//! One of many does something.

use std::time::Duration;

use executus_circuit::{LeaseStore, MemoryLeases, Owner};

use crate::support::pass;

const TTL: Duration = Duration::from_secs(15);

#[tokio::test(start_paused = true)]
async fn a_lease_has_one_holder_until_its_time_is_over() {
    let leases = MemoryLeases::default();
    let (one, other) = (Owner::random(), Owner::random());
    let first = leases.acquire("health", &one, TTL).await.unwrap().expect("it is free");
    assert_eq!(leases.acquire("health", &other, TTL).await.unwrap(), None);
    assert!(leases.acquire("another", &other, TTL).await.unwrap().is_some());
    // The same owner asks again: a lost answer, and no second term.
    assert_eq!(leases.acquire("health", &one, TTL).await.unwrap(), Some(first.clone()));
    pass(14).await;
    assert!(leases.renew(&first, TTL).await.unwrap());
    pass(14).await;
    assert_eq!(leases.acquire("health", &other, TTL).await.unwrap(), None);
    pass(1).await;
    let second = leases.acquire("health", &other, TTL).await.unwrap().expect("it is free again");
    assert!(second.term > first.term);
    // The first holder was only slow.
    assert!(!leases.renew(&first, TTL).await.unwrap());
    leases.release(&first).await.unwrap();
    assert_eq!(leases.acquire("health", &one, TTL).await.unwrap(), None);
    leases.release(&second).await.unwrap();
    let third = leases.acquire("health", &one, TTL).await.unwrap().expect("it was given back");
    assert!(third.term > second.term);
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_no_time_is_none() {
    let leases = MemoryLeases::default();
    assert_eq!(leases.acquire("health", &Owner::random(), Duration::ZERO).await.unwrap(), None);
}

#[test]
fn of_many_who_race_one_holds_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let leases = MemoryLeases::default();
        for round in 0..50 {
            let mut racers = tokio::task::JoinSet::new();
            for _ in 0..32 {
                let leases = leases.clone();
                let name = format!("task-{round}");
                racers.spawn(async move { leases.acquire(&name, &Owner::random(), TTL).await });
            }
            let held = racers.join_all().await.into_iter().filter(|it| matches!(it, Ok(Some(_))));
            assert_eq!(held.count(), 1);
        }
    });
}
