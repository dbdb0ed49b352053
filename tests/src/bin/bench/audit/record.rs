//! What a run's own path pays for a record: against one send of the same record on a bounded
//! channel to a thread that waits for it. One at a time, as a run makes them: both sides wake whoever
//! takes it.

use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

use executus_audit_sqlite::{Config, SqliteAudit};
use executus_core::port::{Audit, Recorder, RunStart};
use executus_core::{Executor, Record};

use super::{Figure, PAIRS, Report, WARM, folder, now, text};
use crate::child::{Bench, runtime};
use crate::figure;

/// Turns of the run whose records are used, and so about half their number.
const TURNS: usize = 400;

pub(super) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    let name = "audit.record_over_send";
    if report.wants(name) {
        let ratios = runtime().block_on(ratios())?;
        report.add(&Figure::at_most(name, figure::median(ratios), 2.0));
    }
    Ok(())
}

async fn ratios() -> Result<Vec<f64>, String> {
    let folder = folder()?;
    let audit = SqliteAudit::open(Config::new(folder.path().join("audit.db"))).map_err(text)?;
    let records = records(&audit).await?;
    let (sender, receiver) = mpsc::sync_channel::<Record>(4096);
    let (done, sent) = mpsc::channel();
    let consumer = thread::spawn(move || {
        for record in receiver {
            drop(record);
            if done.send(()).is_err() {
                return;
            }
        }
    });
    let mut ratios = Vec::new();
    for pair in 0..WARM + PAIRS {
        let recorded = recorded(&audit, &records, pair).await?;
        let sent = send(&records, &sender, &sent)?;
        if pair >= WARM {
            ratios.push(recorded.as_secs_f64() / sent.as_secs_f64());
        }
    }
    drop(sender);
    audit.close().await;
    consumer.join().map_err(|_| "the consumer panicked".to_owned())?;
    Ok(ratios)
}

/// The records of a run.
async fn records(audit: &SqliteAudit) -> Result<Vec<Record>, String> {
    let executor = Executor::builder().audit(std::sync::Arc::new(audit.clone())).build();
    let bench = Bench::new(executor, TURNS);
    let handle = bench.executor.start(bench.request()).map_err(text)?;
    let settled = handle.settled().await;
    audit.journal(&settled.outcome.run_id).await.map_err(text)
}

/// How long all calls of `record` take.
async fn recorded(
    audit: &SqliteAudit,
    records: &[Record],
    pair: usize,
) -> Result<Duration, String> {
    let recorder = fresh(audit, records, pair).await?;
    let mut spent = Duration::ZERO;
    for record in records {
        let began = now();
        recorder.record(record).map_err(text)?;
        spent += began.elapsed();
        recorder.flush().await.map_err(text)?;
    }
    Ok(spent)
}

/// A recorder of another run with the same spec.
async fn fresh(
    audit: &SqliteAudit,
    records: &[Record],
    pair: usize,
) -> Result<Box<dyn Recorder>, String> {
    let Some(executus_core::Fact::Opened(spec)) = records.first().map(|first| &first.fact) else {
        return Err("a run without a beginning".to_owned());
    };
    let mut spec = (**spec).clone();
    spec.run_id = executus_core::RunId::new(format!("again-{pair}")).map_err(text)?;
    let start = RunStart { at: spec.started_at, spec: spec.into(), attempt: 1 };
    audit.start(&start).await.map_err(text)?.ok_or_else(|| "no recorder".to_owned())
}

/// How long as many sends take.
fn send(
    records: &[Record],
    sender: &SyncSender<Record>,
    sent: &mpsc::Receiver<()>,
) -> Result<Duration, String> {
    let mut spent = Duration::ZERO;
    for record in records {
        let began = now();
        sender.try_send(record.clone()).map_err(text)?;
        spent += began.elapsed();
        sent.recv().map_err(text)?;
        // The consumer is back at its channel before the next: it has to be woken.
        thread::yield_now();
    }
    Ok(spent)
}
