//! The circuits of one process.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::{Clock, Timestamp};

use crate::breaker::{Absence, Admission, Breaker, Change, Outcome, Ticket};
use crate::error::StoreError;
use crate::key::{CircuitKey, Owner};
use crate::policy::Policy;
use crate::snapshot::{Snapshot, State};
use crate::store::CircuitStore;
use crate::sync::{Mutex, MutexGuard};

/// The model checker follows one lock; the hash of a key must not choose among several.
const SHARDS: usize = if cfg!(executus_loom) { 1 } else { 16 };

/// The circuits of one process. Clones share them.
///
/// A circuit that was never heard of is closed and has no record. At most
/// [`CAPACITY`](Self::CAPACITY) are kept: one more takes the place of a closed circuit without
/// recent failures, else of the one that would be probed first. That one is closed again, so a
/// full store lets calls pass rather than refuse them.
#[derive(Clone)]
pub struct MemoryCircuits(Arc<Inner>);

struct Inner {
    clock: Clock,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    circuits: HashMap<CircuitKey, Breaker, RandomState>,
    /// The first generation of circuits without a record: above that of any that was forgotten.
    floor: u64,
}

impl Default for MemoryCircuits {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl fmt::Debug for MemoryCircuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCircuits").field("circuits", &self.len()).finish()
    }
}

impl MemoryCircuits {
    /// How many circuits are kept at most.
    pub const CAPACITY: usize = 4096;

    /// No circuits yet, on this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let shards = std::array::from_fn(|_| Mutex::new(Shard::default()));
        Self(Arc::new(Inner { clock, hasher: RandomState::new(), shards }))
    }

    /// How many circuits have a record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| shard.lock().circuits.len()).sum()
    }

    /// Whether no circuit has a record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is stored of a circuit, if anything is.
    #[must_use]
    pub fn stored(&self, key: &CircuitKey) -> Option<Breaker> {
        self.shard(key).circuits.get(key).cloned()
    }

    /// All circuits that have a record, by key.
    #[must_use]
    pub fn all(&self) -> Vec<(CircuitKey, Snapshot)> {
        let mut all = Vec::new();
        for shard in &self.0.shards {
            let shard = shard.lock();
            let now = self.0.clock.now();
            all.extend(shard.circuits.iter().map(|(key, it)| (key.clone(), it.snapshot(now))));
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    fn shard(&self, key: &CircuitKey) -> MutexGuard<'_, Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
        let place = self.0.hasher.hash_one(key) as usize % SHARDS;
        self.0.shards[place].lock()
    }

    /// Changes a circuit's record, which is made where there is none. The time is read under the
    /// lock, so that it never goes back for one circuit.
    fn change<T>(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        change: impl FnOnce(&mut Breaker, Timestamp) -> T,
    ) -> T {
        let mut shard = self.shard(key);
        let now = self.0.clock.now();
        change(shard.record_of(key, now, policy), now)
    }
}

impl Shard {
    fn record_of(&mut self, key: &CircuitKey, now: Timestamp, policy: &Policy) -> &mut Breaker {
        if !self.circuits.contains_key(key) {
            self.make_room(now, policy);
        }
        let floor = self.floor;
        self.circuits.entry(key.clone()).or_insert_with(|| Breaker::starting_at(floor))
    }

    fn make_room(&mut self, now: Timestamp, policy: &Policy) {
        if self.circuits.len() < MemoryCircuits::CAPACITY / SHARDS {
            return;
        }
        let worth = |breaker: &Breaker| {
            let snapshot = breaker.snapshot(now);
            let open = snapshot.state != State::Closed;
            (open, !breaker.is_idle(now, policy), snapshot.failure_count > 0, breaker.until())
        };
        let least = self.circuits.iter().min_by_key(|(_, breaker)| worth(breaker));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            self.forget(&key);
        }
    }

    /// Tickets of the record that goes are late from here on.
    fn forget(&mut self, key: &CircuitKey) {
        if let Some(breaker) = self.circuits.remove(key) {
            self.floor = self.floor.max(breaker.generation() + 1);
        }
    }
}

#[async_trait]
impl CircuitStore for MemoryCircuits {
    async fn admit(
        &self,
        key: &CircuitKey,
        _policy: &Policy,
        owner: &Owner,
        lease: Duration,
    ) -> Result<Admission, StoreError> {
        let mut shard = self.shard(key);
        let floor = shard.floor;
        let Some(breaker) = shard.circuits.get_mut(key) else {
            let ticket = Ticket::new(floor, owner.clone(), false);
            return Ok(Admission::Admitted { ticket, seen: Snapshot::default() });
        };
        // What happens at each call reads no clock.
        let passed = breaker.pass(owner);
        Ok(passed.unwrap_or_else(|| breaker.admit(self.0.clock.now(), owner, lease)))
    }

    async fn record(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        ticket: &Ticket,
        outcome: Outcome,
        times: u32,
    ) -> Result<Change, StoreError> {
        let draw = if outcome == Outcome::Failure { fastrand::f64() } else { 0.0 };
        let mut shard = self.shard(key);
        let now = self.0.clock.now();
        if let Some(breaker) = shard.circuits.get_mut(key) {
            return Ok(breaker.record(now, policy, ticket, outcome, times, draw));
        }
        // What is late, or says nothing, makes no record.
        let applied = ticket.generation() == shard.floor;
        if !applied || outcome == Outcome::Neutral {
            let (from, seen) = (State::Closed, Snapshot::default());
            return Ok(Change { applied, from, seen, became_dormant: false });
        }
        let breaker = shard.record_of(key, now, policy);
        Ok(breaker.record(now, policy, ticket, outcome, times, draw))
    }

    async fn observe(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        outcome: Outcome,
    ) -> Result<Change, StoreError> {
        let draw = fastrand::f64();
        Ok(self.change(key, policy, |breaker, now| breaker.observe(now, policy, outcome, draw)))
    }

    fn give_back(&self, key: &CircuitKey, policy: &Policy, ticket: Ticket) {
        let mut shard = self.shard(key);
        let now = self.0.clock.now();
        if let Some(breaker) = shard.circuits.get_mut(key) {
            breaker.record(now, policy, &ticket, Outcome::Neutral, 1, 0.0);
        }
    }

    async fn snapshot(&self, key: &CircuitKey) -> Result<Snapshot, StoreError> {
        let shard = self.shard(key);
        let now = self.0.clock.now();
        Ok(shard.circuits.get(key).map(|breaker| breaker.snapshot(now)).unwrap_or_default())
    }

    async fn reset(&self, key: &CircuitKey) -> Result<(), StoreError> {
        self.shard(key).forget(key);
        Ok(())
    }

    async fn force_dormant(&self, key: &CircuitKey, policy: &Policy) -> Result<Change, StoreError> {
        Ok(self.change(key, policy, |breaker, now| breaker.force_dormant(now, policy)))
    }

    async fn merge(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        absence: &Absence,
    ) -> Result<Change, StoreError> {
        let draw = fastrand::f64();
        Ok(self.change(key, policy, |breaker, now| breaker.merge(now, policy, absence, draw)))
    }
}
