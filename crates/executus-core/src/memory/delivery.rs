//! A delivery into memory: the newest parcels, for the host to take.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::id::RunId;
use crate::port::{Delivery, DeliveryError, Parcel};

/// Keeps the newest parcels by key, by default 1,024 of them. Clones share it.
///
/// A parcel that arrives again under its key is counted, and the one kept stays as it is. When the
/// store is full the oldest parcel goes; the first one is warned of.
#[derive(Debug, Clone)]
pub struct MemoryDelivery {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug)]
struct Store {
    parcels: HashMap<RunId, (Parcel, u64)>,
    /// Keys, oldest first.
    order: VecDeque<RunId>,
    capacity: usize,
    dropped: u64,
}

impl Default for MemoryDelivery {
    fn default() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }
}

impl MemoryDelivery {
    /// How many parcels the default one keeps.
    pub const CAPACITY: usize = 1024;

    /// Keeps so many parcels, at least one.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let store = Store {
            parcels: HashMap::new(),
            order: VecDeque::new(),
            capacity: capacity.max(1),
            dropped: 0,
        };
        Self { store: Arc::new(Mutex::new(store)) }
    }

    /// The parcel of a run.
    #[must_use]
    pub fn parcel(&self, run: &RunId) -> Option<Parcel> {
        self.store.lock().parcels.get(run).map(|(parcel, _)| parcel.clone())
    }

    /// How often a parcel arrived under this key.
    #[must_use]
    pub fn arrivals(&self, run: &RunId) -> u64 {
        self.store.lock().parcels.get(run).map_or(0, |(_, arrivals)| *arrivals)
    }

    /// The keys of the parcels that are kept, oldest first.
    #[must_use]
    pub fn keys(&self) -> Vec<RunId> {
        self.store.lock().order.iter().cloned().collect()
    }

    /// Takes a parcel out. Another arrival under its key is a new parcel.
    #[must_use]
    pub fn take(&self, run: &RunId) -> Option<Parcel> {
        let mut store = self.store.lock();
        let (parcel, _) = store.parcels.remove(run)?;
        store.order.retain(|key| key != run);
        Some(parcel)
    }

    /// How many parcels had to go before anybody took them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.store.lock().dropped
    }
}

#[async_trait]
impl Delivery for MemoryDelivery {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        let key = &parcel.spec.run_id;
        let mut store = self.store.lock();
        if let Some((_, arrivals)) = store.parcels.get_mut(key) {
            *arrivals += 1;
            return Ok(());
        }
        if store.order.len() >= store.capacity {
            if store.dropped == 0 {
                let capacity = store.capacity;
                tracing::warn!(capacity, "the delivery in memory is full: its oldest parcels go");
            }
            store.dropped += 1;
            if let Some(oldest) = store.order.pop_front() {
                store.parcels.remove(&oldest);
            }
        }
        store.order.push_back(key.clone());
        store.parcels.insert(key.clone(), (parcel.clone(), 1));
        Ok(())
    }
}
