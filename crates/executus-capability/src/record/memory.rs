//! Records in memory: the newest ones.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{ActionLog, ActionLogError, ActionQuery, ActionRecord};

/// Keeps the newest records, by default 10,000 of them.
///
/// When it is full the oldest one goes, is counted in [`dropped`](Self::dropped), and the first
/// one is warned of. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryActions(Arc<Mutex<Store>>);

#[derive(Debug)]
struct Store {
    records: HashMap<Arc<str>, ActionRecord>,
    /// The ids, the oldest first.
    order: VecDeque<Arc<str>>,
    capacity: usize,
    dropped: u64,
}

impl Default for MemoryActions {
    fn default() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }
}

impl MemoryActions {
    /// How many records the default one keeps.
    pub const CAPACITY: usize = 10_000;

    /// Keeps so many records, at least one.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Store {
            records: HashMap::new(),
            order: VecDeque::new(),
            capacity: capacity.max(1),
            dropped: 0,
        })))
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().order.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records had to go.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }
}

impl Store {
    fn drop_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        self.records.remove(&oldest);
        if self.dropped == 0 {
            let capacity = self.capacity;
            tracing::warn!(capacity, "the records of actions in memory are full: the oldest go");
        }
        self.dropped += 1;
    }
}

#[async_trait]
impl ActionLog for MemoryActions {
    async fn record(&self, record: &ActionRecord) -> Result<(), ActionLogError> {
        let mut store = self.0.lock();
        if store.records.contains_key(record.action_id.as_str()) {
            return Err(ActionLogError::Duplicate { action_id: record.action_id.clone() });
        }
        if store.order.len() >= store.capacity {
            store.drop_oldest();
        }
        let id: Arc<str> = record.action_id.as_str().into();
        store.records.insert(Arc::clone(&id), record.clone());
        store.order.push_back(id);
        Ok(())
    }

    async fn get(&self, action_id: &str) -> Result<Option<ActionRecord>, ActionLogError> {
        Ok(self.0.lock().records.get(action_id).cloned())
    }

    async fn query(&self, query: &ActionQuery) -> Result<Vec<ActionRecord>, ActionLogError> {
        let (offset, limit) = query.page()?;
        let store = self.0.lock();
        let mut found: Vec<_> =
            store.records.values().filter(|record| query.asks_for(record)).collect();
        found.sort_unstable_by(|a, b| (a.at, &a.action_id).cmp(&(b.at, &b.action_id)));
        let page = found.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX));
        Ok(page.cloned().collect())
    }
}
