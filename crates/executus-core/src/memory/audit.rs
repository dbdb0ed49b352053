//! An audit in memory: the newest entries of all runs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::id::RunId;
use crate::port::{Audit, AuditError, Recorder, RunStart};
use crate::record::{Fact, Record};
use crate::status::Outcome;
use crate::text::scrub_json;

/// Keeps the newest entries of all runs, by default 10,000 of them.
///
/// A start, a record and an end are one entry each. When the store is full the oldest entry goes,
/// is counted in [`dropped`](Self::dropped), and the first one is warned of. Clones share it.
#[derive(Debug, Clone)]
pub struct MemoryAudit {
    store: Arc<Mutex<Store>>,
}

/// What is left in memory of one run's trail, scrubbed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trail {
    /// The start record of each life, in order.
    pub starts: Vec<RunStart>,
    /// The records, in order.
    pub records: Vec<Record>,
    /// How lives ended that were suspended.
    pub suspended: Vec<Outcome>,
    /// How the run ended: at most one.
    pub closed: Vec<Outcome>,
}

#[derive(Debug)]
struct Store {
    log: VecDeque<(RunId, Entry)>,
    heads: HashMap<RunId, Head>,
    capacity: usize,
    dropped: u64,
}

#[derive(Debug)]
enum Entry {
    Start(RunStart),
    Record(Record),
    Suspended(Outcome),
    Closed(Outcome),
}

/// What must be known of a run as long as something of it is kept, or may still come.
#[derive(Debug, Default)]
struct Head {
    /// Entries in the log.
    kept: usize,
    /// Recorders in use.
    recorders: usize,
    /// The newest sequence number, 0 before the first.
    newest: u64,
    closed: bool,
}

impl Default for MemoryAudit {
    fn default() -> Self {
        Self::with_capacity(Self::CAPACITY)
    }
}

impl MemoryAudit {
    /// How many entries the default one keeps.
    pub const CAPACITY: usize = 10_000;

    /// Keeps so many entries, at least one.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let store = Store {
            log: VecDeque::new(),
            heads: HashMap::new(),
            capacity: capacity.max(1),
            dropped: 0,
        };
        Self { store: Arc::new(Mutex::new(store)) }
    }

    /// The runs of which something is kept, the one with the oldest entry first.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let store = self.store.lock();
        let mut seen = std::collections::HashSet::new();
        store.log.iter().map(|(run, _)| run).filter(|run| seen.insert(*run)).cloned().collect()
    }

    /// The trail of a run, scrubbed; `None` when nothing of it is kept.
    #[must_use]
    pub fn trail(&self, run: &RunId) -> Option<Trail> {
        let mut trail = Trail::default();
        let store = self.store.lock();
        store.heads.get(run).filter(|head| head.kept > 0)?;
        for (_, entry) in store.log.iter().filter(|(of, _)| of == run) {
            match entry {
                Entry::Start(start) => trail.starts.push(scrubbed(start)),
                Entry::Record(record) => trail.records.push(scrubbed(record)),
                Entry::Suspended(outcome) => trail.suspended.push(scrubbed(outcome)),
                Entry::Closed(outcome) => trail.closed.push(scrubbed(outcome)),
            }
        }
        Some(trail)
    }

    /// The records of a run as they were given, for folding in this process.
    #[must_use]
    pub fn records(&self, run: &RunId) -> Vec<Record> {
        let store = self.store.lock();
        let of_run = store.log.iter().filter(|(of, _)| of == run);
        of_run
            .filter_map(|(_, entry)| match entry {
                Entry::Record(record) => Some(record.clone()),
                Entry::Start(_) | Entry::Suspended(_) | Entry::Closed(_) => None,
            })
            .collect()
    }

    /// How many entries had to go.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.store.lock().dropped
    }
}

/// The same without what looks like a credential.
fn scrubbed<T: Clone + serde::Serialize + serde::de::DeserializeOwned>(kept: &T) -> T {
    let scrubbed = serde_json::to_value(kept).map(|value| scrub_json(&value));
    // Scrubbing changes texts alone, so that what was written can be read again.
    scrubbed.and_then(serde_json::from_value).unwrap_or_else(|_| kept.clone())
}

impl Store {
    fn push(&mut self, run: &RunId, entry: Entry) {
        if self.log.len() >= self.capacity {
            self.drop_oldest();
        }
        self.head(run).kept += 1;
        self.log.push_back((run.clone(), entry));
    }

    fn head(&mut self, run: &RunId) -> &mut Head {
        self.heads.entry(run.clone()).or_default()
    }

    fn closed(&self, run: &RunId) -> Option<Outcome> {
        let of_run = self.log.iter().rev().filter(|(of, _)| of == run);
        of_run.into_iter().find_map(|(_, entry)| match entry {
            Entry::Closed(outcome) => Some(outcome.clone()),
            Entry::Start(_) | Entry::Record(_) | Entry::Suspended(_) => None,
        })
    }

    fn drop_oldest(&mut self) {
        let Some((run, _)) = self.log.pop_front() else { return };
        if self.dropped == 0 {
            let capacity = self.capacity;
            tracing::warn!(capacity, "the audit in memory is full: its oldest entries go");
        }
        self.dropped += 1;
        if let Some(head) = self.heads.get_mut(&run) {
            head.kept -= 1;
        }
        self.forget(&run);
    }

    /// Forgets a run of which nothing is kept and to which nothing can come.
    fn forget(&mut self, run: &RunId) {
        if self.heads.get(run).is_some_and(|head| head.kept == 0 && head.recorders == 0) {
            self.heads.remove(run);
        }
    }
}

#[async_trait]
impl Audit for MemoryAudit {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let run = start.spec.run_id.clone();
        let mut store = self.store.lock();
        if store.head(&run).closed
            && let Some(outcome) = store.closed(&run)
        {
            return Err(AuditError::Closed { outcome: Box::new(outcome) });
        }
        let head = store.head(&run);
        head.recorders += 1;
        let known = head.newest;
        store.push(&run, Entry::Start(start.clone()));
        Ok(Some(Box::new(MemoryRecorder { store: Arc::clone(&self.store), run, known })))
    }
}

struct MemoryRecorder {
    store: Arc<Mutex<Store>>,
    run: RunId,
    /// The newest sequence number when this life began.
    known: u64,
}

impl MemoryRecorder {
    fn end(&self, entry: Entry) {
        let mut store = self.store.lock();
        let head = store.head(&self.run);
        if !head.closed {
            head.closed = matches!(entry, Entry::Closed(_));
            store.push(&self.run, entry);
        }
    }
}

#[async_trait]
impl Recorder for MemoryRecorder {
    fn last_seq(&self) -> u64 {
        self.known
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        let mut store = self.store.lock();
        let head = store.head(&self.run);
        if record.seq <= head.newest {
            return Ok(());
        }
        if head.closed {
            let message = format!("record {} comes after the close", record.seq);
            return Err(AuditError::Conflict { message });
        }
        // What lies before a resumption may be void; of what was dropped nothing is known.
        let next = head.newest + 1;
        let may_jump = head.newest == 0 || matches!(record.fact, Fact::Resumed { .. });
        if record.seq > next && !may_jump {
            let message = format!("record {} where {next} comes next", record.seq);
            return Err(AuditError::Conflict { message });
        }
        head.newest = record.seq;
        store.push(&self.run, Entry::Record(record.clone()));
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        Ok(())
    }

    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError> {
        self.end(Entry::Closed(outcome.clone()));
        Ok(())
    }

    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError> {
        self.end(Entry::Suspended(outcome.clone()));
        Ok(())
    }
}

impl Drop for MemoryRecorder {
    fn drop(&mut self) {
        let mut store = self.store.lock();
        store.head(&self.run).recorders -= 1;
        store.forget(&self.run);
    }
}
