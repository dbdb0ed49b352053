//! What is known in memory of a run that is being recorded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use executus_core::Reply;
use executus_core::RunId;
use executus_core::port::AuditError;
use parking_lot::Mutex;

/// The runs that are being recorded. Recorders of one run share its [`Head`].
#[derive(Default)]
pub(crate) struct Heads(Mutex<HashMap<RunId, Seats>>);

/// How many recorders a run has, and their head.
type Seats = (usize, Arc<Mutex<Head>>);

/// How far the trail of a run goes, counting what is still in the queue.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) newest: u64,
    pub(crate) closed: bool,
    /// The reply whose calls are under way: their facts do not repeat the arguments.
    pub(crate) reply: Option<Arc<Reply>>,
}

/// A recorder's place at the head of its run.
pub(crate) struct Seat {
    heads: Arc<Heads>,
    run: RunId,
    pub(crate) head: Arc<Mutex<Head>>,
}

impl Seat {
    /// Takes a place before the trail is read, so that nothing given meanwhile is missed.
    pub(crate) fn take(heads: &Arc<Heads>, run: &RunId) -> Self {
        let mut all = heads.0.lock();
        let (count, head) = all.entry(run.clone()).or_default();
        *count += 1;
        Self { heads: Arc::clone(heads), run: run.clone(), head: Arc::clone(head) }
    }

    pub(crate) const fn run(&self) -> &RunId {
        &self.run
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut heads = self.heads.0.lock();
        if let Entry::Occupied(mut entry) = heads.entry(self.run.clone()) {
            entry.get_mut().0 -= 1;
            if entry.get().0 == 0 {
                entry.remove();
            }
        }
    }
}

/// What the writer thread tells one recorder.
#[derive(Debug, Default)]
pub(crate) struct Ack {
    committed: AtomicU64,
    failed: AtomicBool,
    failure: Mutex<Option<AuditError>>,
}

impl Ack {
    /// How many of the recorder's rows are durable.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// One more is. The writer thread alone counts.
    pub(crate) fn commit(&self) {
        let committed = self.committed.load(Ordering::Relaxed);
        self.committed.store(committed + 1, Ordering::Release);
    }

    /// Why a row was not written. Nothing after it is written either: a trail has no gaps.
    pub(crate) fn failure(&self) -> Option<AuditError> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.failure.lock().clone()
    }

    pub(crate) fn fail(&self, error: AuditError) {
        self.failure.lock().get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }
}
