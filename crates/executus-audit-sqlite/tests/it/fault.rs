//! What goes wrong around the audit.

use std::time::Duration;

use executus_audit_sqlite::{Config, OpenError, SqliteAudit};
use executus_core::RunStatus;
use executus_core::port::{Audit, AuditError};
use executus_testkit::sample;

use crate::bench::{Bench, id};

#[tokio::test]
async fn records_cannot_be_changed_deleted_or_replaced() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    let other = bench.connection();
    other.pragma_update(None, "recursive_triggers", true).unwrap();
    for sql in [
        "UPDATE records SET body = '{}'",
        "DELETE FROM records",
        "INSERT OR REPLACE INTO records SELECT run, seq, at, step, call, args, kind, '{}', fact, state, chain FROM records",
        "REPLACE INTO records SELECT * FROM records",
        "DELETE FROM runs",
    ] {
        let error = other.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
    assert_eq!(bench.audit.records(&run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_held_by_another_process_is_unavailable_and_loses_nothing() {
    let bench = Bench::with(|config| config.busy_timeout = Duration::from_millis(10));
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    let other = bench.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    recorder.record(&sample::record(&run, 1)).unwrap();
    let busy = recorder.flush().await.unwrap_err();
    assert!(matches!(busy, AuditError::Unavailable { .. }), "{busy:?}");
    assert!(busy.retry());
    other.execute_batch("COMMIT").unwrap();
    recorder.record(&sample::record(&run, 2)).unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(bench.seqs(&run), [1, 2]);
}

#[tokio::test]
async fn two_audits_of_one_file_record_side_by_side() {
    let bench = Bench::new();
    let second = SqliteAudit::open(Config::new(bench.path())).unwrap();
    let (one, two) = (id("one"), id("two"));
    let first = bench.start(&sample::start(&one, 1)).await;
    let other = second.start(&sample::start(&two, 1)).await.unwrap().unwrap();
    for seq in 1..=50 {
        first.record(&sample::record(&one, seq)).unwrap();
        other.record(&sample::record(&two, seq)).unwrap();
    }
    let (a, b) = tokio::join!(first.flush(), other.flush());
    a.unwrap();
    b.unwrap();
    assert_eq!((bench.seqs(&one).len(), bench.seqs(&two).len()), (50, 50));
}

#[tokio::test]
async fn a_closed_audit_refuses_with_a_reason() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    bench.audit.close().await;
    assert_eq!(bench.seqs(&run), [1], "what was given is written");
    for refused in [
        recorder.record(&sample::record(&run, 2)),
        recorder.close(&sample::outcome(&run, RunStatus::Ok)).await,
        bench.audit.start(&sample::start(&run, 2)).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, AuditError::Broken { .. }), "{refused:?}");
        assert!(refused.to_string().contains("was closed"), "{refused}");
    }
}

#[tokio::test]
async fn a_dropped_recorder_and_a_dropped_audit_lose_nothing() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    for record in sample::records(&run, 1..=300) {
        recorder.record(&record).unwrap();
    }
    drop(recorder);
    bench.audit.close().await;
    assert_eq!(bench.seqs(&run).len(), 300);
}

#[test]
fn a_file_from_a_newer_version_is_refused() {
    let bench = Bench::new();
    bench.connection().pragma_update(None, "user_version", 99).unwrap();
    let newer = SqliteAudit::open(Config::new(bench.path())).unwrap_err();
    assert!(matches!(newer, OpenError::Newer { found: 99, .. }), "{newer:?}");
}
