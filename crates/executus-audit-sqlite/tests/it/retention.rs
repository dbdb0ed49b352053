//! How long what is kept.

use std::time::Duration;

use executus_audit_sqlite::QueryError;
use executus_core::RunStatus;
use executus_testkit::sample;

use crate::bench::{Bench, after, id, start_at};

#[tokio::test]
async fn a_purge_takes_old_journals_and_leaves_records_and_open_runs() {
    let bench = Bench::new();
    for n in 0..40 {
        let run = id(&format!("old {n}"));
        let recorder = bench.start(&start_at(&run, 0)).await;
        recorder.record(&sample::record(&run, 1)).unwrap();
        recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    }
    let open = id("open");
    let recorder = bench.start(&start_at(&open, 0)).await;
    recorder.record(&sample::record(&open, 1)).unwrap();
    recorder.suspend(&sample::outcome(&open, RunStatus::Interrupted)).await.unwrap();

    assert_eq!(bench.audit.purge_journal(after(0)).await.unwrap(), 0);
    assert_eq!(bench.audit.purge_journal(after(100)).await.unwrap(), 40);
    assert_eq!(bench.audit.purge_journal(after(100)).await.unwrap(), 0);
    let run = id("old 7");
    let purged = bench.audit.journal(&run).await.unwrap_err();
    assert!(matches!(purged, QueryError::Purged { .. }), "{purged:?}");
    assert_eq!(bench.audit.records(&run).await.unwrap().len(), 1);
    assert!(!bench.audit.run(&run).await.unwrap().journaled);
    assert_eq!(bench.audit.journal(&open).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_start_purges_what_is_over_its_retention() {
    let bench = Bench::with(|config| config.journal_retention = Some(Duration::from_secs(60)));
    let run = id("old");
    let recorder = bench.start(&start_at(&run, 0)).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    let later = bench.start(&start_at(&id("later"), 30)).await;
    later.record(&sample::record(&id("later"), 1)).unwrap();
    later.flush().await.unwrap();
    assert!(bench.audit.run(&run).await.unwrap().journaled);
    let much_later = bench.start(&start_at(&id("much later"), 7200)).await;
    much_later.record(&sample::record(&id("much later"), 1)).unwrap();
    much_later.flush().await.unwrap();
    assert!(!bench.audit.run(&run).await.unwrap().journaled);
}
