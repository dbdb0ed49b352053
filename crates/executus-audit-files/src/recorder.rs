//! The trail of one life of one run.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::{AuditError, Recorder};
use executus_core::record::Fact;
use executus_core::text::scrub_json;
use executus_core::{Outcome, Record, Reply, RunId};
use parking_lot::Mutex;

use crate::audit::FileAudit;
use crate::job::{Ack, Job};
use crate::row::Draft;

/// Dropping it ends nothing: what was given is still written.
pub(crate) struct FileRecorder {
    audit: FileAudit,
    run: RunId,
    last_seq: u64,
    playbook: bool,
    ack: Arc<Ack>,
    head: Mutex<Head>,
}

struct Head {
    newest: u64,
    /// How many rows were put into the queue.
    given: u64,
    closed: bool,
    /// The reply whose calls are under way.
    reply: Option<Arc<Reply>>,
    turn: Turn,
}

/// Whoever was told that the queue is full, and has waited, gets in before others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    Refused,
    Mine,
}

impl FileRecorder {
    pub(crate) fn new(audit: FileAudit, run: RunId, last_seq: u64, playbook: bool) -> Self {
        let head =
            Head { newest: last_seq, given: 0, closed: false, reply: None, turn: Turn::None };
        Self { audit, run, last_seq, playbook, ack: Arc::default(), head: Mutex::new(head) }
    }

    async fn end(&self, outcome: &Outcome, closes: bool) -> Result<(), AuditError> {
        let outcome = Box::new(scrubbed(outcome)?);
        let (run, ack) = (self.run.clone(), Arc::clone(&self.ack));
        let ended = self.audit.ask(|answer| Job::End { run, outcome, closes, ack, answer }).await;
        if closes && ended.is_ok() {
            self.head.lock().closed = true;
        }
        ended
    }
}

/// The same without what looks like a credential.
fn scrubbed(outcome: &Outcome) -> Result<Outcome, AuditError> {
    let value = serde_json::to_value(outcome).map_err(unfit)?;
    serde_json::from_value(scrub_json(&value)).map_err(unfit)
}

/// What cannot be written as JSON does not fit.
pub(crate) fn unfit(error: serde_json::Error) -> AuditError {
    AuditError::Conflict { message: format!("it cannot be written as JSON: {error}") }
}

#[async_trait]
impl Recorder for FileRecorder {
    fn last_seq(&self) -> u64 {
        self.last_seq
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        if let Some(failure) = self.ack.failure() {
            return Err(failure);
        }
        let mut head = self.head.lock();
        let (seq, next) = (record.seq, head.newest + 1);
        if let Fact::Decided(decided) = &record.fact {
            // Also of what is kept already: its calls may come now.
            head.reply = Some(Arc::clone(&decided.reply));
        }
        if seq < next && seq > 0 {
            return Ok(());
        }
        if head.closed {
            let message = format!("record {seq} after run `{}` was closed", self.run);
            return Err(AuditError::Conflict { message });
        }
        // What lies before a resumption may be void, and not known here.
        if seq == 0 || seq > next && !matches!(record.fact, Fact::Resumed { .. }) {
            let message = format!("record {seq} where {next} comes next");
            return Err(AuditError::Conflict { message });
        }
        let draft = Box::new(Draft::new(record, head.reply.as_ref(), self.playbook));
        let job = Job::Row(self.run.clone(), draft, Arc::clone(&self.ack));
        let mine = std::mem::replace(&mut head.turn, Turn::None) == Turn::Mine;
        if let Err(error) = self.audit.push(job, !mine) {
            if let AuditError::Full = error {
                head.turn = Turn::Refused;
            }
            return Err(error);
        }
        head.given += 1;
        head.newest = seq;
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        if let Some(failure) = self.ack.failure() {
            return Err(failure);
        }
        let refused = {
            let head = self.head.lock();
            if head.turn == Turn::None && self.ack.durable() == head.given {
                return Ok(());
            }
            head.turn == Turn::Refused
        };
        let (run, ack) = (self.run.clone(), Arc::clone(&self.ack));
        self.audit.ask(|answer| Job::Flush(run, ack, answer)).await?;
        if refused {
            self.head.lock().turn = Turn::Mine;
        }
        Ok(())
    }

    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError> {
        self.end(outcome, true).await
    }

    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError> {
        self.end(outcome, false).await
    }
}

impl Drop for FileRecorder {
    fn drop(&mut self) {
        // A log that is closed has closed its files.
        let _ = self.audit.push(Job::Leave(self.run.clone()), false);
    }
}
