//! A log that is broken, cut or closed.

use std::fs;
use std::io::Write as _;

use executus_core::port::{Audit, AuditError};
use executus_core::{Reply, RunStatus};
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, acted, decided, run};

#[tokio::test]
async fn a_line_that_a_crash_cut_is_cut_off() {
    let bench = Bench::new();
    let id = run("run-123");
    let first = bench.start(&id).await;
    for seq in 1..=3 {
        first.record(&sample::record(&id, seq)).unwrap();
    }
    first.flush().await.unwrap();
    drop(first);
    bench.audit.close().await;
    let folder = bench.reader().folder(&id);
    let mut trail = fs::File::options().append(true).open(folder.join("trail.jsonl")).unwrap();
    trail.write_all(br#"{"seq":4,"at":1,"st"#).unwrap();
    fs::write(folder.join(".tmp-7-7"), "half").unwrap();
    assert_eq!(bench.reader().records(&id).unwrap().len(), 3);

    let audit = executus_audit_files::FileAudit::open(executus_audit_files::Config::new(
        bench.audit.root(),
    ))
    .unwrap();
    let second = audit.start(&sample::start(&id, 2)).await.unwrap().unwrap();
    assert_eq!(second.last_seq(), 3);
    second.record(&sample::resumed(&id, 4, 2)).unwrap();
    second.close(&sample::outcome(&id, RunStatus::Ok)).await.unwrap();
    assert_eq!(bench.reader().records(&id).unwrap().len(), 4);
    assert!(!folder.join(".tmp-7-7").exists());
}

#[tokio::test]
async fn a_trail_that_was_changed_is_not_gone_on_with() {
    let bench = Bench::new();
    let id = run("run-123");
    let first = bench.start(&id).await;
    first.record(&sample::record(&id, 1)).unwrap();
    first.flush().await.unwrap();
    drop(first);
    let path = bench.reader().folder(&id).join("trail.jsonl");
    let line = fs::read_to_string(&path).unwrap();
    for (changed, why) in [("{}\n".to_owned(), "no record"), (line.repeat(2), "out of order")] {
        fs::write(&path, changed).unwrap();
        // The log has let go of the run by now, or has it open: a start of another life reads it.
        bench
            .audit
            .router(None)
            .write(executus_audit_files::Entry::new(1, "wait", json!({}), ""), sample::BEGIN)
            .await
            .unwrap();
        let error = bench.reader().records(&id).unwrap_err().to_string();
        assert!(error.contains("trail.jsonl") && error.contains(why), "{error}");
        let Err(AuditError::Broken { message, .. }) =
            bench.audit.start(&sample::start(&id, 2)).await
        else {
            panic!("started")
        };
        assert!(message.contains(why), "{message}");
    }
}

/// The rest of the run fails, other runs and the next life go on.
#[tokio::test]
async fn a_directory_that_is_taken_away_fails_its_run_alone() {
    let bench = Bench::new();
    let (id, other) = (run("run-123"), run("run-124"));
    let reply = Reply::call("look", json!({}));
    let recorder = bench.start(&id).await;
    let beside = bench.start(&other).await;
    recorder.record(&sample::record(&id, 1)).unwrap();
    recorder.flush().await.unwrap();
    fs::remove_dir_all(bench.reader().folder(&id)).unwrap();
    recorder.record(&decided(&id, 2, 1, &reply)).unwrap();
    recorder.record(&acted(&id, 3, 1, &reply, "done")).unwrap();
    let error = recorder.flush().await.unwrap_err();
    assert!(matches!(&error, AuditError::Broken { .. }) && !error.retry(), "{error}");
    assert!(error.to_string().contains("run-123"), "{error}");
    assert!(recorder.record(&sample::record(&id, 4)).is_err());
    assert!(recorder.close(&sample::outcome(&id, RunStatus::Ok)).await.is_err());

    beside.record(&sample::record(&other, 1)).unwrap();
    beside.close(&sample::outcome(&other, RunStatus::Ok)).await.unwrap();
    let again = bench.start(&id).await;
    // The one that failed leaves later.
    drop(recorder);
    assert_eq!(again.last_seq(), 0);
    again.record(&sample::record(&id, 1)).unwrap();
    again.close(&sample::outcome(&id, RunStatus::Ok)).await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_closed_says_so() {
    let bench = Bench::new();
    let id = run("run-123");
    let recorder = bench.start(&id).await;
    recorder.record(&sample::record(&id, 1)).unwrap();
    bench.audit.close().await;
    assert_eq!(bench.reader().records(&id).unwrap().len(), 1, "what was given is written");
    assert!(matches!(recorder.record(&sample::record(&id, 2)), Err(AuditError::Broken { .. })));
    assert!(recorder.flush().await.is_ok(), "all that was given is durable");
    let started = bench.audit.start(&sample::start(&id, 2)).await;
    assert!(matches!(started, Err(AuditError::Broken { .. })));
    let root = bench.folder.path().join("a-file");
    fs::write(&root, "").unwrap();
    let error = executus_audit_files::FileAudit::open(executus_audit_files::Config::new(&root));
    assert!(error.unwrap_err().to_string().contains("a-file"));
}
