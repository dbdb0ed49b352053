//! Retention: old runs are dropped, the chain over the rest holds.

use std::sync::Arc;
use std::time::Duration;

use executus_audit_sqlite::{
    Anchor, AnchorKey, Damage, FileAnchor, Note, NoteFilter, QueryError, SqliteAudit, Verification,
    verify,
};
use executus_core::RunStatus;
use executus_core::port::Audit;
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, after, id, start_at};

/// A run that began and ended so many seconds after the samples begin.
async fn ran(audit: &SqliteAudit, run: &str, seconds: i64, closes: bool) {
    let run = id(run);
    let recorder = audit.start(&start_at(&run, seconds)).await.unwrap().unwrap();
    for seq in 1..=3 {
        let mut record = sample::record(&run, seq);
        record.at = after(seconds);
        recorder.record(&record).unwrap();
    }
    let status = if closes { RunStatus::Ok } else { RunStatus::Interrupted };
    match closes {
        true => recorder.close(&sample::outcome(&run, status)).await.unwrap(),
        false => recorder.suspend(&sample::outcome(&run, status)).await.unwrap(),
    }
}

async fn note(audit: &SqliteAudit, name: &str, run: Option<&str>, seconds: i64) {
    let note = Note {
        id: name.into(),
        run_id: run.map(id),
        at: after(seconds),
        kind: "k".into(),
        body: json!({}),
    };
    audit.note(&note).await.unwrap();
}

fn verified(bench: &Bench) -> Verification {
    let found = verify(bench.path(), None).unwrap();
    assert!(found.holds(), "{found:?}");
    found
}

#[tokio::test]
async fn old_runs_go_with_all_that_is_theirs_and_the_rest_verifies() {
    let bench = Bench::new();
    let audit = &bench.audit;
    for n in 0..40 {
        ran(audit, &format!("old {n}"), n, true).await;
        note(audit, &format!("old {n}/1/0"), Some(&format!("old {n}")), n).await;
    }
    note(audit, "loose", None, 5).await;
    for n in 0..3 {
        ran(audit, &format!("new {n}"), 1000 + n, true).await;
    }
    let before = verified(&bench);
    let dropped = audit.drop_closed(after(500), after(2000)).await.unwrap();
    assert_eq!((dropped.runs, dropped.records, dropped.notes), (40, 120, 41));
    let found = verified(&bench);
    // All links of the old runs went: their head is left.
    assert!(found.dropped >= before.entries - 3 * 5, "{found:?}");
    let links: i64 = bench
        .connection()
        .query_row("SELECT coalesce(sum(count), 0) FROM chain WHERE first <= 200", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(links < 15, "{links}");
    let gone = audit.run(&id("old 7")).await.unwrap_err();
    assert!(matches!(gone, QueryError::NotFound { .. }), "{gone:?}");
    assert_eq!(audit.records(&id("new 1")).await.unwrap().len(), 3);
    let notes = audit.notes(NoteFilter::default()).await.unwrap();
    let kinds: Vec<_> = notes.iter().map(|note| note.kind.as_str()).collect();
    assert_eq!(kinds, ["audit.dropped"]);
    assert_eq!(notes[0].body["runs"], 40);

    // It goes on, and a second time.
    ran(audit, "newer", 3000, true).await;
    let again = audit.drop_closed(after(2500), after(4000)).await.unwrap();
    assert_eq!((again.runs, again.notes), (3, 1));
    let last = verified(&bench);
    assert!(last.dropped > found.dropped && last.entries > found.entries);
    ran(audit, "newest", 5000, true).await;
    verified(&bench);
}

#[tokio::test]
async fn what_is_not_closed_stays_and_holds_up_no_other() {
    let bench = Bench::new();
    let audit = &bench.audit;
    ran(audit, "parked", 0, false).await;
    ran(audit, "old", 1, true).await;
    ran(audit, "new", 1000, true).await;
    let dropped = audit.drop_closed(after(500), after(2000)).await.unwrap();
    assert_eq!((dropped.runs, dropped.records), (1, 3));
    verified(&bench);
    let mut start = start_at(&id("parked"), 0);
    start.attempt = 2;
    let recorder = bench.start(&start).await;
    recorder.record(&sample::resumed(&id("parked"), 4, 2)).unwrap();
    recorder.close(&sample::outcome(&id("parked"), RunStatus::Ok)).await.unwrap();
    let found = verified(&bench);
    assert_eq!(found.dropped, 0);
    audit.drop_closed(after(500), after(3000)).await.unwrap();
    // The entries of both; behind them the newest run stands.
    assert_eq!(verified(&bench).dropped, 10);
}

#[tokio::test]
async fn numbers_of_runs_are_not_given_twice() {
    let bench = Bench::new();
    let audit = &bench.audit;
    ran(audit, "a", 0, true).await;
    ran(audit, "b", 1, true).await;
    // The newest stays.
    assert_eq!(audit.drop_closed(after(500), after(600)).await.unwrap().runs, 1);
    ran(audit, "a", 700, true).await;
    verified(&bench);
    assert_eq!(audit.run(&id("a")).await.unwrap().started_at, after(700));
}

#[tokio::test]
async fn who_drops_by_hand_is_found() {
    for sql in [
        "DELETE FROM records WHERE run = 2",
        "DELETE FROM journal WHERE run = 2; DELETE FROM records WHERE run = 2;
         DELETE FROM runs WHERE id = 2",
        "DELETE FROM chain WHERE first < (SELECT max(first) FROM chain)",
        "DELETE FROM seals",
        "DROP TRIGGER seals_are_not_changed; UPDATE seals SET runs = runs + 1",
        "DROP TRIGGER seals_are_not_changed; UPDATE seals SET at = at + 1",
    ] {
        let bench = Bench::new();
        for n in 0..3 {
            ran(&bench.audit, &format!("{n}"), n * 100, true).await;
        }
        bench.audit.drop_closed(after(50), after(2000)).await.unwrap();
        verified(&bench);
        let connection = bench.connection();
        connection.execute("INSERT INTO leaving VALUES ('drop')", []).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.execute("DELETE FROM leaving", []).unwrap();
        let flaw = verify(bench.path(), None).unwrap().flaw.unwrap();
        let expected = match sql.contains("records") {
            true => Damage::Deleted,
            false => Damage::Rewritten,
        };
        assert_eq!(flaw.damage, expected, "{sql}");
    }
}

#[tokio::test]
async fn the_anchor_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let key = AnchorKey::new(&[3; 32]).unwrap();
    let anchor = || FileAnchor::new(folder.path().join("audit.anchor"), key.clone());
    let shared: Arc<dyn Anchor> = Arc::new(anchor());
    let config = executus_audit_sqlite::Config::new(folder.path().join("audit.db"));
    let open = || SqliteAudit::open_anchored(config.clone(), Arc::clone(&shared), after(0));
    let audit = open().await.unwrap();
    for n in 0..3 {
        ran(&audit, &format!("{n}"), n * 100, true).await;
    }
    audit.drop_closed(after(150), after(2000)).await.unwrap();
    audit.erase("someone", after(2001)).await.unwrap();
    audit.close().await;
    let found = verify(&config.path, Some(&anchor())).unwrap();
    assert!(found.holds(), "{found:?}");
    open().await.unwrap().close().await;
}

#[tokio::test]
async fn what_was_erased_is_dropped_in_its_time() {
    let bench = Bench::new();
    ran(&bench.audit, "a", 0, true).await;
    note(&bench.audit, "a/1/0", Some("a"), 0).await;
    bench.audit.erase("someone", after(10)).await.unwrap();
    ran(&bench.audit, "b", 1000, true).await;
    bench.audit.drop_closed(after(500), after(2000)).await.unwrap();
    let found = verified(&bench);
    assert!(found.dropped > 5);
}

#[tokio::test]
async fn a_start_drops_what_is_over_its_retention() {
    let bench = Bench::with(|config| config.retention = Some(Duration::from_secs(60)));
    for n in 0..20 {
        ran(&bench.audit, &format!("old {n}"), 0, true).await;
    }
    // As much as one job takes, then the rest.
    for n in 0..3 {
        ran(&bench.audit, &format!("later {n}"), 7200, true).await;
    }
    let runs = bench.audit.runs(executus_audit_sqlite::RunFilter::default()).await.unwrap();
    assert_eq!(runs.len(), 3);
    verified(&bench);
}
