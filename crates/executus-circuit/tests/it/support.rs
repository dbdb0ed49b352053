//! Circuits to test with, and a store that fails as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_circuit::{
    Absence, Admission, Change, Circuit, CircuitKey, CircuitStore, Jitter, MemoryCircuits, Outcome,
    Owner, Policy, Snapshot, StoreError, Ticket,
};
use parking_lot::Mutex;

/// The default policy with exact cooldowns.
pub(crate) fn exact() -> Policy {
    Policy::builder().jitter(Jitter::Off).build().unwrap()
}

pub(crate) fn key() -> CircuitKey {
    CircuitKey::transport("http://10.0.0.7:8080")
}

/// A circuit of one process on a store of its own.
pub(crate) fn circuit() -> Circuit {
    Circuit::new(Arc::new(MemoryCircuits::default()), key(), exact())
}

pub(crate) async fn fail(circuit: &Circuit) {
    circuit.acquire().await.expect("a call passes").failure().await;
}

pub(crate) async fn succeed(circuit: &Circuit) {
    circuit.acquire().await.expect("a call passes").success().await;
}

/// Three failures in a row.
pub(crate) async fn open(circuit: &Circuit) {
    for _ in 0..3 {
        fail(circuit).await;
    }
}

pub(crate) async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// What a store does that is not well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ill {
    No,
    Refuses,
    Hangs,
    Panics,
    /// It does what it is asked, and the answer is lost.
    LosesAnswers,
}

/// A store that is well or ill as it is told.
pub(crate) struct Faulty {
    pub(crate) inner: MemoryCircuits,
    ill: Mutex<Ill>,
    pub(crate) calls: AtomicUsize,
    pub(crate) merges: AtomicUsize,
}

impl Faulty {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryCircuits::default(),
            ill: Mutex::new(Ill::No),
            calls: AtomicUsize::new(0),
            merges: AtomicUsize::new(0),
        })
    }

    pub(crate) fn is(&self, ill: Ill) {
        *self.ill.lock() = ill;
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn suffer<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let ill = *self.ill.lock();
        match ill {
            Ill::No => work.await,
            Ill::Refuses => Err(StoreError::unavailable("refused")),
            Ill::Hangs => std::future::pending().await,
            Ill::Panics => panic!("a store that panics"),
            Ill::LosesAnswers => {
                work.await?;
                Err(StoreError::unavailable("the answer was lost"))
            }
        }
    }
}

#[async_trait]
impl CircuitStore for Faulty {
    async fn admit(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        owner: &Owner,
        lease: Duration,
    ) -> Result<Admission, StoreError> {
        self.suffer(self.inner.admit(key, policy, owner, lease)).await
    }

    async fn record(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        ticket: &Ticket,
        outcome: Outcome,
        times: u32,
    ) -> Result<Change, StoreError> {
        self.suffer(self.inner.record(key, policy, ticket, outcome, times)).await
    }

    async fn observe(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        outcome: Outcome,
    ) -> Result<Change, StoreError> {
        self.suffer(self.inner.observe(key, policy, outcome)).await
    }

    fn give_back(&self, key: &CircuitKey, policy: &Policy, ticket: Ticket) {
        let ill = *self.ill.lock();
        match ill {
            Ill::No | Ill::LosesAnswers => self.inner.give_back(key, policy, ticket),
            Ill::Panics => panic!("a store that panics"),
            Ill::Refuses | Ill::Hangs => {}
        }
    }

    async fn snapshot(&self, key: &CircuitKey) -> Result<Snapshot, StoreError> {
        self.suffer(self.inner.snapshot(key)).await
    }

    async fn reset(&self, key: &CircuitKey) -> Result<(), StoreError> {
        self.suffer(self.inner.reset(key)).await
    }

    async fn force_dormant(&self, key: &CircuitKey, policy: &Policy) -> Result<Change, StoreError> {
        self.suffer(self.inner.force_dormant(key, policy)).await
    }

    async fn merge(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        absence: &Absence,
    ) -> Result<Change, StoreError> {
        let merged = self.suffer(self.inner.merge(key, policy, absence)).await?;
        self.merges.fetch_add(1, Ordering::SeqCst);
        Ok(merged)
    }
}
