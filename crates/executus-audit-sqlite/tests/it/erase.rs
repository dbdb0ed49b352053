//! Erasing what a caller's runs say.

use std::fs;
use std::sync::Arc;

use executus_audit_sqlite::{Damage, Note, NoteFilter, QueryError, RunFilter, verify};
use executus_core::RunStatus;
use executus_core::port::{AuditError, RunStart};
use executus_sqlite::rusqlite::Connection;
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, after, id};

/// Something that a person said.
const CANARY: &str = "alice-lives-in-3-elm-street";

fn asked_by(caller: &str, run: &str) -> RunStart {
    let run = id(run);
    let mut spec = sample::spec_with(&run, json!({"question": CANARY}));
    spec.caller_id = caller.into();
    spec.name = format!("for {CANARY}").into();
    spec.channel_id = CANARY.into();
    RunStart { spec: Arc::new(spec), attempt: 1, at: sample::BEGIN }
}

async fn ran(bench: &Bench, caller: &str, run: &str, closes: bool) {
    let start = asked_by(caller, run);
    let recorder = bench.start(&start).await;
    let mut opened = sample::record(&id(run), 1);
    opened.fact = executus_core::Fact::Opened(Arc::clone(&start.spec));
    recorder.record(&opened).unwrap();
    for record in sample::records(&id(run), 2..=5) {
        recorder.record(&record).unwrap();
    }
    let mut outcome = sample::outcome(&id(run), RunStatus::Error);
    outcome.output = Some(CANARY.into());
    outcome.error.as_mut().unwrap().message = CANARY.into();
    match closes {
        true => recorder.close(&outcome).await.unwrap(),
        false => recorder.suspend(&outcome).await.unwrap(),
    }
    let note = Note {
        id: format!("{run}/1/0"),
        run_id: Some(id(run)),
        at: after(1),
        kind: "action.invoke".into(),
        body: json!({"said": CANARY}),
    };
    bench.audit.note(&note).await.unwrap();
}

#[tokio::test]
async fn what_was_erased_is_gone_and_the_chain_holds() {
    let bench = Bench::new();
    // More than one job takes.
    for n in 0..20 {
        ran(&bench, "alice", &format!("a{n}"), true).await;
    }
    ran(&bench, "bob", "b", true).await;
    let before = verify(bench.path(), None).unwrap();
    let erased = bench.audit.erase("alice", after(10)).await.unwrap();
    assert_eq!((erased.runs, erased.records, erased.notes, erased.open), (20, 100, 20, 0));
    assert!(erased.log_emptied);

    let found = verify(bench.path(), None).unwrap();
    assert!(found.holds(), "{found:?}");
    assert_eq!(found.erased, 40);
    // An entry for each run and note, and the note of the erasure.
    assert_eq!(found.entries, before.entries + 41);

    let of_alice = RunFilter { caller: Some("alice".into()), ..RunFilter::default() };
    assert!(bench.audit.runs(of_alice).await.unwrap().is_empty());
    let run = bench.audit.run(&id("a0")).await.unwrap();
    assert_eq!((run.status, run.closed), (Some(RunStatus::Error), true));
    assert_eq!((run.output, run.error, run.caller_id.as_str()), (None, None, "erased"));
    assert_eq!(*run.spec.inputs, json!({"erased": true}));
    let records = bench.audit.records(&id("a0")).await.unwrap();
    assert_eq!(records.len(), 5);
    assert!(records.iter().all(|record| record.body == json!({"erased": true})));
    let purged = bench.audit.journal(&id("a0")).await.unwrap_err();
    assert!(matches!(purged, QueryError::Purged { .. }), "{purged:?}");
    assert_eq!(bench.audit.noted("a0/1/0").await.unwrap().unwrap().body, json!({"erased": true}));
    // Of others nothing was erased.
    assert_eq!(bench.audit.run(&id("b")).await.unwrap().output.as_deref(), Some(CANARY));

    let notes = bench.audit.notes(NoteFilter::default()).await.unwrap();
    let own = notes.iter().find(|note| note.kind == "audit.erased").unwrap();
    assert_eq!(own.body, json!({"runs": 20, "records": 100, "notes": 20}));
}

#[tokio::test]
async fn no_byte_of_it_is_left_in_the_files() {
    let bench = Bench::new();
    for n in 0..5 {
        ran(&bench, "alice", &format!("a{n}"), true).await;
    }
    let files = || -> Vec<u8> {
        ["audit.db", "audit.db-wal"]
            .iter()
            .flat_map(|name| fs::read(bench.path().with_file_name(name)).unwrap_or_default())
            .collect()
    };
    let holds = |bytes: &[u8], text: &str| {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(holds(&files(), CANARY) && holds(&files(), "alice"));
    assert!(bench.audit.erase("alice", after(10)).await.unwrap().log_emptied);
    bench.audit.compact().await.unwrap();
    assert!(verify(bench.path(), None).unwrap().holds());
    let files = files();
    assert!(!holds(&files, CANARY));
    assert!(!holds(&files, "alice"));
}

/// Erased without an entry in the chain, or something written in its place: an edit.
#[tokio::test]
async fn who_erases_by_hand_is_found() {
    for sql in [
        // The digest is right; nobody recorded that it was erased.
        "UPDATE records SET body = '{\"erased\":true}', args = NULL, fact = zeroblob(32),
           state = zeroblob(32), chain = (SELECT chain FROM records WHERE run = 1 AND seq = 2)
         WHERE run = 2 AND seq = 2",
        "UPDATE records SET body = '{}' WHERE run = 1 AND seq = 2",
        "UPDATE records SET fact = randomblob(32) WHERE run = 1 AND seq = 2",
        "UPDATE records SET chain = randomblob(32) WHERE run = 1 AND seq = 2",
        "UPDATE runs SET spec = '{}' WHERE id = 1",
        "UPDATE runs SET caller_id = 'carol' WHERE id = 1",
        "UPDATE runs SET output = 'x' WHERE id = 1",
        "UPDATE notes SET body = '{}' WHERE run_id = 'a'",
    ] {
        let bench = Bench::new();
        ran(&bench, "alice", "a", true).await;
        ran(&bench, "bob", "b", true).await;
        bench.audit.erase("alice", after(10)).await.unwrap();
        let connection = bench.connection();
        connection.execute("INSERT INTO leaving VALUES ('erase')", []).unwrap();
        if sql.contains("output") {
            connection.execute_batch("DROP TRIGGER runs_are_closed_once").unwrap();
        }
        assert_eq!(connection.execute(sql, []), Ok(1), "{sql}");
        connection.execute("DELETE FROM leaving", []).unwrap();
        let flaw = verify(bench.path(), None).unwrap().flaw.unwrap();
        assert_eq!(flaw.damage, Damage::Edited, "{sql}");
    }
}

/// The digests that are left have no salt to guess with.
#[tokio::test]
async fn nothing_is_left_to_guess_with() {
    let bench = Bench::new();
    ran(&bench, "alice", "a", true).await;
    bench.audit.erase("alice", after(10)).await.unwrap();
    let connection = bench.connection();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM runs WHERE salt IS NOT NULL"), 0);
    assert_eq!(count("SELECT count(*) FROM notes WHERE run_id = 'a' AND salt IS NOT NULL"), 0);
    let left = "SELECT count(*) FROM records WHERE args IS NOT NULL OR fact <> zeroblob(32)
                OR state <> zeroblob(32)";
    assert_eq!(count(left), 0);
    assert_eq!(count("SELECT count(*) FROM journal"), 0);
}

#[tokio::test]
async fn a_run_that_is_not_closed_is_left_and_told() {
    let bench = Bench::new();
    ran(&bench, "alice", "a", true).await;
    ran(&bench, "alice", "open", false).await;
    let erased = bench.audit.erase("alice", after(10)).await.unwrap();
    assert_eq!((erased.runs, erased.open), (1, 1));
    let mut start = asked_by("alice", "open");
    start.attempt = 2;
    let recorder = bench.start(&start).await;
    recorder.record(&sample::resumed(&id("open"), 6, 2)).unwrap();
    recorder.close(&sample::outcome(&id("open"), RunStatus::Ok)).await.unwrap();
    let erased = bench.audit.erase("alice", after(20)).await.unwrap();
    assert_eq!((erased.runs, erased.records, erased.open), (1, 6, 0));
    assert!(verify(bench.path(), None).unwrap().holds());
}

#[tokio::test]
async fn a_run_that_was_erased_stays_closed_and_takes_nothing_more() {
    let bench = Bench::new();
    let start = asked_by("alice", "a");
    let late = bench.start(&start).await;
    late.record(&sample::record(&id("a"), 1)).unwrap();
    late.flush().await.unwrap();
    // Closed by another process.
    let other =
        executus_audit_sqlite::SqliteAudit::open(executus_audit_sqlite::Config::new(bench.path()))
            .unwrap();
    let recorder = executus_core::port::Audit::start(&other, &start).await.unwrap().unwrap();
    recorder.close(&sample::outcome(&id("a"), RunStatus::Ok)).await.unwrap();
    other.erase("alice", after(10)).await.unwrap();

    late.record(&sample::record(&id("a"), 2)).unwrap();
    let refused = late.flush().await.unwrap_err();
    assert!(matches!(&refused, AuditError::Conflict { .. }), "{refused:?}");
    let again = executus_core::port::Audit::start(&other, &start).await.err();
    assert!(matches!(again, Some(AuditError::Closed { .. })), "{again:?}");
    assert!(verify(bench.path(), None).unwrap().holds());
    let refused = other.erase("erased", after(11)).await.unwrap_err();
    assert!(matches!(refused, AuditError::Conflict { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_erasure_shows_nothing_to_whoever_looks_at_the_schema() {
    let bench = Bench::new();
    ran(&bench, "alice", "a", true).await;
    let connection = Connection::open(bench.path()).unwrap();
    for sql in [
        "UPDATE records SET body = '{}'",
        "UPDATE notes SET body = '{}'",
        "UPDATE runs SET caller_id = 'erased'",
        "DELETE FROM records",
        "DELETE FROM runs",
    ] {
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
}
