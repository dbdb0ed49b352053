//! What the kernel relies on: A1 to A3 of the log of actions, on a real file.

use executus_audit_sqlite::Config;
use executus_capability::record::{ActionError, ActionKind, Counts};
use executus_core::{RunId, Timestamp};
use serde_json::json;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

fn record(id: &str, seconds: i64) -> ActionRecord {
    ActionRecord {
        action_id: id.to_owned(),
        kind: ActionKind::Invoke,
        at: at(seconds),
        duration_ms: 12,
        principal_id: "ada".into(),
        capability_id: "tickets.close".to_owned(),
        token_id: Some("t-1".to_owned()),
        run_id: Some(RunId::new("r").unwrap()),
        driver_id: "close_ticket".to_owned(),
        mode: Some(executus_capability::Mode::Summary),
        args: json!({"id": "7"}),
        counts: Counts { fact_count: 3, has_handle: true, cost_tokens: 40, ..Counts::default() },
        error: Some(ActionError { code: "driver".to_owned(), message: "no".to_owned() }),
    }
}

fn log() -> (tempfile::TempDir, Actions) {
    let folder = tempfile::tempdir().unwrap();
    let audit = SqliteAudit::open(Config::new(folder.path().join("a.db"))).unwrap();
    (folder, Actions::new(audit))
}

/// A1
#[tokio::test]
async fn what_was_recorded_is_found() {
    let (folder, log) = log();
    log.record(&record("a", 1)).await.unwrap();
    assert_eq!(log.get("a").await.unwrap(), Some(record("a", 1)));
    assert_eq!(log.get("b").await.unwrap(), None);
    log.0.close().await;
    let audit = SqliteAudit::open(Config::new(folder.path().join("a.db"))).unwrap();
    assert_eq!(Actions::new(audit).get("a").await.unwrap(), Some(record("a", 1)));
}

/// A2
#[tokio::test]
async fn the_first_record_of_an_id_stays() {
    let (_folder, log) = log();
    log.record(&record("a", 1)).await.unwrap();
    let second = log.record(&record("a", 2)).await;
    assert_eq!(second, Err(ActionLogError::Duplicate { action_id: "a".to_owned() }));
    assert_eq!(log.get("a").await.unwrap(), Some(record("a", 1)));
}

/// A3
#[tokio::test]
async fn records_are_ordered_by_time_and_id_from_since_until_before() {
    let (_folder, log) = log();
    for (id, seconds) in [("d", 10), ("c", 20), ("b", 20), ("a", 30)] {
        log.record(&record(id, seconds)).await.unwrap();
    }
    let other = ActionRecord { principal_id: "bob".into(), run_id: None, ..record("x", 25) };
    log.record(&other).await.unwrap();
    let note = Note { kind: "weather".to_owned(), body: json!(1), ..note_of("y") };
    assert!(log.0.note(&note).await.unwrap());
    let ids = async |query: ActionQuery| {
        let records = log.query(&query).await.unwrap();
        records.into_iter().map(|record| record.action_id).collect::<Vec<_>>()
    };
    let all = ActionQuery::default();
    assert_eq!(ids(all.clone()).await, ["d", "b", "c", "x", "a"]);
    let some = ActionQuery { since: Some(at(20)), until: Some(at(30)), ..all.clone() };
    assert_eq!(ids(some).await, ["b", "c", "x"]);
    let of_ada =
        ActionQuery { principal_id: Some("ada".into()), offset: 1, limit: Some(2), ..all.clone() };
    assert_eq!(ids(of_ada).await, ["b", "c"]);
    let of_run = ActionQuery { run_id: RunId::new("r").ok(), ..all.clone() };
    assert_eq!(ids(of_run).await, ["d", "b", "c", "a"]);
    let negative = log.query(&ActionQuery { limit: Some(-1), ..all }).await;
    assert!(matches!(negative, Err(ActionLogError::Query { field: "limit", .. })));
}

fn note_of(id: &str) -> Note {
    Note { id: id.to_owned(), run_id: None, at: at(5), kind: String::new(), body: Value::Null }
}
