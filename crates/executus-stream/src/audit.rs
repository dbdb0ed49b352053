//! An audit that is watched: readers see what is durable in it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use executus_core::isolate::isolate;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::record::Fact;
use executus_core::{Outcome, Record};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::hub::{Hub, Publisher};

/// Records as another audit does, and publishes each record once it is durable there.
///
/// A number is never shown for two different records: what a crash takes away was not shown. While
/// somebody reads, the inner audit is asked to flush at the pace of the hub; that call may overlap
/// with a `record` of the run, never with a `flush`, a `close` or a `suspend`.
#[derive(Clone)]
pub struct HubAudit {
    hub: Hub,
    inner: Arc<dyn Audit>,
}

impl HubAudit {
    pub(crate) const fn new(hub: Hub, inner: Arc<dyn Audit>) -> Self {
        Self { hub, inner }
    }
}

impl fmt::Debug for HubAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubAudit").field("hub", &self.hub).finish_non_exhaustive()
    }
}

#[async_trait]
impl Audit for HubAudit {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let Some(inner) = self.inner.start(start).await? else { return Ok(None) };
        let publisher = self.hub.publisher(&start.spec.run_id, inner.last_seq());
        let wanted = publisher.wanted();
        let watched = Arc::new(Watched {
            inner,
            publisher,
            waiting: Mutex::default(),
            room: self.hub.config().events.max(1),
            turn: tokio::sync::Mutex::default(),
        });
        let pump = pump(Arc::downgrade(&watched), Arc::clone(&wanted), self.hub.config().pace);
        #[expect(clippy::disallowed_methods, reason = "the recorder aborts it")]
        let pump = tokio::spawn(pump);
        Ok(Some(Box::new(HubRecorder { watched, wanted, pump })))
    }
}

/// A recorder and what it was given that is not durable yet.
struct Watched {
    inner: Box<dyn Recorder>,
    publisher: Publisher,
    waiting: Mutex<Waiting>,
    room: usize,
    /// One at a time waits for the inner recorder.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    records: VecDeque<Record>,
    /// The newest one that there was no room for.
    dropped: u64,
}

impl Watched {
    fn give(&self, record: &Record) {
        let mut waiting = self.waiting.lock();
        let newest = waiting.records.back().map_or(0, |record| record.seq);
        if record.seq <= newest.max(self.publisher.newest()) {
            // An earlier life decided, and this one makes the calls.
            if let Fact::Decided(decided) = &record.fact {
                self.publisher.remember(&decided.reply);
            }
            return;
        }
        // More than the ring holds would not be shown anyway.
        if waiting.records.len() >= self.room
            && let Some(oldest) = waiting.records.pop_front()
        {
            waiting.dropped = oldest.seq;
        }
        waiting.records.push_back(record.clone());
    }

    fn newest(&self) -> Option<u64> {
        self.waiting.lock().records.back().map(|record| record.seq)
    }

    /// Shows what was given up to this record.
    fn publish(&self, up_to: u64) {
        let mut waiting = self.waiting.lock();
        let dropped = std::mem::take(&mut waiting.dropped);
        if dropped > 0 {
            self.publisher.skip(dropped);
        }
        let durable = waiting.records.partition_point(|record| record.seq <= up_to);
        for record in waiting.records.drain(..durable) {
            self.publisher.record(&record);
        }
    }

    async fn flush(&self) -> Result<(), AuditError> {
        let _turn = self.turn.lock().await;
        let newest = self.newest();
        self.inner.flush().await?;
        if let Some(newest) = newest {
            self.publish(newest);
        }
        Ok(())
    }
}

/// Makes durable, and so visible, what was given, as long as somebody reads.
async fn pump(watched: Weak<Watched>, wanted: Arc<Notify>, pace: std::time::Duration) {
    loop {
        wanted.notified().await;
        let Some(watched) = watched.upgrade() else { return };
        if watched.newest().is_some() {
            // The run learns of a failure from its own next call.
            let flushed = isolate(|| Box::pin(watched.flush())).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::debug!("what readers wait for is not durable");
            }
        }
        drop(watched);
        tokio::time::sleep(pace).await;
    }
}

struct HubRecorder {
    watched: Arc<Watched>,
    wanted: Arc<Notify>,
    pump: JoinHandle<()>,
}

impl HubRecorder {
    fn ended(&self, outcome: &Outcome) {
        if let Some(newest) = self.watched.newest() {
            self.watched.publish(newest);
        }
        self.watched.publisher.end(outcome);
    }
}

#[async_trait]
impl Recorder for HubRecorder {
    fn last_seq(&self) -> u64 {
        self.watched.inner.last_seq()
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        self.watched.inner.record(record)?;
        self.watched.give(record);
        if self.watched.publisher.is_read() {
            self.wanted.notify_one();
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        self.watched.flush().await
    }

    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError> {
        let _turn = self.watched.turn.lock().await;
        self.watched.inner.close(outcome).await?;
        self.ended(outcome);
        Ok(())
    }

    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError> {
        let _turn = self.watched.turn.lock().await;
        self.watched.inner.suspend(outcome).await?;
        self.ended(outcome);
        Ok(())
    }
}

impl Drop for HubRecorder {
    fn drop(&mut self) {
        self.pump.abort();
    }
}
