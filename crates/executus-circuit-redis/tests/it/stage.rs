//! A fleet: stores that share a server, and circuits on them.

use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{
    Circuit, CircuitKey, CircuitStore, Jitter, Owner, Permit, Policy, Snapshot, State,
};
use executus_circuit_redis::{Config, RedisCircuits};
use tokio::time::{sleep, timeout};

/// Nothing that a test waits for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const COOLDOWN: Duration = Duration::from_millis(300);

/// Opens after three failures, for a short time that is exact.
pub(crate) fn policy() -> Policy {
    let policy = Policy::builder().jitter(Jitter::Off).cooldown(COOLDOWN, 4 * COOLDOWN);
    policy.build().unwrap()
}

pub(crate) fn key() -> CircuitKey {
    CircuitKey::transport("http://10.0.0.7:8080")
}

/// The store of one process more.
pub(crate) fn store(url: &str) -> Arc<RedisCircuits> {
    Arc::new(RedisCircuits::new(&Config::new(url).unwrap()))
}

/// A circuit that looks for an absent store ten times a second.
pub(crate) fn circuit(store: &Arc<RedisCircuits>) -> Circuit {
    circuit_of(store, policy())
}

/// One that stays open for longer than a store that is away is waited for.
pub(crate) fn patient(store: &Arc<RedisCircuits>) -> Circuit {
    let policy = Policy::builder().jitter(Jitter::Off).cooldown(10 * COOLDOWN, 10 * COOLDOWN);
    circuit_of(store, policy.build().unwrap())
}

fn circuit_of(store: &Arc<RedisCircuits>, policy: Policy) -> Circuit {
    let store: Arc<dyn CircuitStore> = Arc::<RedisCircuits>::clone(store);
    let every = Duration::from_millis(100);
    Circuit::builder(store, key()).policy(policy).retry_every(every).build().unwrap()
}

pub(crate) async fn fail(circuit: &Circuit) {
    circuit.acquire().await.unwrap().failure().await;
}

/// Three failures in a row.
pub(crate) async fn open(circuit: &Circuit) {
    for _ in 0..3 {
        fail(circuit).await;
    }
}

/// What the store has, which must be there.
pub(crate) async fn seen(store: &RedisCircuits) -> Snapshot {
    store.snapshot(&key()).await.unwrap()
}

/// Waits until the store has what is asked for.
pub(crate) async fn until(store: &RedisCircuits, what: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let waited = timeout(PATIENCE, async {
        loop {
            if let Ok(seen) = store.snapshot(&key()).await
                && what(&seen)
            {
                return seen;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("the store never has what is waited for"))
}

/// Waits until a probe may pass.
pub(crate) async fn cool(store: &RedisCircuits) {
    sleep(seen(store).await.next_probe + Duration::from_millis(20)).await;
}

/// The probe, once its place is free.
pub(crate) async fn probe(circuit: &Circuit) -> Permit {
    let waited = timeout(PATIENCE, async {
        loop {
            match circuit.acquire().await {
                Ok(permit) => return permit,
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let permit = waited.await.unwrap_or_else(|_| panic!("no probe ever passes"));
    assert!(permit.is_probe(), "a call that is no probe passes");
    permit
}

/// How many absences the record has taken in.
pub(crate) async fn merged(store: &RedisCircuits) -> usize {
    let stored = store.stored(&key()).await.unwrap().unwrap();
    let stored = serde_json::to_value(stored).unwrap();
    stored["merged"].as_array().unwrap().len()
}

pub(crate) fn owner() -> Owner {
    Owner::random()
}

pub(crate) fn is_open(seen: &Snapshot) -> bool {
    seen.state == State::Open
}
