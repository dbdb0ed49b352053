//! The guarantees once more, as they show in the file.

use std::sync::Arc;

use executus_audit_sqlite::{Config, SqliteAudit};
use executus_core::port::{Audit, AuditError};
use executus_core::record::Fact;
use executus_core::transcript::{Artifact, ArtifactBody};
use executus_core::{RunId, RunStatus};
use executus_testkit::sample;
use serde_json::json;
use tokio::task::JoinSet;

use crate::bench::{Bench, id};

/// A1
#[tokio::test]
async fn records_stand_in_the_order_given() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    for record in sample::records(&run, 1..=700) {
        recorder.record(&record).unwrap();
    }
    recorder.flush().await.unwrap();
    assert_eq!(bench.seqs(&run), (1..=700).collect::<Vec<_>>());
    assert_eq!(bench.audit.journal(&run).await.unwrap(), sample::records(&run, 1..=700));
}

/// A2
#[tokio::test]
async fn what_was_flushed_is_seen_by_another_program() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    for seq in 1..=20 {
        recorder.record(&sample::record(&run, seq)).unwrap();
        recorder.flush().await.unwrap();
        assert_eq!(bench.seqs(&run).len() as u64, seq);
    }
    recorder.record(&sample::record(&run, 21)).unwrap();
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    assert_eq!(bench.seqs(&run).len(), 21);
}

/// A3
#[tokio::test]
async fn a_full_queue_says_so_and_takes_more_after_a_flush() {
    let bench = Bench::with(|config| config.queue = 2);
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    // Another program holds the file: the writer cannot go on, recording does not wait.
    let other = bench.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut seq = 1;
    while recorder.record(&sample::record(&run, seq)).is_ok() {
        seq += 1;
        assert!(seq < 1000);
    }
    let full = recorder.record(&sample::record(&run, seq));
    assert!(matches!(full, Err(AuditError::Full)), "{full:?}");
    other.execute_batch("COMMIT").unwrap();
    recorder.flush().await.unwrap();
    recorder.record(&sample::record(&run, seq)).unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(bench.seqs(&run).len() as u64, seq);
}

/// A4
#[tokio::test]
async fn a_run_is_closed_once() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    recorder.suspend(&sample::outcome(&run, RunStatus::Interrupted)).await.unwrap();
    let suspended = bench.audit.run(&run).await.unwrap();
    assert_eq!((suspended.status, suspended.closed), (Some(RunStatus::Interrupted), false));

    let recorder = bench.start(&sample::start(&run, 2)).await;
    let open = bench.audit.run(&run).await.unwrap();
    assert_eq!((open.status, open.attempts), (None, 2));
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    let closed = bench.audit.run(&run).await.unwrap();
    assert_eq!((closed.status, closed.closed), (Some(RunStatus::Ok), true));

    recorder.close(&sample::outcome(&run, RunStatus::Error)).await.unwrap();
    recorder.suspend(&sample::outcome(&run, RunStatus::Interrupted)).await.unwrap();
    let after = recorder.record(&sample::record(&run, 2));
    assert!(matches!(after, Err(AuditError::Conflict { .. })), "{after:?}");
    assert_eq!(bench.audit.run(&run).await.unwrap(), closed);

    // Not even by hand.
    let changed = bench.connection().execute("UPDATE runs SET status = 'error'", []);
    assert!(changed.unwrap_err().to_string().contains("the run is closed"));
}

/// A4
#[tokio::test]
async fn a_closed_run_tells_whoever_starts_it_how_it_ended() {
    let bench = Bench::new();
    for status in [RunStatus::Ok, RunStatus::Error] {
        let run = id(status.as_str());
        let mut outcome = sample::outcome(&run, status);
        outcome.stats.tally.steps = 3;
        outcome.stats.tally.input_tokens = u64::MAX;
        outcome.stats.runtime_ms = 1234;
        outcome.artifacts = [
            ("a", ArtifactBody::Inline("text".into())),
            ("b", ArtifactBody::Uri("file:///b".into())),
        ]
        .map(|(name, body)| {
            Arc::new(Artifact { name: name.into(), media_type: "text/plain".into(), body })
        })
        .into();
        let recorder = bench.start(&sample::start(&run, 1)).await;
        recorder.record(&sample::record(&run, 1)).unwrap();
        recorder.close(&outcome).await.unwrap();

        let before = bench.audit.run(&run).await.unwrap();
        let mut other = sample::start(&run, 1);
        other.spec = Arc::new(sample::spec_with(&run, json!({"question": "another"})));
        // In any life, and also under a spec that is not its own.
        for start in [sample::start(&run, 1), sample::start(&run, 2), other] {
            let told = bench.audit.start(&start).await.err();
            let Some(AuditError::Closed { outcome: told }) = told else { panic!("{told:?}") };
            assert_eq!(*told, outcome);
        }
        assert_eq!(bench.audit.run(&run).await.unwrap(), before);
    }
}

/// A4
#[tokio::test]
async fn an_outcome_that_cannot_be_read_is_not_made_up() {
    let bench = Bench::new();
    for (column, what) in [("error", "error"), ("stats", "counts"), ("artifacts", "artifacts")] {
        let run = id(column);
        let recorder = bench.start(&sample::start(&run, 1)).await;
        let changed = bench.connection().execute(
            &format!("UPDATE runs SET status = 'ok', closed = 1, {column} = 'x' WHERE run_id = '{column}'"),
            [],
        );
        assert_eq!(changed, Ok(1));
        drop(recorder);
        let refused = bench.audit.start(&sample::start(&run, 2)).await.err().unwrap();
        assert!(matches!(refused, AuditError::Broken { .. }), "{refused:?}");
        assert!(
            refused.to_string().contains(&format!("the {what} of run `{column}`")),
            "{refused}"
        );
    }
}

/// A5
#[tokio::test]
async fn a_known_run_goes_on_where_it_was() {
    let bench = Bench::new();
    let run = id("a");
    let start = sample::start(&run, 1);
    let first = bench.start(&start).await;
    first.record(&sample::record(&run, 1)).unwrap();
    // The same life once more, while the first recorder is still there.
    let again = bench.start(&start).await;
    again.record(&sample::record(&run, 2)).unwrap();
    first.record(&sample::record(&run, 3)).unwrap();
    again.record(&sample::record(&run, 1)).unwrap();
    again.flush().await.unwrap();
    drop((first, again));
    bench.audit.close().await;

    let audit = SqliteAudit::open(Config::new(bench.path())).unwrap();
    let next = audit.start(&sample::start(&run, 2)).await.unwrap().unwrap();
    assert_eq!(next.last_seq(), 3);
    let gap = next.record(&sample::record(&run, 5));
    assert!(matches!(gap, Err(AuditError::Conflict { .. })), "{gap:?}");
    next.record(&sample::resumed(&run, 6, 2)).unwrap();
    next.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    assert_eq!(bench.seqs(&run), [1, 2, 3, 6]);
}

/// A5
#[tokio::test]
async fn other_content_under_a_number_that_is_kept_is_a_conflict() {
    let bench = Bench::new();
    let run = id("a");
    let first = bench.start(&sample::start(&run, 1)).await;
    first.record(&sample::record(&run, 1)).unwrap();
    first.record(&sample::record(&run, 2)).unwrap();
    first.flush().await.unwrap();
    let second = bench.start(&sample::start(&run, 1)).await;
    let mut other = sample::record(&run, 2);
    other.fact = Fact::Admitted(executus_core::record::Gate::Record);
    second.record(&other).unwrap();
    let conflict = second.flush().await.unwrap_err();
    assert!(matches!(&conflict, AuditError::Conflict { message } if message.contains("record 2")));
    // What comes after would leave a gap.
    assert!(second.record(&sample::record(&run, 3)).is_err());
    assert!(second.close(&sample::outcome(&run, RunStatus::Error)).await.is_err());
    assert_eq!(bench.audit.journal(&run).await.unwrap(), sample::records(&run, 1..=2));
}

/// A5
#[tokio::test]
async fn a_run_id_that_is_taken_is_refused_at_the_start() {
    let bench = Bench::new();
    let run = id("nightly");
    bench.start(&sample::start(&run, 1)).await;
    let mut other = sample::start(&run, 1);
    other.spec = Arc::new(sample::spec_with(&run, json!({"question": "another"})));
    let refused = bench.audit.start(&other).await.err().unwrap();
    assert!(refused.to_string().contains("`nightly` is taken"), "{refused}");
}

/// A6
#[tokio::test(flavor = "multi_thread")]
async fn runs_recorded_at_once_keep_their_own_trails() {
    let bench = Bench::new();
    let mut tasks = JoinSet::new();
    for n in 0..50 {
        let audit = bench.audit.clone();
        tasks.spawn(async move {
            let run = id(&format!("run {n}"));
            let recorder = audit.start(&sample::start(&run, 1)).await.unwrap().unwrap();
            for record in sample::records(&run, 1..=40) {
                recorder.record(&record).unwrap();
                tokio::task::yield_now().await;
            }
            recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
        });
    }
    tasks.join_all().await;
    for n in 0..50 {
        let run = id(&format!("run {n}"));
        assert_eq!(bench.audit.journal(&run).await.unwrap(), sample::records(&run, 1..=40));
    }
}

/// A7
#[tokio::test]
async fn a_canary_is_in_no_record_and_no_summary() {
    const CANARY: &str = "canary-77aa01";
    let bench = Bench::new();
    let run = RunId::random();
    let mut start = sample::start(&run, 1);
    let inputs = json!({"api_key": CANARY, "note": format!("password={CANARY}"), "kept": 1});
    let spec = Arc::new(sample::spec_with(&run, inputs));
    start.spec = Arc::clone(&spec);
    let recorder = bench.start(&start).await;
    let opened = sample::at(&run, 1, executus_core::Key::step(0), Fact::Opened(spec));
    recorder.record(&opened).unwrap();
    let mut outcome = sample::outcome(&run, RunStatus::Error);
    outcome.output = Some(format!("Bearer {CANARY}"));
    outcome.error.as_mut().unwrap().message = format!("at https://me:{CANARY}@host/");
    recorder.close(&outcome).await.unwrap();
    let summary = format!("{:?}", bench.audit.run(&run).await.unwrap());
    let records = format!("{:?}", bench.audit.records(&run).await.unwrap());
    for text in [summary, records] {
        assert!(!text.contains(CANARY), "{text}");
        assert!(text.contains("kept"), "{text}");
    }
}
