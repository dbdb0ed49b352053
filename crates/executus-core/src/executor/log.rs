//! The log of a run under way: one sequence of records for the recorder and the checkpointer.

use std::sync::Arc;
use std::time::Duration;

use super::stops::within;
use crate::id::Key;
use crate::isolate::{Panicked, call, drop_quietly, isolate};
use crate::machine::{Digester, Run};
use crate::port::{AuditError, Checkpointer, Recorder};
use crate::record::{Fact, Record};
use crate::status::{ErrorKind, RunError};
use crate::time::Timestamp;

/// A save is due when this many records wait, or this long after the last one.
const BATCH: usize = 32;
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Log {
    recorder: Option<Box<dyn Recorder>>,
    /// Whether the audit has answered: until then the recorder may still come.
    attached: bool,
    /// The recorder has refused a record.
    holed: bool,
    checkpointer: Option<Arc<dyn Checkpointer>>,
    seq: u64,
    /// The records of the earlier lives, for a recorder that may have missed some.
    earlier: Vec<Record>,
    /// Records that the checkpointer does not have yet, and those before the recorder came.
    waiting: Vec<Record>,
    saved_at: Timestamp,
    digester: Digester,
    limit: Duration,
}

impl Log {
    pub(crate) fn new(
        checkpointer: Option<Arc<dyn Checkpointer>>,
        earlier: Vec<Record>,
        limit: Duration,
        now: Timestamp,
    ) -> Self {
        let seq = earlier.last().map_or(0, |record| record.seq);
        Self {
            recorder: None,
            attached: false,
            holed: false,
            checkpointer,
            seq,
            earlier,
            waiting: Vec::new(),
            saved_at: now,
            digester: Digester::new(),
            limit,
        }
    }

    /// Gives the recorder all that happened before it came.
    ///
    /// After a crash its log and the checkpointer's may differ in length. What is kept is given
    /// again, for a recorder that missed some. What only the recorder has is void: this life's records are numbered
    /// after it, and the [`Fact::Resumed`] among them says from where the run went on.
    pub(crate) async fn attach(
        &mut self,
        recorder: Option<Box<dyn Recorder>>,
    ) -> Result<(), RunError> {
        self.recorder = recorder;
        self.attached = true;
        let recorder = self.recorder.as_deref();
        let kept = recorder.map(|recorder| call(|| recorder.last_seq()));
        let kept = kept.and_then(Result::ok).unwrap_or(0);
        let mut waiting = std::mem::take(&mut self.waiting);
        let ahead =
            (kept + 1).saturating_sub(waiting.first().map_or(u64::MAX, |record| record.seq));
        self.seq += ahead;
        for record in &mut waiting {
            record.seq += ahead;
        }
        let earlier = std::mem::take(&mut self.earlier);
        let mut given = Ok(());
        for record in earlier.iter().chain(&waiting) {
            given = self.give(record).await;
            if given.is_err() {
                break;
            }
        }
        if self.checkpointer.is_some() {
            self.waiting = waiting;
        }
        given
    }

    /// Gives the recorder a record. After one that it refused it gets no more: a trail may end
    /// early, but has no holes.
    async fn give(&mut self, record: &Record) -> Result<(), RunError> {
        if self.holed {
            return Ok(());
        }
        let given = match self.offer(record) {
            Offered::Taken => Ok(()),
            Offered::Refused(error) => Err(error),
            Offered::Full => Box::pin(self.insist(record)).await,
        };
        self.holed = given.is_err();
        given
    }

    /// Whether the audit has been asked.
    pub(crate) const fn attached(&self) -> bool {
        self.attached
    }

    pub(crate) fn recorder(&self) -> Option<&dyn Recorder> {
        self.recorder.as_deref()
    }

    /// Appends a fact that the machine has taken in.
    pub(crate) async fn put(&mut self, run: &Run, fact: Fact, key: Key) -> Result<(), RunError> {
        self.seq += 1;
        let state = self.digester.digest(run);
        let record = Record { seq: self.seq, at: run.last_at(), key, fact, state };
        let recorded = self.give(&record).await;
        if self.checkpointer.is_some() || !self.attached {
            self.waiting.push(record);
        }
        recorded
    }

    fn offer(&self, record: &Record) -> Offered {
        let Some(recorder) = &self.recorder else { return Offered::Taken };
        match call(|| recorder.record(record)) {
            Ok(Ok(())) => Offered::Taken,
            Ok(Err(AuditError::Full)) => Offered::Full,
            Ok(Err(error)) => Offered::Refused(audit_error(&error)),
            Err(panicked) => Offered::Refused(panic_error(&panicked)),
        }
    }

    /// The queue is full: waits for it once, within the limit.
    async fn insist(&self, record: &Record) -> Result<(), RunError> {
        self.flush().await?;
        match self.offer(record) {
            Offered::Taken => Ok(()),
            Offered::Refused(error) => Err(error),
            Offered::Full => Err(audit_error(&AuditError::Full)),
        }
    }

    /// Waits until the recorder has everything.
    pub(crate) async fn flush(&self) -> Result<(), RunError> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        match within(isolate(|| recorder.flush()), self.limit).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(audit_error(&error)),
            Some(Err(panicked)) => Err(panic_error(&panicked)),
            None => Err(RunError::new(ErrorKind::Audit, "the audit did not flush in time")),
        }
    }

    /// Whether a save is due by itself.
    pub(crate) fn save_is_due(&self, now: Timestamp) -> bool {
        self.checkpointer.is_some()
            && (self.waiting.len() >= BATCH
                || !self.waiting.is_empty() && now.since(self.saved_at) >= INTERVAL)
    }

    /// Saves what waits. What could not be saved waits for the next time.
    pub(crate) async fn save(&mut self, run: &Run) -> Result<(), RunError> {
        let Some(checkpointer) = &self.checkpointer else { return Ok(()) };
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.saved_at = run.last_at();
        let id = &run.spec().run_id;
        let appended = within(isolate(|| checkpointer.append(id, &self.waiting)), self.limit).await;
        let error = match appended {
            Some(Ok(Ok(()))) => {
                self.waiting.clear();
                return Ok(());
            }
            Some(Ok(Err(error))) => RunError::new(ErrorKind::Checkpoint, error.to_string()),
            Some(Err(panicked)) => {
                RunError::new(ErrorKind::Checkpoint, format!("the checkpointer {panicked}"))
            }
            None => RunError::new(ErrorKind::Checkpoint, "the checkpointer did not save in time"),
        };
        tracing::warn!(run = %id, error = %error.message, "a checkpoint was not saved");
        Err(error)
    }

    /// Ends the recorder's part.
    pub(crate) fn detach(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            drop_quietly(recorder);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.detach();
    }
}

/// What became of a record.
enum Offered {
    Taken,
    Full,
    Refused(RunError),
}

fn panic_error(panicked: &Panicked) -> RunError {
    RunError::new(ErrorKind::Audit, format!("the audit {panicked}"))
}

fn audit_error(error: &AuditError) -> RunError {
    RunError::new(ErrorKind::Audit, error.to_string()).retryable(error.retry())
}
