//! Files that earlier versions wrote: they open, verify, and go on.
//!
//! `migration/v1.sql` and `v2.sql` are the schemas as they were released. They are never changed.

use std::path::{Path, PathBuf};

use executus_audit_sqlite::{
    AuditReader, Config, Damage, Note, OpenError, QueryError, Search, SqliteAudit, Verification,
    verify,
};
use executus_core::port::Audit;
use executus_core::{RunId, RunStatus};
use executus_sqlite::rusqlite::{Connection, params};
use executus_testkit::sample;
use serde_json::json;
use tempfile::TempDir;

use crate::bench::{after, id};

const V1: &str = include_str!("migration/v1.sql");
const V2: &str = include_str!("migration/v2.sql");

/// A file with two runs, the second of them not closed, as that version wrote it.
fn fixture(version: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(V1).unwrap();
    if version == 2 {
        connection.execute_batch(V2).unwrap();
        connection
            .execute("INSERT INTO notes VALUES ('old/1/0', 'old', 5, 'action.invoke', '{}')", [])
            .unwrap();
    }
    connection.pragma_update(None, "application_id", 0x6578_4175).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    write(&connection, &id("old"), true);
    write(&connection, &id("parked"), false);
    (folder, path)
}

fn write(connection: &Connection, run: &RunId, closed: bool) {
    let spec = sample::spec(run);
    let outcome = sample::outcome(run, RunStatus::Ok);
    connection
        .execute(
            "INSERT INTO runs (run_id, format, subject_id, name, caller_id, channel_id, spec,
               attempt, started_at, ended_at, status, output, stats, artifacts, closed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8, ?9, ?10, ?11, '[]', ?12)",
            params![
                run.as_str(),
                spec.format,
                spec.subject_id,
                spec.name,
                spec.caller_id,
                spec.channel_id,
                serde_json::to_string(&spec).unwrap(),
                spec.started_at.as_micros(),
                if closed { "ok" } else { "interrupted" },
                outcome.output,
                serde_json::to_string(&outcome.stats).unwrap(),
                closed,
            ],
        )
        .unwrap();
    let number = connection.last_insert_rowid();
    for record in sample::records(run, 1..=4) {
        let fact = serde_json::to_string(&record.fact).unwrap();
        let mut hasher = executus_core::digest::Hasher::new();
        hasher.text(&fact);
        connection
            .execute(
                "INSERT INTO records (run, seq, at, step, kind, body, fact, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, '{\"text\":\"look\"}', ?6, ?7)",
                params![
                    number,
                    record.seq.cast_signed(),
                    record.at.as_micros(),
                    record.key.step,
                    record.fact.kind(),
                    hasher.finish().as_bytes(),
                    record.state.as_bytes(),
                ],
            )
            .unwrap();
        let journal = "INSERT INTO journal VALUES (?1, ?2, ?3)";
        connection.execute(journal, params![number, record.seq.cast_signed(), fact]).unwrap();
    }
}

fn open(path: &Path) -> SqliteAudit {
    SqliteAudit::open(Config::new(path)).unwrap()
}

fn verified(path: &Path) -> Verification {
    let found = verify(path, None).unwrap();
    assert!(found.holds(), "{found:?}");
    found
}

#[tokio::test]
async fn a_file_of_each_version_opens_and_verifies() {
    for version in [1, 2] {
        let (_folder, path) = fixture(version);
        let older = AuditReader::open(&path).unwrap_err();
        assert!(
            matches!(older, OpenError::Older { found, known: 4, .. } if found == version),
            "{older:?}"
        );
        let refused = verify(&path, None).unwrap_err();
        assert!(matches!(refused, QueryError::Open(OpenError::Older { .. })), "{refused:?}");

        let audit = open(&path);
        let found = verified(&path);
        let notes = u64::from(version == 2);
        assert_eq!((found.entries, found.before_chain), (0, 2 + 8 + notes));
        for run in ["old", "parked"] {
            assert_eq!(audit.records(&id(run)).await.unwrap().len(), 4);
            let journal = audit.journal(&id(run)).await.unwrap();
            assert_eq!(journal, sample::records(&id(run), 1..=4));
        }
        assert_eq!(audit.run(&id("old")).await.unwrap().output.as_deref(), Some("42"));
        let search = Search { text: "look".into(), ..Search::default() };
        assert_eq!(audit.search(search).await.unwrap().hits.len(), 2 * 4);
    }
}

#[tokio::test]
async fn it_goes_on_with_a_chain() {
    let (_folder, path) = fixture(2);
    let audit = open(&path);
    // A run from before is resumed, and its new records are chained.
    let recorder = audit.start(&sample::start(&id("parked"), 2)).await.unwrap().unwrap();
    assert_eq!(recorder.last_seq(), 4);
    recorder.record(&sample::resumed(&id("parked"), 5, 2)).unwrap();
    recorder.flush().await.unwrap();
    verified(&path);
    recorder.close(&sample::outcome(&id("parked"), RunStatus::Ok)).await.unwrap();
    let new = audit.start(&sample::start(&id("new"), 1)).await.unwrap().unwrap();
    new.record(&sample::record(&id("new"), 1)).unwrap();
    new.close(&sample::outcome(&id("new"), RunStatus::Ok)).await.unwrap();
    let note = Note {
        id: "new/1/0".into(),
        run_id: Some(id("new")),
        at: after(1),
        kind: "k".into(),
        body: json!({}),
    };
    audit.note(&note).await.unwrap();
    let found = verified(&path);
    assert_eq!((found.entries, found.before_chain), (3 + 3 + 1, 11));

    // What is from before can be erased and dropped too.
    let erased = audit.erase("someone", after(10)).await.unwrap();
    assert_eq!((erased.runs, erased.records, erased.notes), (3, 10, 2));
    verified(&path);
    let dropped = audit.drop_closed(after(700), after(800)).await.unwrap();
    assert_eq!((dropped.runs, dropped.records), (2, 9));
    let found = verified(&path);
    assert_eq!(found.before_chain, 0);
}

/// Rows from before are not digested, but they are counted.
#[tokio::test]
async fn what_is_put_among_the_rows_from_before_is_found() {
    let record = "(run, seq, at, step, kind, body, fact, state)
        SELECT run, 9, at, step, kind, body, fact, state FROM records WHERE run = 1 AND seq = 1";
    for (sql, damage) in [
        (format!("INSERT INTO records {record}"), Damage::Inserted),
        (
            format!(
                "DROP TRIGGER runs_are_asked_for_once; UPDATE runs SET unchained = 9 WHERE id = 1;
                 INSERT INTO records {record}"
            ),
            Damage::Inserted,
        ),
        (
            "DROP TRIGGER records_are_not_deleted; DELETE FROM records WHERE run = 1 AND seq = 4"
                .into(),
            Damage::Deleted,
        ),
        ("DROP TRIGGER notes_are_not_deleted; DELETE FROM notes".into(), Damage::Deleted),
        ("INSERT INTO journal VALUES (1, 9, '{}')".into(), Damage::Inserted),
    ] {
        let (_folder, path) = fixture(2);
        open(&path).close().await;
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let flaw = verify(&path, None).unwrap().flaw.unwrap();
        assert_eq!(flaw.damage, damage, "{sql}");
    }
}
