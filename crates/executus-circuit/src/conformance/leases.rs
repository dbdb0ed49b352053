//! The kit for leases.

use super::{Arc, LeaseStore, Owner, RunId, SHORT, SLACK, given, guarantee};

/// Runs the kit for leases.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn leases(store: &Arc<dyn LeaseStore>) {
    let name = format!("conformance-{}", RunId::random().as_str());
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (store, name) = (store.clone(), name.clone());
        racers
            .spawn(async move { given("L1", store.acquire(&name, &Owner::random(), SHORT).await) });
    }
    let held: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    guarantee!("L1", held.len() == 1, "{} of 100 hold it", held.len());
    let Some(first) = held.into_iter().next() else { return };

    let again = given("L1", store.acquire(&name, &first.owner, SHORT).await);
    guarantee!("L3", again.as_ref() == Some(&first), "its holder asks again: {again:?}");
    guarantee!("L2", given("L2", store.renew(&first, SHORT).await), "its holder cannot renew it");

    tokio::time::sleep(SHORT + SLACK).await;
    guarantee!("L2", !given("L2", store.renew(&first, SHORT).await), "renewed when it was over");
    let other = Owner::random();
    let second = given("L2", store.acquire(&name, &other, 100 * SHORT).await);
    let Some(second) = second else { panic!("L2 is violated: a lease that is over is not free") };
    guarantee!("L3", second.term > first.term, "{} after {}", second.term, first.term);

    given("L1", store.release(&first).await);
    let third = Owner::random();
    let taken = given("L1", store.acquire(&name, &third, SHORT).await);
    guarantee!("L1", taken.is_none(), "an old holder released what is another's");
    given("L1", store.release(&second).await);
    let third = given("L1", store.acquire(&name, &third, SHORT).await);
    guarantee!("L3", third.is_some_and(|third| third.term > second.term), "released, not free");
}
