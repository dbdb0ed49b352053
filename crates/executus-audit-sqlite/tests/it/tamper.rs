//! The corpus of tampering: each kind is found, and named.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use executus_audit_sqlite::{
    Anchor, AnchorKey, AnchoredError, Config, Damage, FileAnchor, Flaw, Note, Place, SqliteAudit,
    Tail, Verification, verify,
};
use executus_core::RunStatus;
use executus_core::port::Audit;
use executus_sqlite::rusqlite::Connection;
use executus_testkit::sample;
use serde_json::json;
use tempfile::TempDir;

use crate::bench::{after, id};

/// Records of each of the two runs.
const RECORDS: u64 = 6;

/// A file with two closed runs, one under way and a note, closed.
struct Corpus {
    folder: TempDir,
}

impl Corpus {
    async fn new() -> Self {
        let corpus = Self { folder: tempfile::tempdir().unwrap() };
        let audit = corpus.open().await;
        fill(&audit, "a").await;
        fill(&audit, "b").await;
        let open = audit.start(&sample::start(&id("open"), 1)).await.unwrap().unwrap();
        open.record(&sample::record(&id("open"), 1)).unwrap();
        open.flush().await.unwrap();
        let note = Note {
            id: "a/1/0".into(),
            run_id: Some(id("a")),
            at: after(5),
            kind: "action.invoke".into(),
            body: json!({"cost": 7}),
        };
        audit.note(&note).await.unwrap();
        audit.close().await;
        drop((open, audit));
        corpus.settle();
        corpus
    }

    /// Puts the write-ahead log back into the file: the file alone is the audit.
    fn settle(&self) {
        let connection = Connection::open(self.path()).unwrap();
        let log = "PRAGMA wal_checkpoint(TRUNCATE)";
        assert_eq!(connection.query_row(log, [], |row| row.get::<_, i64>(0)), Ok(0));
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("audit.db")
    }

    fn anchor(&self, key: u8) -> FileAnchor {
        let key = AnchorKey::new(&[key; 32]).unwrap();
        FileAnchor::new(self.folder.path().join("audit.anchor"), key)
    }

    async fn open(&self) -> SqliteAudit {
        self.try_open().await.unwrap()
    }

    async fn try_open(&self) -> Result<SqliteAudit, AnchoredError> {
        let anchor: Arc<dyn Anchor> = Arc::new(self.anchor(1));
        SqliteAudit::open_anchored(Config::new(self.path()), anchor, after(0)).await
    }

    fn verify(&self) -> Verification {
        verify(self.path(), Some(&self.anchor(1))).unwrap()
    }

    fn flaw(&self) -> Flaw {
        self.verify().flaw.unwrap()
    }

    /// Runs some SQL as somebody who knows the schema: without the triggers.
    fn tamper(&self, sql: &str) {
        let connection = Connection::open(self.path()).unwrap();
        unguard(&connection);
        connection.execute_batch(sql).unwrap();
    }
}

fn unguard(connection: &Connection) {
    let sql = "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_schema
               WHERE type = 'trigger'";
    let drops: Option<String> = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    connection.execute_batch(&drops.unwrap_or_default()).unwrap();
}

async fn fill(audit: &SqliteAudit, run: &str) {
    let run = id(run);
    let recorder = audit.start(&sample::start(&run, 1)).await.unwrap().unwrap();
    for record in sample::records(&run, 1..=RECORDS) {
        recorder.record(&record).unwrap();
    }
    recorder.flush().await.unwrap();
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
}

fn record(run: &str, seq: u64) -> Place {
    Place::Record { run: run.into(), seq }
}

/// The number of run `a` and of a record in SQL.
const A3: &str = "WHERE run = 1 AND seq = 3";

#[tokio::test]
async fn what_the_audit_wrote_holds() {
    let corpus = Corpus::new().await;
    let found = corpus.verify();
    assert!(found.holds(), "{found:?}");
    // Two starts, ends and their records; a start and a record; the note, and that of the anchor.
    assert_eq!(found.entries, 2 * (RECORDS + 2) + 2 + 2);
    assert_eq!(found.tail, Tail::Anchored { after: 0 });
    assert_eq!((found.before_chain, found.dropped, found.erased), (0, 0, 0));
    assert!(found.bytes > 0);
}

/// AR-10
#[tokio::test]
async fn an_edited_payload_is_found_where_it_is() {
    for change in [
        "body = '{\"kind\":\"other\"}'",
        "at = at + 1",
        "kind = 'acted'",
        "step = step + 1",
        "call = 0",
        "args = zeroblob(32)",
        "fact = zeroblob(32)",
        "state = zeroblob(32)",
        "state = x'00'",
        "chain = zeroblob(32)",
        "body = '{\"erased\":true}', chain = zeroblob(32)",
    ] {
        let corpus = Corpus::new().await;
        corpus.tamper(&format!("UPDATE records SET {change} {A3}"));
        let flaw = corpus.flaw();
        assert_eq!((&flaw.row, &flaw.damage), (&record("a", 3), &Damage::Edited), "{change}");
        // The note of the anchor, the start of the run, two records.
        assert_eq!(flaw.entry, Some(5), "{change}");
    }
}

/// AR-10
#[tokio::test]
async fn one_flipped_bit_is_found_which_sqlite_does_not_find() {
    let corpus = Corpus::new().await;
    let whole = fs::read(corpus.path()).unwrap();
    let text = br#""page":4"#;
    let places = whole.windows(text.len()).enumerate().filter(|(_, window)| window == text);
    let mut found = Vec::new();
    for (at, _) in places {
        let mut bytes = whole.clone();
        bytes[at + text.len() - 1] ^= 1;
        fs::write(corpus.path(), bytes).unwrap();
        let sqlite: String = Connection::open(corpus.path())
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(sqlite, "ok");
        // Some places are no longer in use.
        found.extend(corpus.verify().flaw.map(|flaw| (flaw.row, flaw.damage)));
    }
    for run in ["a", "b"] {
        let journal = Place::Journal { run: run.into(), seq: 4 };
        assert!(found.contains(&(record(run, 4), Damage::Edited)), "{found:?}");
        assert!(found.contains(&(journal, Damage::Edited)), "{found:?}");
    }
}

/// AR-10
#[tokio::test]
async fn an_edited_run_or_note_is_found() {
    let run = |run: &str| Place::Run { run: run.into() };
    let note = Place::Note { id: "a/1/0".into() };
    for (sql, row) in [
        ("UPDATE runs SET caller_id = 'another' WHERE id = 2", run("b")),
        ("UPDATE runs SET spec = '{}' WHERE id = 2", run("b")),
        ("UPDATE runs SET started_at = 0 WHERE id = 2", run("b")),
        ("UPDATE runs SET unchained = 9 WHERE id = 2", run("b")),
        ("UPDATE runs SET status = 'error' WHERE id = 2", run("b")),
        ("UPDATE runs SET output = '43' WHERE id = 2", run("b")),
        ("UPDATE runs SET closed = 0, status = NULL WHERE id = 2", run("b")),
        ("UPDATE runs SET ended_at = 0 WHERE id = 2", run("b")),
        ("UPDATE runs SET status = 'ok', closed = 1 WHERE id = 3", run("open")),
        ("UPDATE notes SET body = '{}' WHERE run_id = 'a'", note.clone()),
        ("UPDATE notes SET run_id = NULL WHERE run_id = 'a'", note.clone()),
        ("UPDATE notes SET salt = zeroblob(16) WHERE run_id = 'a'", note.clone()),
    ] {
        let corpus = Corpus::new().await;
        corpus.tamper(sql);
        let flaw = corpus.flaw();
        assert_eq!(flaw.row, row, "{sql}");
        assert_eq!(flaw.damage, Damage::Edited, "{sql}");
    }
}

/// AR-10
#[tokio::test]
async fn an_edited_journal_is_found() {
    let journal = |seq| Place::Journal { run: "a".into(), seq };
    for (sql, row, damage) in [
        ("UPDATE journal SET fact = '{}' WHERE run = 1 AND seq = 3", journal(3), Damage::Edited),
        ("DELETE FROM journal WHERE run = 1 AND seq = 3", journal(3), Damage::Deleted),
        ("UPDATE runs SET journaled = 0 WHERE id = 1", journal(1), Damage::Inserted),
        ("INSERT INTO journal VALUES (1, 9, '{}')", journal(9), Damage::Inserted),
        (
            "DELETE FROM journal WHERE run = 1; UPDATE runs SET journaled = 0 WHERE id = 1",
            journal(1),
            Damage::Deleted,
        ),
    ] {
        let corpus = Corpus::new().await;
        corpus.tamper(sql);
        let flaw = corpus.flaw();
        assert_eq!((flaw.row, flaw.damage), (row, damage), "{sql}");
    }
}

/// AR-10
#[tokio::test]
async fn an_inserted_row_is_found() {
    let another = "(run, seq, at, step, kind, body, fact, state)
        SELECT run, seq + 10, at, step, kind, body, fact, state FROM records";
    let run = "(run_id, format, subject_id, name, caller_id, channel_id, spec, attempt, started_at)
        SELECT 'x', format, subject_id, name, caller_id, channel_id, spec, attempt, started_at
        FROM runs WHERE id = 1";
    for (sql, row) in [
        (format!("INSERT INTO records {another} {A3}"), record("a", 13)),
        (format!("INSERT INTO records {another} WHERE run = 3 AND seq = 1"), record("open", 11)),
        (format!("INSERT INTO runs {run}"), Place::Run { run: "x".into() }),
        (
            "INSERT INTO notes (id, at, kind, body, salt)
             VALUES ('x', 0, 'k', '{}', zeroblob(16))"
                .into(),
            Place::Note { id: "x".into() },
        ),
        ("INSERT INTO notes (id, at, kind, body) VALUES ('x', 0, 'k', '{}')".into(), Place::File),
    ] {
        let corpus = Corpus::new().await;
        corpus.tamper(&sql);
        let flaw = corpus.flaw();
        assert_eq!((&flaw.row, &flaw.damage), (&row, &Damage::Inserted), "{sql}");
    }
}

/// AR-10
#[tokio::test]
async fn a_deleted_row_is_found_and_named() {
    let run = Place::Run { run: "#1".into() };
    for (sql, row) in [
        ("DELETE FROM records WHERE run = 1 AND seq = 3", record("a", 3)),
        ("DELETE FROM records WHERE run = 2 AND seq = 6", record("b", RECORDS)),
        ("DELETE FROM records WHERE run = 3", record("open", 1)),
        ("DELETE FROM notes WHERE run_id = 'a'", Place::Note { id: "a/1/0".into() }),
        ("DELETE FROM journal; DELETE FROM records; DELETE FROM runs", run),
    ] {
        let corpus = Corpus::new().await;
        corpus.tamper(sql);
        let found = corpus.verify();
        let flaw = found.flaw.unwrap();
        assert_eq!((flaw.row, flaw.damage), (row, Damage::Deleted), "{sql}");
        // The chain goes on to its end: nothing was cut off.
        assert_eq!(found.tail, Tail::Anchored { after: 0 }, "{sql}");
    }
}

/// AR-10
#[tokio::test]
async fn swapped_rows_are_found_and_named() {
    for columns in ["seq", "body"] {
        let corpus = Corpus::new().await;
        let sql = match columns {
            "seq" => {
                "UPDATE records SET seq = 99 WHERE run = 1 AND seq = 3;
                 UPDATE records SET seq = 3 WHERE run = 1 AND seq = 5;
                 UPDATE records SET seq = 5 WHERE run = 1 AND seq = 99"
            }
            _ => {
                "CREATE TABLE kept AS SELECT seq, body FROM records WHERE run = 1;
                 UPDATE records SET body = (SELECT body FROM kept WHERE seq = 5)
                   WHERE run = 1 AND seq = 3;
                 UPDATE records SET body = (SELECT body FROM kept WHERE seq = 3)
                   WHERE run = 1 AND seq = 5;
                 DROP TABLE kept"
            }
        };
        corpus.tamper(sql);
        let flaw = corpus.flaw();
        assert_eq!(flaw.row, record("a", 3), "{columns}");
        assert_eq!(flaw.damage, Damage::Swapped { with: 5 }, "{columns}");
    }
}

/// AR-10
#[tokio::test]
async fn a_changed_chain_is_found_where_it_begins_to_differ() {
    for sql in [
        "UPDATE chain SET entries = zeroblob(length(entries)) WHERE first > 4",
        "UPDATE chain SET head = zeroblob(32) WHERE first > 4",
        "UPDATE chain SET count = count + 1 WHERE first > 4",
        "DELETE FROM chain WHERE first > 4 AND first < 15",
        "UPDATE origin SET file = zeroblob(16)",
        "UPDATE origin SET records = 5",
        "INSERT INTO seals VALUES (3, zeroblob(32), 0, 0, 0, 0)",
    ] {
        let corpus = Corpus::new().await;
        corpus.tamper(sql);
        let flaw = corpus.flaw();
        assert_eq!((&flaw.row, &flaw.damage), (&Place::Chain, &Damage::Rewritten), "{sql}");
    }
}

/// AR-10
#[tokio::test]
async fn links_in_another_order_are_found() {
    let corpus = Corpus::new().await;
    let firsts: Vec<i64> = {
        let connection = Connection::open(corpus.path()).unwrap();
        let mut firsts = connection.prepare("SELECT first FROM chain ORDER BY first").unwrap();
        firsts.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (one, two) = (firsts[1], firsts[2]);
    corpus.tamper(&format!(
        "UPDATE chain SET first = -1 WHERE first = {one};
         UPDATE chain SET first = {one} WHERE first = {two};
         UPDATE chain SET first = {two} WHERE first = -1"
    ));
    let flaw = corpus.flaw();
    assert_eq!((flaw.entry, flaw.damage), (u64::try_from(one).ok(), Damage::Rewritten));
}

/// Cuts the last link off, with the rows that it names.
const CUT_TAIL: &str = "DELETE FROM notes WHERE run_id = 'a';
    DELETE FROM chain WHERE first = (SELECT max(first) FROM chain)";

/// AR-10
#[tokio::test]
async fn a_cut_tail_is_found_by_the_anchor_alone() {
    let corpus = Corpus::new().await;
    let whole = corpus.verify().entries;
    corpus.tamper(CUT_TAIL);
    let found = corpus.verify();
    assert_eq!(found.flaw, None);
    assert_eq!(found.tail, Tail::Cut { found: whole - 1, anchored: whole });
    assert!(!found.holds());
    let without = verify(corpus.path(), None).unwrap();
    assert_eq!((without.flaw, without.tail.clone()), (None, Tail::Unknown));
    assert!(without.tail.to_string().contains("cannot be told"));
}

/// AR-10
#[tokio::test]
async fn a_restored_copy_is_found_also_when_it_went_on() {
    let corpus = Corpus::new().await;
    let copy = fs::read(corpus.path()).unwrap();
    let audit = corpus.open().await;
    fill(&audit, "c").await;
    audit.close().await;
    drop(audit);
    corpus.settle();
    let newest = corpus.verify().entries;
    fs::write(corpus.path(), copy).unwrap();
    let found = corpus.verify();
    assert!(matches!(found.tail, Tail::Cut { anchored, .. } if anchored == newest), "{found:?}");

    // Somebody writes on without the anchor, past the place of its mark.
    let audit = SqliteAudit::open(Config::new(corpus.path())).unwrap();
    fill(&audit, "d").await;
    fill(&audit, "e").await;
    audit.close().await;
    let found = corpus.verify();
    assert_eq!((found.flaw, found.tail), (None, Tail::Forked { at: newest }));
}

/// AR-10
#[tokio::test]
async fn a_deleted_log_is_found() {
    let corpus = Corpus::new().await;
    let (copy, before) = (fs::read(corpus.path()).unwrap(), corpus.verify().entries);
    let audit = corpus.open().await;
    fill(&audit, "c").await;
    // What a kill leaves: the file as it was, and a log that holds the rest.
    let log = corpus.folder.path().join("audit.db-wal");
    let (main, kept) = (fs::read(corpus.path()).unwrap(), fs::read(&log).unwrap());
    assert!(main == copy && !kept.is_empty());
    audit.close().await;
    drop(audit);
    corpus.settle();
    let _ = fs::remove_file(corpus.folder.path().join("audit.db-shm"));
    fs::write(corpus.path(), &main).unwrap();
    fs::write(&log, &kept).unwrap();
    assert!(corpus.verify().holds());
    let _ = fs::remove_file(corpus.folder.path().join("audit.db-shm"));
    fs::remove_file(&log).unwrap();
    let found = corpus.verify();
    assert!(matches!(found.tail, Tail::Cut { found, .. } if found == before), "{found:?}");
}

/// AR-10
#[tokio::test]
async fn a_wrong_key_is_found() {
    let corpus = Corpus::new().await;
    let found = verify(corpus.path(), Some(&corpus.anchor(2))).unwrap();
    assert_eq!((found.flaw, found.tail), (None, Tail::WrongKey));
    let anchor: Arc<dyn Anchor> = Arc::new(corpus.anchor(2));
    let refused = SqliteAudit::open_anchored(Config::new(corpus.path()), anchor, after(0)).await;
    assert!(matches!(refused, Err(AnchoredError::Anchor(_))), "{refused:?}");
}

/// AR-10
#[tokio::test]
async fn a_truncated_file_is_found() {
    let corpus = Corpus::new().await;
    let whole = fs::read(corpus.path()).unwrap();
    for keep in [4096, whole.len() / 2, whole.len() - 4096, whole.len() - 100, 100, 1] {
        fs::write(corpus.path(), &whole[..keep]).unwrap();
        let found = corpus.verify();
        let flaw = found.flaw.unwrap();
        assert!(matches!(flaw.damage, Damage::Unreadable { .. }), "{keep}: {flaw}");
        assert_eq!(flaw.row, Place::File, "{keep}");
    }
}

/// AR-10
#[tokio::test]
async fn another_file_is_not_taken_for_the_anchors() {
    let corpus = Corpus::new().await;
    let other = Corpus::new().await;
    fs::copy(other.path(), corpus.path()).unwrap();
    assert_eq!(corpus.verify().tail, Tail::OtherFile);
    fs::remove_file(corpus.path()).unwrap();
    let refused = corpus.try_open().await.unwrap_err();
    assert!(
        matches!(refused, AnchoredError::Mismatch { tail: Tail::OtherFile, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_file_that_does_not_go_with_its_anchor_is_not_written_to_until_it_is_accepted() {
    let corpus = Corpus::new().await;
    corpus.tamper(CUT_TAIL);
    let cut = corpus.verify();
    let refused = corpus.try_open().await.unwrap_err();
    assert!(refused.to_string().contains("does not go with its anchor"), "{refused}");
    assert_eq!(corpus.verify(), cut);

    let anchor: Arc<dyn Anchor> = Arc::new(corpus.anchor(1));
    let config = Config::new(corpus.path());
    let audit = SqliteAudit::accept_anchored(config, anchor, "the disk was lost", after(9));
    audit.await.unwrap().close().await;
    assert!(corpus.verify().holds());
    let audit = corpus.open().await;
    let accepted = audit.notes(executus_audit_sqlite::NoteFilter::default()).await.unwrap();
    let accepted = accepted.iter().find(|note| note.kind == "audit.accepted").unwrap();
    assert_eq!(accepted.body["reason"], "the disk was lost");
}

#[tokio::test]
async fn an_anchor_that_was_deleted_is_missed() {
    let corpus = Corpus::new().await;
    fs::remove_file(corpus.folder.path().join("audit.anchor")).unwrap();
    assert_eq!(corpus.verify().tail, Tail::NoMark);
    let refused = corpus.try_open().await.unwrap_err();
    assert!(matches!(refused, AnchoredError::NoMark { .. }), "{refused:?}");
}

/// A crash between a COMMIT and its mark: the anchor is behind, and catches up.
#[tokio::test]
async fn an_anchor_that_is_behind_is_caught_up_with() {
    let corpus = Corpus::new().await;
    let audit = SqliteAudit::open(Config::new(corpus.path())).unwrap();
    fill(&audit, "c").await;
    audit.close().await;
    assert_eq!(corpus.verify().tail, Tail::Anchored { after: RECORDS + 2 });
    corpus.open().await.close().await;
    assert_eq!(corpus.verify().tail, Tail::Anchored { after: 0 });
}

/// Whoever replaces a row passes by the trigger against deletes only without a setting that the
/// audit's own connection has; and the chain finds it.
#[tokio::test]
async fn a_replaced_row_is_refused_or_found() {
    let corpus = Corpus::new().await;
    let replace = format!(
        "INSERT OR REPLACE INTO records (run, seq, at, step, kind, body, fact, state)
         SELECT run, seq, at, step, kind, '{{}}', fact, state FROM records {A3}"
    );
    let connection = Connection::open(corpus.path()).unwrap();
    connection.pragma_update(None, "recursive_triggers", true).unwrap();
    let refused = connection.execute(&replace, []).unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    connection.pragma_update(None, "recursive_triggers", false).unwrap();
    connection.execute(&replace, []).unwrap();
    drop(connection);
    let flaw = corpus.flaw();
    assert_eq!((flaw.row, flaw.damage), (record("a", 3), Damage::Edited));
}

#[tokio::test]
async fn the_chain_itself_is_append_only() {
    let corpus = Corpus::new().await;
    let connection = Connection::open(corpus.path()).unwrap();
    for sql in [
        "UPDATE chain SET head = x'00'",
        "DELETE FROM chain",
        "UPDATE origin SET runs = 1",
        "DELETE FROM origin",
        "UPDATE runs SET caller_id = 'x'",
    ] {
        assert!(connection.execute(sql, []).is_err(), "{sql}");
    }
    assert!(Path::new(&corpus.path()).exists() && corpus.verify().holds());
}
