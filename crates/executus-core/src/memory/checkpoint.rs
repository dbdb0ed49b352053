//! A checkpointer in memory: outlives executors, not the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::id::RunId;
use crate::port::checkpoint::advances;
use crate::port::{CheckpointError, Checkpointer, Saved};
use crate::record::{Fact, Record};
use crate::status::RunError;

/// Keeps the facts of unfinished runs for as long as it lives. Clones share what is kept, and each
/// is a holder of its own, as each process that opens a file is.
///
/// A hold lasts for its lease, by tokio's clock.
#[derive(Debug, Default)]
pub struct MemoryCheckpointer {
    store: Arc<Mutex<Store>>,
    holder: u64,
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
    holders: u64,
}

#[derive(Debug, Default)]
struct Facts {
    records: Vec<Record>,
    claims: u32,
    in_vain: u32,
    /// The claim is counted, and nothing was appended since.
    is_unused: bool,
    hold: Option<Hold>,
    parked: Option<RunError>,
}

#[derive(Debug)]
struct Hold {
    holder: u64,
    until: Instant,
}

impl Facts {
    fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.until > Instant::now())
    }

    fn is_free(&self) -> bool {
        !self.is_held() && self.parked.is_none()
    }

    fn is_held_by(&self, holder: u64) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.holder == holder)
    }
}

impl Clone for MemoryCheckpointer {
    fn clone(&self) -> Self {
        let mut store = self.store.lock();
        store.holders += 1;
        Self { store: Arc::clone(&self.store), holder: store.holders }
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

    /// The runs whose facts are kept, held and parked ones included.
    #[must_use]
    pub fn kept(&self) -> Vec<RunId> {
        self.store.lock().runs.keys().cloned().collect()
    }

    /// How many records were stored in all: what appending costs.
    #[must_use]
    pub fn appended(&self) -> u64 {
        self.store.lock().appended
    }

    /// Lets the lease of a run run out now, as if nobody had heard of its holder for long.
    pub fn expire(&self, run: &RunId) {
        if let Some(hold) =
            self.store.lock().runs.get_mut(run).and_then(|facts| facts.hold.as_mut())
        {
            hold.until = Instant::now();
        }
    }

    fn end(&self, run: &RunId, end: Kept) -> Result<(), CheckpointError> {
        let mut store = self.store.lock();
        let Some(facts) = store.runs.get(run) else { return Ok(()) };
        if facts.hold.is_some() && !facts.is_held_by(self.holder) {
            return Err(CheckpointError::Lost { run: run.clone() });
        }
        store.runs.remove(run);
        if store.ended.len() >= Self::ENDS {
            store.ended.pop_front();
        }
        store.ended.push_back((run.clone(), end));
        Ok(())
    }

    fn runs(&self, are: impl Fn(&Facts) -> bool) -> Vec<RunId> {
        let store = self.store.lock();
        store.runs.iter().filter(|(_, facts)| are(facts)).map(|(run, _)| run.clone()).collect()
    }
}

#[async_trait]
impl Checkpointer for MemoryCheckpointer {
    async fn append(
        &self,
        run: &RunId,
        records: &[Record],
        lease: Duration,
    ) -> Result<(), CheckpointError> {
        let mut store = self.store.lock();
        let known = store.runs.get(run);
        if known.is_some_and(|facts| !facts.is_held_by(self.holder)) {
            return Err(CheckpointError::Lost { run: run.clone() });
        }
        let last = known.and_then(|facts| facts.records.last());
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
        if known.is_none() && fresh.is_empty() {
            return Ok(());
        }
        store.appended += fresh.len() as u64;
        let facts = store.runs.entry(run.clone()).or_default();
        facts.records.extend_from_slice(fresh);
        facts.is_unused &= fresh.is_empty();
        if fresh.iter().any(|record| advances(&record.fact)) {
            facts.in_vain = 0;
        }
        facts.hold = Some(Hold { holder: self.holder, until: Instant::now() + lease });
        Ok(())
    }

    async fn complete(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.end(run, Kept::Completed)
    }

    async fn fail(&self, run: &RunId, error: &RunError) -> Result<(), CheckpointError> {
        self.end(run, Kept::Failed(error.clone()))
    }

    async fn list(&self) -> Result<Vec<RunId>, CheckpointError> {
        Ok(self.runs(Facts::is_free))
    }

    async fn claim(&self, run: &RunId, lease: Duration) -> Result<bool, CheckpointError> {
        let mut store = self.store.lock();
        let Some(facts) = store.runs.get_mut(run).filter(|facts| facts.is_free()) else {
            return Ok(false);
        };
        facts.hold = Some(Hold { holder: self.holder, until: Instant::now() + lease });
        facts.claims += 1;
        facts.in_vain += 1;
        facts.is_unused = true;
        Ok(true)
    }

    async fn renew(&self, runs: &[RunId], lease: Duration) -> Result<Vec<RunId>, CheckpointError> {
        let mut store = self.store.lock();
        let mut lost = Vec::new();
        for run in runs {
            match store.runs.get_mut(run) {
                Some(facts) if facts.is_held_by(self.holder) => {
                    facts.hold = Some(Hold { holder: self.holder, until: Instant::now() + lease });
                }
                Some(facts) if facts.hold.is_some() => lost.push(run.clone()),
                Some(_) | None => {}
            }
        }
        Ok(lost)
    }

    async fn release(&self, run: &RunId) -> Result<(), CheckpointError> {
        let mut store = self.store.lock();
        let held = store.runs.get_mut(run).filter(|facts| facts.is_held_by(self.holder));
        if let Some(facts) = held {
            facts.hold = None;
            if std::mem::take(&mut facts.is_unused) {
                facts.claims -= 1;
                facts.in_vain = facts.in_vain.saturating_sub(1);
            }
        }
        Ok(())
    }

    async fn park(&self, run: &RunId, why: &RunError) -> Result<(), CheckpointError> {
        let mut store = self.store.lock();
        let Some(facts) = store.runs.get_mut(run) else { return Ok(()) };
        if facts.is_held() && !facts.is_held_by(self.holder) {
            return Err(CheckpointError::Lost { run: run.clone() });
        }
        facts.hold = None;
        facts.parked.get_or_insert_with(|| why.clone());
        Ok(())
    }

    async fn unpark(&self, run: &RunId) -> Result<bool, CheckpointError> {
        let mut store = self.store.lock();
        let Some(facts) = store.runs.get_mut(run) else { return Ok(false) };
        let was_parked = facts.parked.take().is_some();
        if was_parked {
            facts.in_vain = 0;
        }
        Ok(was_parked)
    }

    async fn parked(&self) -> Result<Vec<RunId>, CheckpointError> {
        Ok(self.runs(|facts| facts.parked.is_some()))
    }

    async fn load(&self, run: &RunId) -> Result<Option<Saved>, CheckpointError> {
        let store = self.store.lock();
        Ok(store.runs.get(run).map(|facts| Saved {
            records: facts.records.clone(),
            claims: facts.claims,
            in_vain: facts.in_vain,
            parked: facts.parked.clone(),
        }))
    }
}
