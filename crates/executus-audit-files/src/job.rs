//! What the writer thread is asked to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use executus_core::port::{AuditError, RunStart};
use executus_core::{Outcome, RunId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::row::{Action, Draft};

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, AuditError>>;

pub(crate) enum Job {
    /// A life of a run begins; the answer is the newest record that is kept.
    Start(Box<RunStart>, Answer<u64>),
    /// A record.
    Row(RunId, Box<Draft>, Arc<Ack>),
    /// All that was given before is to be durable.
    Flush(RunId, Arc<Ack>, Answer<()>),
    /// A life ends, or the run.
    End { run: RunId, outcome: Box<Outcome>, closes: bool, ack: Arc<Ack>, answer: Answer<()> },
    /// A recorder is gone.
    Leave(RunId),
    /// An entry that is no record; the answer is the name of its file.
    Put(RunId, Action, Answer<String>),
}

impl Job {
    /// The bytes it takes in the queue, roughly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Row(_, draft, _) => draft.bytes(),
            Self::Put(_, action, _) => action.bytes.len(),
            Self::Start(..) | Self::Flush(..) | Self::End { .. } | Self::Leave(_) => 200,
        }
    }

    pub(crate) const fn is_awaited(&self) -> bool {
        !matches!(self, Self::Row(..))
    }
}

/// What the writer tells one recorder.
#[derive(Default)]
pub(crate) struct Ack {
    durable: AtomicU64,
    failure: Mutex<Option<AuditError>>,
}

impl Ack {
    /// How many of the recorder's rows are durable.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn done(&self) {
        self.durable.fetch_add(1, Ordering::Release);
    }

    /// Why a row was not written. Nothing after it is: a trail has no gaps.
    pub(crate) fn failure(&self) -> Option<AuditError> {
        self.failure.lock().clone()
    }

    pub(crate) fn fail(&self, error: AuditError) {
        self.failure.lock().get_or_insert(error);
    }
}
