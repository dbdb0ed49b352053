//! Notes: durable, unique, append-only, scrubbed.

use executus_audit_sqlite::{AuditReader, Note, NoteFilter};
use executus_sqlite::rusqlite::params;
use serde_json::json;
use tokio::task::JoinSet;

use crate::bench::{Bench, after, id};

fn note(name: &str, seconds: i64) -> Note {
    Note {
        id: name.to_owned(),
        run_id: Some(id("r")),
        at: after(seconds),
        kind: "action.invoke".to_owned(),
        body: json!({"n": seconds}),
    }
}

#[tokio::test]
async fn a_note_that_was_kept_is_found_by_others() {
    let bench = Bench::new();
    let kept = note("r/1/0", 1);
    assert!(bench.audit.note(&kept).await.unwrap());
    let reader = AuditReader::open(bench.path()).unwrap();
    assert_eq!(reader.note("r/1/0").unwrap(), Some(kept.clone()));
    assert_eq!(reader.note("r/1/1").unwrap(), None);
    assert_eq!(bench.audit.noted("r/1/0").await.unwrap(), Some(kept));
}

#[tokio::test]
async fn there_is_one_note_of_an_id() {
    let bench = Bench::new();
    let first = note("a", 1);
    assert!(bench.audit.note(&first).await.unwrap());
    let second = Note { run_id: None, ..note("a", 2) };
    assert!(!bench.audit.note(&second).await.unwrap());
    assert_eq!(bench.audit.noted("a").await.unwrap(), Some(first));
}

#[tokio::test]
async fn of_two_that_race_one_is_new() {
    let bench = Bench::new();
    let mut racing = JoinSet::new();
    for seconds in 0..16 {
        let audit = bench.audit.clone();
        racing.spawn(async move { audit.note(&note("a", seconds)).await.unwrap() });
    }
    let new = racing.join_all().await.into_iter().filter(|is_new| *is_new).count();
    assert_eq!(new, 1);
}

#[tokio::test]
async fn notes_are_ordered_by_time_and_id_from_since_until_before() {
    let bench = Bench::new();
    for (name, seconds) in [("d", 10), ("c", 20), ("b", 20), ("a", 30)] {
        bench.audit.note(&note(name, seconds)).await.unwrap();
    }
    let loose = Note { run_id: None, ..note("z", 20) };
    bench.audit.note(&loose).await.unwrap();
    let ids = async |filter: NoteFilter| {
        let notes = bench.audit.notes(filter).await.unwrap();
        notes.into_iter().map(|note| note.id).collect::<Vec<_>>()
    };
    let all = NoteFilter::default();
    assert_eq!(ids(all.clone()).await, ["d", "b", "c", "z", "a"]);
    let of_run = NoteFilter { run: Some(id("r")), ..all.clone() };
    assert_eq!(ids(of_run).await, ["d", "b", "c", "a"]);
    let some = NoteFilter { since: Some(after(20)), until: Some(after(30)), ..all.clone() };
    assert_eq!(ids(some).await, ["b", "c", "z"]);
    assert!(ids(NoteFilter { run: Some(id("q")), ..all }).await.is_empty());
}

#[tokio::test]
async fn nothing_changes_or_deletes_a_note() {
    let bench = Bench::new();
    bench.audit.note(&note("a", 1)).await.unwrap();
    let other = bench.connection();
    other.pragma_update(None, "recursive_triggers", true).unwrap();
    for sql in [
        "UPDATE notes SET body = '{}'",
        "DELETE FROM notes",
        "INSERT OR REPLACE INTO notes (id, at, kind, body) VALUES ('a', 0, 'k', '{}')",
    ] {
        let error = other.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn what_is_kept_of_a_note_is_scrubbed() {
    let bench = Bench::new();
    let body = json!({"args": {"password": "hunter2"}, "token_id": "t1", "cost_tokens": 7});
    bench.audit.note(&Note { body, ..note("a", 1) }).await.unwrap();
    let kept = bench.audit.noted("a").await.unwrap().unwrap();
    let expected = json!({"args": {"password": "[redacted]"}, "token_id": "t1", "cost_tokens": 7});
    assert_eq!(kept.body, expected);
}

#[tokio::test]
async fn a_note_that_cannot_be_read_says_so() {
    let bench = Bench::new();
    let other = bench.connection();
    let sql = "INSERT INTO notes (id, at, kind, body) VALUES (?, 0, 'k', ?)";
    other.execute(sql, params!["a", "no JSON"]).unwrap();
    let error = bench.audit.noted("a").await.unwrap_err();
    assert!(error.to_string().contains("the note `a`"), "{error}");
}
