//! Telling how far the trail of a run is durable: what was told to be recorded is in the store,
//! whatever the process dies of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::{Outcome, Record};
use tokio::sync::watch;

/// An audit that tells the number of the newest durable record.
pub(crate) struct Telling {
    inner: Arc<dyn Audit>,
    told: watch::Sender<u64>,
}

impl Telling {
    /// What it tells of is recorded by `inner`.
    pub(crate) fn of(inner: Arc<dyn Audit>) -> (Self, watch::Receiver<u64>) {
        let (told, heard) = watch::channel(0);
        (Self { inner, told }, heard)
    }
}

#[async_trait]
impl Audit for Telling {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let inner = self.inner.start(start).await?;
        Ok(inner.map(|inner| -> Box<dyn Recorder> {
            let given = AtomicU64::new(inner.last_seq());
            Box::new(Trail { inner, told: self.told.clone(), given })
        }))
    }
}

/// The trail of one life.
struct Trail {
    inner: Box<dyn Recorder>,
    told: watch::Sender<u64>,
    /// The newest record that was given.
    given: AtomicU64,
}

impl Trail {
    /// What was given before a wait is durable behind it.
    fn tell(&self, given: u64) {
        self.told.send_replace(given);
    }
}

#[async_trait]
impl Recorder for Trail {
    fn last_seq(&self) -> u64 {
        self.inner.last_seq()
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        self.inner.record(record)?;
        self.given.fetch_max(record.seq, Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        let given = self.given.load(Ordering::Relaxed);
        self.inner.flush().await?;
        self.tell(given);
        Ok(())
    }

    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError> {
        let given = self.given.load(Ordering::Relaxed);
        self.inner.close(outcome).await?;
        self.tell(given);
        Ok(())
    }

    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError> {
        let given = self.given.load(Ordering::Relaxed);
        self.inner.suspend(outcome).await?;
        self.tell(given);
        Ok(())
    }
}
