//! An audit that is watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use executus_core::memory::MemoryAudit;
use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::{Outcome, Record, RunId, RunStatus};
use executus_stream::{Hub, HubConfig, LiveEvents, LiveItem, Subscription};
use executus_testkit::conformance::{self, AuditProbe};
use executus_testkit::sample;

use crate::shelf::steered;

struct Probe(MemoryAudit);

#[async_trait]
impl AuditProbe for Probe {
    async fn seqs(&self, run: &RunId) -> Vec<u64> {
        self.0.records(run).iter().map(|record| record.seq).collect()
    }

    async fn closes(&self, run: &RunId) -> u64 {
        self.0.trail(run).map_or(0, |trail| trail.closed.len() as u64)
    }

    async fn text(&self, run: &RunId) -> String {
        format!("{:?}", self.0.trail(run))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guarantees_of_an_audit_hold() {
    let inner = MemoryAudit::default();
    let hub = Hub::default();
    let audit = hub.audit(Arc::new(inner.clone()));
    conformance::audit(&audit, &Probe(inner)).await;
}

/// Durable is what was given before a flush that was let through.
#[derive(Default, Clone)]
struct Slow(Arc<Gate>);

#[derive(Default)]
struct Gate {
    given: AtomicU64,
    durable: AtomicU64,
    open: AtomicBool,
    flushes: AtomicU64,
}

#[async_trait]
impl Audit for Slow {
    async fn start(&self, _: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        Ok(Some(Box::new(self.clone())))
    }
}

#[async_trait]
impl Recorder for Slow {
    fn last_seq(&self) -> u64 {
        0
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        self.0.given.store(record.seq, Ordering::SeqCst);
        Ok(())
    }

    async fn flush(&self) -> Result<(), AuditError> {
        self.0.flushes.fetch_add(1, Ordering::SeqCst);
        let given = self.0.given.load(Ordering::SeqCst);
        tokio::task::yield_now().await;
        if !self.0.open.load(Ordering::SeqCst) {
            return Err(AuditError::Broken { message: "no space left".into(), source: None });
        }
        self.0.durable.fetch_max(given, Ordering::SeqCst);
        Ok(())
    }

    async fn close(&self, _: &Outcome) -> Result<(), AuditError> {
        self.flush().await
    }

    async fn suspend(&self, _: &Outcome) -> Result<(), AuditError> {
        self.flush().await
    }
}

async fn id(reader: &mut Subscription) -> Option<u64> {
    match reader.next().await.unwrap() {
        Some(LiveItem::Event(event)) => event.id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_durable() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let slow = Slow::default();
    let audit = hub.audit(Arc::new(slow.clone()));
    let recorder = audit.start(&sample::start(&run, 1)).await.unwrap().unwrap();
    let mut reader = hub.subscribe(&run, 0).unwrap();
    for seq in 1..=10 {
        recorder.record(&steered(&run, seq)).unwrap();
    }
    let pace = HubConfig::default().pace;
    let early = tokio::time::timeout(pace * 50, reader.next()).await;
    assert!(early.is_err(), "shown, and not durable: {early:?}");
    slow.0.open.store(true, Ordering::SeqCst);
    recorder.record(&steered(&run, 11)).unwrap();
    for seq in 1..=11 {
        assert_eq!(id(&mut reader).await, Some(seq));
        assert!(slow.0.durable.load(Ordering::SeqCst) >= seq);
    }
    recorder.suspend(&sample::outcome(&run, RunStatus::Interrupted)).await.unwrap();
    let Ok(Some(LiveItem::Event(last))) = reader.next().await else { panic!() };
    assert_eq!(&*last.kind, "interrupted");
    assert!(matches!(reader.next().await, Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_reads_is_not_flushed() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::new(HubConfig { events: 4, ..HubConfig::default() });
    let slow = Slow::default();
    slow.0.open.store(true, Ordering::SeqCst);
    let recorder = hub.audit(Arc::new(slow.clone())).start(&sample::start(&run, 1)).await;
    let recorder = recorder.unwrap().unwrap();
    for seq in 1..=10 {
        recorder.record(&steered(&run, seq)).unwrap();
        tokio::time::sleep(HubConfig::default().pace).await;
    }
    assert_eq!(slow.0.flushes.load(Ordering::SeqCst), 0);
    // Whoever comes now gets the newest at once, and learns that there was more.
    let mut reader = hub.subscribe(&run, 0).unwrap();
    let first = reader.next().await.unwrap();
    assert_eq!(first, Some(LiveItem::Missed { events: 1, records: true }));
    for seq in 7..=10 {
        assert_eq!(id(&mut reader).await, Some(seq));
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_is_dropped_is_a_lost_stream() {
    let run = RunId::new("a-run").unwrap();
    let hub = Hub::default();
    let recorder = hub.audit(Arc::new(Slow::default())).start(&sample::start(&run, 1)).await;
    let mut reader = hub.subscribe(&run, 0).unwrap();
    drop(recorder);
    assert!(reader.next().await.is_err());
}
