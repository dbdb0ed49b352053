//! The trail of one life of one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use async_trait::async_trait;
use executus_core::port::{AuditError, Recorder};
use executus_core::record::Fact;
use executus_core::{Outcome, Record, Timestamp};
use executus_sqlite::StoreError;

use crate::audit::{SqliteAudit, unfit};
use crate::chain::row::Salt;
use crate::error::audit_error;
use crate::job::{Started, Work};
use crate::outcome::End;
use crate::row::Row;
use crate::trail::{Ack, Seat};

/// See the module. Dropping it ends nothing: what was given is still written.
pub(crate) struct SqliteRecorder {
    audit: SqliteAudit,
    seat: Seat,
    ack: Arc<Ack>,
    run: i64,
    salt: Salt,
    last_seq: u64,
    /// How many rows were put into the queue.
    given: AtomicU64,
    /// When the newest record was made.
    last_at: AtomicI64,
    turn: AtomicU8,
}

/// A record was refused by a full queue: the next flush waits for the queue.
const REFUSED: u8 = 1;
/// That flush is done: the next record has its turn, though others filled the queue meanwhile.
const TURN: u8 = 2;

impl SqliteRecorder {
    pub(crate) fn new(audit: SqliteAudit, seat: Seat, at: Timestamp, started: Started) -> Self {
        let mut head = seat.head.lock();
        // Another recorder of the run may have given more since the trail was read.
        if started.last_seq >= head.newest {
            head.newest = started.last_seq;
            head.reply = started.reply.or(head.reply.take());
        }
        drop(head);
        Self {
            audit,
            seat,
            ack: Arc::default(),
            run: started.run,
            salt: started.salt,
            last_seq: started.last_seq,
            given: AtomicU64::new(0),
            last_at: AtomicI64::new(at.as_micros()),
            turn: AtomicU8::new(0),
        }
    }

    fn push(&self, row: Work) -> Result<(), AuditError> {
        let store = self.audit.store();
        let pushed = match self.turn.swap(0, Ordering::Relaxed) {
            // One record of each run may stand above the bound of the queue.
            TURN => store.push_in_turn(row),
            _ => store.push(row),
        };
        pushed.map_err(|(_, error)| {
            if let StoreError::Full { .. } = error {
                self.turn.store(REFUSED, Ordering::Relaxed);
            }
            audit_error(error)
        })
    }

    async fn end(&self, outcome: &Outcome, closes: bool) -> Result<(), AuditError> {
        let ended_at = self.last_at.load(Ordering::Relaxed);
        let end = Box::new(End::new(self.run, closes, ended_at, outcome).map_err(unfit)?);
        let ack = Arc::clone(&self.ack);
        let ended = self.audit.wait_for(|answer| Work::End(end, ack, answer)).await;
        if closes && ended.is_ok() {
            self.seat.head.lock().closed = true;
        }
        ended
    }
}

#[async_trait]
impl Recorder for SqliteRecorder {
    fn last_seq(&self) -> u64 {
        self.last_seq
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        if let Some(failure) = self.ack.failure() {
            return Err(failure);
        }
        let conflict = |message: String| Err(AuditError::Conflict { message });
        let mut head = self.seat.head.lock();
        if head.closed {
            return conflict(format!(
                "record {} after run `{}` was closed",
                record.seq,
                self.seat.run()
            ));
        }
        let (seq, next) = (record.seq, head.newest + 1);
        // What lies before a resumption may be void, and not known here.
        let gap = seq > next && !matches!(record.fact, Fact::Resumed { .. });
        if gap || seq == 0 || i64::try_from(seq).is_err() {
            return conflict(format!("record {seq} where {next} comes next"));
        }
        let run = (self.run, self.salt);
        let row = Row::new(run, Arc::clone(&self.ack), record, head.reply.as_deref());
        let row = row.map_err(unfit)?;
        self.push(Work::Row(row))?;
        self.given.fetch_add(1, Ordering::Relaxed);
        self.last_at.store(record.at.as_micros(), Ordering::Relaxed);
        head.newest = head.newest.max(seq);
        if let Fact::Decided(decided) = &record.fact {
            head.reply = Some(Arc::clone(&decided.reply));
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        if let Some(failure) = self.ack.failure() {
            return Err(failure);
        }
        let refused = self.turn.load(Ordering::Relaxed) == REFUSED;
        if !refused && self.ack.committed() == self.given.load(Ordering::Relaxed) {
            return Ok(());
        }
        let ack = Arc::clone(&self.ack);
        self.audit.wait_for(|answer| Work::Flush(ack, answer)).await?;
        if refused {
            self.turn.store(TURN, Ordering::Relaxed);
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
