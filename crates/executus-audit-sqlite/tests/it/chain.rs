//! The chain under load, under faults, and from several processes.

use executus_audit_sqlite::{Config, SqliteAudit, verify};
use executus_core::RunStatus;
use executus_core::port::Audit;
use executus_testkit::sample;
use tokio::task::JoinSet;

use crate::bench::{Bench, id};

/// Two stores on one file are as two processes: each goes on from the other's head.
#[tokio::test(flavor = "multi_thread")]
async fn several_writers_make_one_chain() {
    let bench = Bench::new();
    let other = SqliteAudit::open(Config::new(bench.path())).unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let audit = if n % 2 == 0 { bench.audit.clone() } else { other.clone() };
        tasks.spawn(async move {
            let run = id(&format!("run {n}"));
            let recorder = audit.start(&sample::start(&run, 1)).await.unwrap().unwrap();
            for record in sample::records(&run, 1..=30) {
                recorder.record(&record).unwrap();
                tokio::task::yield_now().await;
            }
            recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
        });
    }
    tasks.join_all().await;
    let found = verify(bench.path(), None).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(found.entries, 20 * 32);
}

#[tokio::test]
async fn every_life_of_a_run_is_in_it() {
    let bench = Bench::new();
    let run = id("a");
    for attempt in 1..=4_u32 {
        let recorder = bench.start(&sample::start(&run, attempt)).await;
        let seq = u64::from(attempt);
        let record = match attempt {
            1 => sample::record(&run, 1),
            _ => sample::resumed(&run, seq, attempt),
        };
        recorder.record(&record).unwrap();
        recorder.flush().await.unwrap();
        assert!(verify(bench.path(), None).unwrap().holds());
        match attempt {
            4 => recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap(),
            _ => {
                let outcome = sample::outcome(&run, RunStatus::Interrupted);
                recorder.suspend(&outcome).await.unwrap();
            }
        }
        assert!(verify(bench.path(), None).unwrap().holds());
    }
    assert_eq!(verify(bench.path(), None).unwrap().entries, 4 + 4 + 4);
}

/// What was kept already is no second entry.
#[tokio::test]
async fn what_is_given_twice_is_in_it_once() {
    let bench = Bench::new();
    let run = id("a");
    let first = bench.start(&sample::start(&run, 1)).await;
    let again = bench.start(&sample::start(&run, 1)).await;
    for recorder in [&first, &again] {
        for record in sample::records(&run, 1..=3) {
            recorder.record(&record).unwrap();
        }
        recorder.flush().await.unwrap();
    }
    let mut other = sample::record(&run, 2);
    other.fact = executus_core::Fact::Admitted(executus_core::record::Gate::Record);
    again.record(&other).unwrap();
    assert!(again.flush().await.is_err());
    let found = verify(bench.path(), None).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(found.entries, 2 + 3);
}

/// A job that is at fault leaves no entry; the others of its transaction do.
#[tokio::test]
async fn a_row_that_the_file_refuses_is_not_in_it() {
    let bench = Bench::new();
    let recorder = bench.start(&sample::start(&id("a"), 1)).await;
    bench
        .connection()
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.seq = 3
             BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let other = bench.start(&sample::start(&id("b"), 1)).await;
    for seq in 1..=3 {
        recorder.record(&sample::record(&id("a"), seq)).unwrap();
        if seq < 3 {
            other.record(&sample::record(&id("b"), seq)).unwrap();
        }
    }
    assert!(recorder.flush().await.is_err());
    other.flush().await.unwrap();
    let found = verify(bench.path(), None).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(found.entries, 2 + 2 + 2);
}

/// Verified while it is written: what is looked at is one state.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_verifies() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    let path = bench.path();
    let verifying = tokio::task::spawn_blocking(move || {
        (0..20).map(|_| verify(&path, None).unwrap()).collect::<Vec<_>>()
    });
    for record in sample::records(&run, 1..=600) {
        recorder.record(&record).unwrap();
        if record.seq % 20 == 0 {
            recorder.flush().await.unwrap();
        }
    }
    for found in verifying.await.unwrap() {
        assert!(found.holds(), "{found:?}");
    }
}
