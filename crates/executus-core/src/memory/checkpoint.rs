//! A checkpointer in memory: outlives executors, not the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::id::RunId;
use crate::port::{CheckpointError, Checkpointer, Saved};
use crate::record::{Fact, Record};
use crate::status::RunError;

/// Keeps the facts of unfinished runs for as long as it lives. Clones share it.
///
/// A claim lasts for its lease, by tokio's clock; an append by whoever holds the claim renews it,
/// since it shows that the holder lives.
#[derive(Debug, Clone, Default)]
pub struct MemoryCheckpointer {
    store: Arc<Mutex<Store>>,
}

/// How the keeping of a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// By `complete`.
    Completed,
    /// By `fail`, with this error.
    Failed(RunError),
}

#[derive(Debug, Default)]
struct Store {
    runs: BTreeMap<RunId, Facts>,
    /// How the newest ended runs ended.
    ended: VecDeque<(RunId, Kept)>,
    appended: u64,
}

#[derive(Debug, Default)]
struct Facts {
    records: Vec<Record>,
    claims: u32,
    claim: Option<Claim>,
}

#[derive(Debug)]
struct Claim {
    lease: Duration,
    until: Instant,
}

impl Facts {
    fn is_claimed(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.until > Instant::now())
    }
}

impl MemoryCheckpointer {
    /// How many ends are remembered for [`ended`](Self::ended).
    pub const ENDS: usize = 1024;

    /// How the keeping of a run ended, each time; empty when that was long ago.
    #[must_use]
    pub fn ended(&self, run: &RunId) -> Vec<Kept> {
        let store = self.store.lock();
        store.ended.iter().filter(|(of, _)| of == run).map(|(_, end)| end.clone()).collect()
    }

    /// The runs whose facts are kept, claimed ones included.
    #[must_use]
    pub fn kept(&self) -> Vec<RunId> {
        self.store.lock().runs.keys().cloned().collect()
    }

    /// How many records were stored in all: what appending costs.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.store.lock().appended
    }

    fn end(&self, run: &RunId, end: Kept) {
        let mut store = self.store.lock();
        if store.runs.remove(run).is_some() {
            if store.ended.len() >= Self::ENDS {
                store.ended.pop_front();
            }
            store.ended.push_back((run.clone(), end));
        }
    }
}

#[async_trait]
impl Checkpointer for MemoryCheckpointer {
    async fn append(&self, run: &RunId, records: &[Record]) -> Result<(), CheckpointError> {
        let mut store = self.store.lock();
        let last = store.runs.get(run).and_then(|facts| facts.records.last());
        let mut expected = last.map_or(0, |record| record.seq) + 1;
        let from = records.partition_point(|record| record.seq < expected);
        let fresh = &records[from..];
        // All or nothing: a gap further on must not leave half of the records.
        for record in fresh {
            let void_before = matches!(record.fact, Fact::Resumed { .. }) && record.seq > expected;
            if record.seq != expected && !void_before {
                let run = run.clone();
                return Err(CheckpointError::Gap { run, expected, found: record.seq });
            }
            expected = record.seq + 1;
        }
        if fresh.is_empty() {
            return Ok(());
        }
        store.appended += fresh.len() as u64;
        let facts = store.runs.entry(run.clone()).or_default();
        facts.records.extend_from_slice(fresh);
        if let Some(claim) = &mut facts.claim {
            claim.until = claim.until.max(Instant::now() + claim.lease);
        }
        Ok(())
    }

    async fn complete(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.end(run, Kept::Completed);
        Ok(())
    }

    async fn fail(&self, run: &RunId, error: &RunError) -> Result<(), CheckpointError> {
        self.end(run, Kept::Failed(error.clone()));
        Ok(())
    }

    async fn list(&self) -> Result<Vec<RunId>, CheckpointError> {
        let store = self.store.lock();
        let open = store.runs.iter().filter(|(_, facts)| !facts.is_claimed());
        Ok(open.map(|(run, _)| run.clone()).collect())
    }

    async fn claim(&self, run: &RunId, lease: Duration) -> Result<bool, CheckpointError> {
        let mut store = self.store.lock();
        let Some(facts) = store.runs.get_mut(run).filter(|facts| !facts.is_claimed()) else {
            return Ok(false);
        };
        facts.claim = Some(Claim { lease, until: Instant::now() + lease });
        facts.claims += 1;
        Ok(true)
    }

    async fn load(&self, run: &RunId) -> Result<Option<Saved>, CheckpointError> {
        let store = self.store.lock();
        Ok(store
            .runs
            .get(run)
            .map(|facts| Saved { records: facts.records.clone(), claims: facts.claims }))
    }
}
