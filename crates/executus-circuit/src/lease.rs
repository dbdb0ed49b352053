//! Leases: one process of many does something, and another takes over when it dies.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::key::Owner;
use crate::sync::Mutex;

/// The right of one owner to do something until its time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// What for.
    pub name: Arc<str>,
    /// Whose.
    pub owner: Owner,
    /// Higher than that of any holder before: what an older holder still writes can be told apart.
    pub term: u64,
}

/// Keeps leases on its own clock.
///
/// **Called** by each process that would do something which only one should, before it does, and
/// again well before the time is over.
///
/// **Guarantees**
/// - *L1* A name has one holder at a time, whoever races.
/// - *L2* A lease that is not renewed is free when its time is over.
/// - *L3* Terms of a name only rise, and rise when the holder changes.
///
/// **Cancellation**: a dropped call may have taken effect. Acquiring again as the same owner gives
/// the same lease, renewed. **Errors**: nothing is known; whoever gets one is not the holder.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease, or renews the owner's own; `None` when it is another's. A time to live of
    /// zero takes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn acquire(
        &self,
        name: &str,
        owner: &Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Makes the lease last for `ttl` from now; `false` when it is lost.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, if it is still held.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;
}

/// The leases of one process. Clones share them.
#[derive(Clone)]
pub struct MemoryLeases(Arc<Inner>);

struct Inner {
    clock: Clock,
    leases: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    by_name: HashMap<Arc<str>, (Lease, Timestamp)>,
    /// Above every term that was given.
    next_term: u64,
}

impl Held {
    /// The lease and its end, if it has one that is not over.
    fn live(&mut self, lease: &Lease, now: Timestamp) -> Option<&mut Timestamp> {
        let (held, until) = self.by_name.get_mut(&lease.name)?;
        (held == lease && now < *until).then_some(until)
    }
}

impl Default for MemoryLeases {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

impl fmt::Debug for MemoryLeases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryLeases")
    }
}

impl MemoryLeases {
    /// No leases yet, on this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner { clock, leases: Mutex::new(Held::default()) }))
    }
}

#[async_trait]
impl LeaseStore for MemoryLeases {
    async fn acquire(
        &self,
        name: &str,
        owner: &Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let mut held = self.0.leases.lock();
        let now = self.0.clock.now();
        if ttl.is_zero() {
            return Ok(None);
        }
        held.by_name.retain(|_, (_, until)| now < *until);
        if let Some((lease, until)) = held.by_name.get_mut(name) {
            if lease.owner != *owner {
                return Ok(None);
            }
            *until = now.after(ttl);
            return Ok(Some(lease.clone()));
        }
        held.next_term += 1;
        let lease = Lease { name: name.into(), owner: owner.clone(), term: held.next_term };
        held.by_name.insert(lease.name.clone(), (lease.clone(), now.after(ttl)));
        Ok(Some(lease))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let mut held = self.0.leases.lock();
        let now = self.0.clock.now();
        let until = held.live(lease, now);
        Ok(until.map(|until| *until = now.after(ttl)).is_some())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut held = self.0.leases.lock();
        let now = self.0.clock.now();
        if held.live(lease, now).is_some() {
            held.by_name.remove(&lease.name);
        }
        Ok(())
    }
}
