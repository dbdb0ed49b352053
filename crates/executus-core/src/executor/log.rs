//! The log of a run under way: one sequence of records for the recorder and the checkpointer.

use std::sync::Arc;
use std::time::Duration;

use super::Config;
use super::stops::within;
use crate::id::{Key, RunId};
use crate::isolate::{Panicked, call, drop_quietly, isolate};
use crate::machine::{Digester, Run};
use crate::port::{AuditError, CheckpointError, Checkpointer, Recorder};
use crate::record::{Fact, Record};
use crate::status::{ErrorKind, RunError};
use crate::time::{Clock, Timestamp};

/// How often a hold is renewed in the length of a lease.
const RENEWALS: u32 = 3;
/// The shortest pause before the checkpointer is asked again.
const RETRY: Duration = Duration::from_millis(100);

/// How the facts of a run are kept.
#[derive(Debug, Clone)]
pub(crate) struct Saving {
    /// A save is due when this many records wait, or this long after the last one.
    pub(crate) facts: usize,
    pub(crate) interval: Duration,
    /// How long a run is held after it was last heard of.
    pub(crate) lease: Duration,
    /// How many lives in a row may be in vain before the run is parked; 0 is no limit.
    pub(crate) lives: u32,
}

impl Default for Saving {
    fn default() -> Self {
        Self {
            facts: 32,
            interval: Duration::from_secs(1),
            lease: Duration::from_secs(60),
            lives: 5,
        }
    }
}

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
    clock: Clock,
    /// When the checkpointer was last given something, or asked.
    asked_at: Timestamp,
    /// It did not take what it was given last.
    refused: bool,
    /// A call that may happen only once has begun: its answer is saved as soon as it is there.
    once: bool,
    /// What waits is saved before the next effect, however little it is.
    urgent: bool,
    /// Somebody else goes on with the run.
    lost: bool,
    digester: Digester,
    config: Config,
}

impl Log {
    pub(crate) fn new(
        checkpointer: Option<Arc<dyn Checkpointer>>,
        earlier: Vec<Record>,
        config: &Config,
        clock: Clock,
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
            clock,
            asked_at: clock.start(),
            refused: false,
            once: false,
            // The beginning of a life is known before its first effect.
            urgent: true,
            lost: false,
            digester: Digester::new(),
            config: config.clone(),
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
            match &record.fact {
                Fact::Started { .. } => self.once = true,
                Fact::Acted(_) if self.once => self.urgent = true,
                Fact::Decided(_) => self.once = false,
                _ => {}
            }
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
        match within(isolate(|| recorder.flush()), self.config.port_limit).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(audit_error(&error)),
            Some(Err(panicked)) => Err(panic_error(&panicked)),
            None => Err(RunError::new(ErrorKind::Audit, "the audit did not flush in time")),
        }
    }

    /// Whether a save is due by itself.
    pub(crate) fn save_is_due(&self) -> bool {
        !self.waiting.is_empty() && self.due_within().is_some_and(|left| left.is_zero())
    }

    /// How long until [`keep_up`](Self::keep_up) is due: what waits is to be saved, or the hold to
    /// be renewed. `None` when there is nothing to keep up.
    pub(crate) fn due_within(&self) -> Option<Duration> {
        if self.checkpointer.is_none() || self.lost {
            return None;
        }
        let saving = &self.config.saving;
        let pause = match (self.waiting.is_empty(), self.refused) {
            (true, false) => (saving.lease / RENEWALS).max(RETRY),
            (_, true) => saving.interval.max(RETRY),
            (false, false) if self.urgent || self.waiting.len() >= saving.facts => Duration::ZERO,
            (false, false) => saving.interval,
        };
        if pause.is_zero() {
            return Some(pause);
        }
        Some(pause.saturating_sub(self.clock.now().since(self.asked_at)))
    }

    /// Saves what waits, or renews the hold of a run that has nothing to say. Fails open.
    pub(crate) async fn keep_up(&mut self, run: &Run) {
        if !self.waiting.is_empty() {
            let _ = self.save(run).await;
            return;
        }
        let Some(checkpointer) = &self.checkpointer else { return };
        self.asked_at = self.clock.now();
        let runs = std::slice::from_ref(&run.spec().run_id);
        let renew = isolate(|| checkpointer.renew(runs, self.config.saving.lease));
        match within(renew, self.config.port_limit).await {
            Some(Ok(Ok(lost))) => {
                self.refused = false;
                if !lost.is_empty() {
                    tracing::warn!(run = %runs[0], "another process has taken the run over");
                    self.lose();
                }
            }
            _ => {
                self.refused = true;
                tracing::warn!(run = %runs[0], "the hold of the run was not renewed");
            }
        }
    }

    /// Whether somebody else goes on with the run: nothing more is recorded by this life.
    pub(crate) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Leaves the run to somebody else.
    pub(crate) fn lose(&mut self) {
        self.lost = true;
        self.waiting.clear();
        self.attached = true;
        self.detach();
    }

    /// Gives the run back, for others to resume. Fails open: the lease runs out.
    pub(crate) async fn release(&self, run: &Run) {
        let Some(checkpointer) = self.checkpointer.as_ref().filter(|_| !self.lost) else { return };
        let id = &run.spec().run_id;
        let released = within(isolate(|| checkpointer.release(id)), self.config.port_limit).await;
        if !matches!(released, Some(Ok(Ok(())))) {
            tracing::warn!(run = %id, "the run was not given back; it is free when its lease ends");
        }
    }

    /// Saves what waits. What could not be saved waits for the next time.
    pub(crate) async fn save(&mut self, run: &Run) -> Result<(), RunError> {
        let Some(checkpointer) = &self.checkpointer else { return Ok(()) };
        let id = &run.spec().run_id;
        if self.lost {
            return Err(taken(id));
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.asked_at = self.clock.now();
        self.urgent = false;
        self.refused = true;
        let lease = self.config.saving.lease;
        let append = isolate(|| checkpointer.append(id, &self.waiting, lease));
        let appended = within(append, self.config.port_limit).await;
        let error = match appended {
            Some(Ok(Ok(()))) => {
                self.waiting.clear();
                self.refused = false;
                return Ok(());
            }
            Some(Ok(Err(CheckpointError::Lost { .. }))) => {
                self.lose();
                taken(id)
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

fn taken(run: &RunId) -> RunError {
    let message = format!("run {run} is held by another process, which goes on with it");
    RunError::new(ErrorKind::Interrupted, message)
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
