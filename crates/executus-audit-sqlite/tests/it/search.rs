//! Search: what is found, what is not any more, and what it leaves in the file.

use std::fs;

use executus_audit_sqlite::{
    AuditReader, Config, Cursor, Found, HitPlace, Note, QueryError, Search, SqliteAudit, verify,
};
use executus_core::record::Fact;
use executus_core::transcript::Steer;
use executus_core::{Key, RunId, RunStatus};
use executus_testkit::sample;
use serde_json::json;

use crate::bench::{Bench, after, id, start_at};

/// A run in which somebody says these things.
async fn said(bench: &Bench, run: &RunId, seconds: i64, texts: &[&str]) {
    let recorder = bench.start(&start_at(run, seconds)).await;
    recorder.record(&sample::record(run, 1)).unwrap();
    for (seq, text) in (2..).zip(texts) {
        let steer = Fact::Steered(Steer { source: "ui".into(), text: (*text).into() }.into());
        let mut record = sample::at(run, seq, Key::step(1), steer);
        record.at = after(seconds + seq as i64);
        recorder.record(&record).unwrap();
    }
    recorder.close(&sample::outcome(run, RunStatus::Ok)).await.unwrap();
}

async fn note(bench: &Bench, name: &str, seconds: i64, text: &str) {
    let body = json!({"said": text});
    let (at, kind) = (after(seconds), "action.invoke".into());
    let note = Note { id: name.into(), run_id: None, at, kind, body };
    bench.audit.note(&note).await.unwrap();
}

fn look(text: &str) -> Search {
    Search { text: text.into(), ..Search::default() }
}

/// Where it was found: `run/seq`, or the id of the note.
fn places(found: &Found) -> Vec<String> {
    let hits = found.hits.iter().map(|hit| match (&hit.place, &hit.run_id) {
        (HitPlace::Record { seq }, Some(run)) => format!("{run}/{seq}"),
        (HitPlace::Note { id }, _) => id.clone(),
        other => panic!("{other:?}"),
    });
    hits.collect()
}

async fn three() -> Bench {
    let bench = Bench::new();
    said(&bench, &id("a"), 0, &["Der Zähler steht auf 4711", "line one\nline two"]).await;
    said(&bench, &id("b"), 100, &["the counter says 4711", "a \"quoted\" word"]).await;
    note(&bench, "n", 50, "counter and meter").await;
    bench
}

#[tokio::test]
async fn words_phrases_and_beginnings_are_found_in_records_and_notes() {
    let bench = three().await;
    for (text, expected) in [
        ("4711", vec!["a/2", "b/2"]),
        ("zahler", vec!["a/2"]),
        ("COUNTER", vec!["n", "b/2"]),
        ("count*", vec!["n", "b/2"]),
        ("counter 4711", vec!["b/2"]),
        ("\"line two\"", vec!["a/3"]),
        ("\"two line\"", vec![]),
        ("quoted", vec!["b/3"]),
        ("text", vec![]),
        ("counter OR nothing", vec![]),
    ] {
        let found = bench.audit.search(look(text)).await.unwrap();
        assert_eq!(places(&found), expected, "{text}");
        assert_eq!(found.behind, 0);
    }
    let hit = bench.audit.search(look("meter")).await.unwrap().hits.remove(0);
    assert_eq!((hit.kind.as_str(), hit.at), ("action.invoke", after(50)));
    assert_eq!(hit.body, json!({"said": "counter and meter"}));
    assert!(verify(bench.path(), None).unwrap().holds(), "the index is no part of the chain");
}

#[tokio::test]
async fn hits_are_filtered_and_paged_in_a_stable_order() {
    let bench = three().await;
    for n in 0..7 {
        said(&bench, &id(&format!("run-{n}")), 200 + n / 3, &["needle", "hay"]).await;
    }
    let all = bench.audit.search(look("needle")).await.unwrap();
    assert_eq!(all.hits.len(), 7);
    let mut search = Search { limit: Some(3), ..look("needle") };
    let mut seen = Vec::new();
    loop {
        let page = bench.audit.search(search.clone()).await.unwrap();
        seen.extend(places(&page));
        let Some(next) = page.next else { break };
        search.after = Some(next.to_string().parse::<Cursor>().unwrap());
    }
    assert_eq!(seen, places(&all));
    let of_run = Search { run: Some(id("run-4")), ..look("needle") };
    assert_eq!(places(&bench.audit.search(of_run).await.unwrap()), ["run-4/2"]);
    let (since, until) = (Some(after(203)), Some(after(204)));
    let some = Search { since, until, ..look("needle") };
    let some = bench.audit.search(some).await.unwrap();
    assert_eq!(places(&some), ["run-3/2", "run-4/2", "run-5/2"]);
    let reversed = Search { since: until, until: since, ..look("needle") };
    let refused = bench.audit.search(reversed).await;
    assert!(matches!(refused, Err(QueryError::Reversed { .. })), "{refused:?}");
    let empty = bench.audit.search(look(" -- ")).await;
    assert!(matches!(empty, Err(QueryError::NoWords)), "{empty:?}");
}

/// Recording pays nothing before somebody searches, and a reader tells what it does not know.
#[tokio::test]
async fn the_index_is_filled_when_somebody_searches() {
    let bench = three().await;
    let reader = AuditReader::open(bench.path()).unwrap();
    let found = reader.search(&look("counter")).unwrap();
    let entries = reader.mark().unwrap().count;
    assert_eq!((found.hits.len(), found.behind), (0, entries));
    bench.audit.index().await.unwrap();
    let found = reader.search(&look("counter")).unwrap();
    assert_eq!((found.hits.len(), found.behind), (2, 0));
    said(&bench, &id("later"), 300, &["counter"]).await;
    let found = reader.search(&look("counter")).unwrap();
    assert_eq!((found.hits.len(), found.behind), (2, 4));
}

/// More than one job takes.
#[tokio::test]
async fn a_long_file_is_indexed_in_pieces_and_each_row_once() {
    let bench = Bench::new();
    for n in 0..4 {
        let run = id(&format!("run-{n}"));
        let recorder = bench.start(&start_at(&run, n)).await;
        for record in sample::records(&run, 1..=800) {
            recorder.record(&record).unwrap();
        }
        recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    }
    let found = bench.audit.search(look("look")).await.unwrap();
    assert_eq!(found.hits.len(), 4 * 799);
    let again = bench.audit.search(look("look 700")).await.unwrap();
    assert_eq!(again.hits.len(), 4);
}

fn index_holds(bench: &Bench) {
    let connection = bench.connection();
    connection.execute("INSERT INTO search (search) VALUES ('integrity-check')", []).unwrap();
}

fn rows(bench: &Bench) -> i64 {
    let connection = bench.connection();
    connection.query_row("SELECT count(*) FROM search_docsize", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_is_erased_or_dropped_leaves_the_index_and_the_file() {
    const CANARY: &str = "elmstreetcanary";
    let bench = Bench::new();
    said(&bench, &id("a"), 0, &[CANARY, "other words"]).await;
    let body = json!({"said": format!("{CANARY} 17")});
    let kind = "action.invoke".to_owned();
    let of_run = Note { id: "a/1/0".into(), run_id: Some(id("a")), at: after(1), kind, body };
    bench.audit.note(&of_run).await.unwrap();
    said(&bench, &id("old"), 1, &["dropme"]).await;
    said(&bench, &id("kept"), 1000, &["keepme"]).await;
    assert_eq!(bench.audit.search(look(CANARY)).await.unwrap().hits.len(), 2);
    assert_eq!(bench.audit.search(look("dropme")).await.unwrap().hits.len(), 1);
    let in_file = |path: std::path::PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(CANARY.len()).any(|bytes| bytes == CANARY.as_bytes())
    };

    // One that is not in the index yet is erased with the others.
    said(&bench, &id("late"), 2, &[CANARY]).await;
    bench.audit.erase("someone", after(2000)).await.unwrap();
    assert!(bench.audit.search(look(CANARY)).await.unwrap().hits.is_empty());
    index_holds(&bench);
    assert!(!in_file(bench.path()), "it is in the file");
    assert!(!in_file(bench.path().with_extension("db-wal")), "it is in the log");

    said(&bench, &id("last"), 3000, &["lastword"]).await;
    assert_eq!(bench.audit.search(look("lastword")).await.unwrap().hits.len(), 1);
    let before = rows(&bench);
    let dropped = bench.audit.drop_closed(after(2500), after(4000)).await.unwrap();
    assert_eq!(dropped.runs, 4);
    // All records of those runs had been erased before: they were not there any more. The loose
    // notes about it are.
    assert!(rows(&bench) <= before);
    bench.audit.drop_closed(after(5000), after(6000)).await.unwrap();
    index_holds(&bench);
    assert!(verify(bench.path(), None).unwrap().holds());
}

#[tokio::test]
async fn what_is_dropped_is_not_found() {
    let bench = Bench::new();
    said(&bench, &id("old"), 0, &["dropme"]).await;
    note(&bench, "loose", 1, "dropme too").await;
    said(&bench, &id("new"), 1000, &["keepme"]).await;
    assert_eq!(bench.audit.search(look("dropme")).await.unwrap().hits.len(), 2);
    bench.audit.drop_closed(after(500), after(2000)).await.unwrap();
    assert!(bench.audit.search(look("dropme")).await.unwrap().hits.is_empty());
    assert_eq!(places(&bench.audit.search(look("keepme")).await.unwrap()), ["new/2"]);
    index_holds(&bench);
}

/// A file of the version before, by taking away what this one added.
#[tokio::test]
async fn a_file_from_before_the_index_is_searched_as_a_whole() {
    let bench = three().await;
    bench.audit.close().await;
    let connection = bench.connection();
    connection
        .execute_batch(
            "DROP TRIGGER erased_records_leave_search; DROP TRIGGER dropped_records_leave_search;
             DROP TRIGGER erased_notes_leave_search; DROP TRIGGER dropped_notes_leave_search;
             DROP TABLE search; DROP TABLE searched; DROP TABLE searched_notes;
             PRAGMA user_version = 3;",
        )
        .unwrap();
    drop(connection);
    let audit = SqliteAudit::open(Config::new(bench.path())).unwrap();
    let found = audit.search(look("counter")).await.unwrap();
    assert_eq!(places(&found), ["n", "b/2"]);
    assert!(verify(bench.path(), None).unwrap().holds());
    audit.close().await;
}
