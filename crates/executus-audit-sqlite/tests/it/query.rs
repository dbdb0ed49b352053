//! Queries of a host.

use executus_audit_sqlite::{
    AuditReader, Cursor, Note, NoteFilter, OpenError, QueryError, RunFilter, RunSummary,
};
use executus_core::RunStatus;
use executus_testkit::sample;

use crate::bench::{Bench, after, id, start_at};

fn ids(runs: &[RunSummary]) -> Vec<&str> {
    runs.iter().map(|run| run.run_id.as_str()).collect()
}

/// Runs of 10, 20, 20 and 30 s, the third of them failed, the last still under way.
async fn four_runs() -> Bench {
    let bench = Bench::new();
    for (name, seconds, status) in [
        ("d", 10, Some(RunStatus::Ok)),
        ("c", 20, Some(RunStatus::Error)),
        ("b", 20, Some(RunStatus::Ok)),
        ("a", 30, None),
    ] {
        let run = id(name);
        let recorder = bench.start(&start_at(&run, seconds)).await;
        if let Some(status) = status {
            recorder.close(&sample::outcome(&run, status)).await.unwrap();
        }
    }
    bench
}

/// AR-09
#[tokio::test]
async fn runs_are_ordered_by_time_and_id_from_since_until_before() {
    let bench = four_runs().await;
    let all = RunFilter::default();
    assert_eq!(ids(&bench.audit.runs(all.clone()).await.unwrap()), ["d", "b", "c", "a"]);
    let some = RunFilter { since: Some(after(20)), until: Some(after(30)), ..all.clone() };
    assert_eq!(ids(&bench.audit.runs(some).await.unwrap()), ["b", "c"]);
    let page = RunFilter { limit: Some(2), offset: 1, ..all.clone() };
    assert_eq!(ids(&bench.audit.runs(page).await.unwrap()), ["b", "c"]);
    let none = RunFilter { limit: Some(0), ..all };
    assert!(bench.audit.runs(none).await.unwrap().is_empty());
}

/// AR-09
#[tokio::test]
async fn negative_paging_is_refused_by_name() {
    let bench = Bench::new();
    let limit = bench.audit.runs(RunFilter { limit: Some(-1), ..RunFilter::default() }).await;
    assert!(matches!(limit, Err(QueryError::Negative { field: "limit", value: -1 })));
    let offset = bench.audit.runs(RunFilter { offset: -3, ..RunFilter::default() }).await;
    let message = offset.unwrap_err().to_string();
    assert_eq!(message, "`offset` is -3; give it 0 or more");
}

/// AR-09
#[tokio::test]
async fn a_time_that_ends_before_it_begins_is_refused() {
    let bench = four_runs().await;
    let (since, until) = (Some(after(30)), Some(after(20)));
    let runs = bench.audit.runs(RunFilter { since, until, ..RunFilter::default() }).await;
    assert!(matches!(runs, Err(QueryError::Reversed { .. })), "{runs:?}");
    let notes = bench.audit.notes(NoteFilter { since, until, ..NoteFilter::default() }).await;
    assert!(matches!(notes, Err(QueryError::Reversed { .. })), "{notes:?}");
    let negative = NoteFilter { limit: Some(-2), ..NoteFilter::default() };
    let negative = bench.audit.notes(negative).await;
    assert!(matches!(negative, Err(QueryError::Negative { field: "limit", value: -2 })));
    let nothing = RunFilter { since, until: since, ..RunFilter::default() };
    assert!(bench.audit.runs(nothing).await.unwrap().is_empty());
}

/// AR-09
#[tokio::test]
async fn pages_go_on_where_the_one_before_ended_whatever_is_added_or_dropped_meanwhile() {
    let bench = four_runs().await;
    let reader = bench.audit.reader();
    let first = RunFilter { limit: Some(2), ..RunFilter::default() };
    let page = reader.runs_page(&first).unwrap();
    assert_eq!(ids(&page.items), ["d", "b"]);
    // One in front of the place, one behind it; and the one at the place goes.
    bench.start(&start_at(&id("e"), 5)).await;
    bench.start(&start_at(&id("bb"), 20)).await;
    bench.audit.drop_closed(after(11), after(50)).await.unwrap();
    let next: Cursor = page.next.unwrap().to_string().parse().unwrap();
    let second = RunFilter { after: Some(next), ..first.clone() };
    let page = reader.runs_page(&second).unwrap();
    assert_eq!(ids(&page.items), ["bb", "c"]);
    let third = RunFilter { after: page.next, ..first };
    let page = reader.runs_page(&third).unwrap();
    assert_eq!((ids(&page.items), &page.next), (vec!["a"], &None));
}

#[tokio::test]
async fn notes_are_paged_too_and_a_cursor_of_another_list_is_refused() {
    let bench = four_runs().await;
    for n in 0..5 {
        let body = serde_json::json!({});
        let kind = if n == 3 { "other" } else { "kind" };
        let note =
            Note { id: format!("n{n}"), run_id: None, at: after(1), kind: kind.into(), body };
        bench.audit.note(&note).await.unwrap();
    }
    let reader = bench.audit.reader();
    let mut filter =
        NoteFilter { limit: Some(2), kind: Some("kind".into()), ..NoteFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = reader.notes_page(&filter).unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|note| note.id));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["n0", "n1", "n2", "n4"]);
    let of_notes = reader.notes_page(&NoteFilter { limit: Some(1), ..NoteFilter::default() });
    let after = of_notes.unwrap().next;
    let refused = reader.runs(&RunFilter { after, ..RunFilter::default() }).unwrap_err();
    assert!(matches!(refused, QueryError::Cursor { .. }), "{refused:?}");
}

#[tokio::test]
async fn records_are_read_on_from_a_number() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    for record in sample::records(&run, 1..=7) {
        recorder.record(&record).unwrap();
    }
    recorder.flush().await.unwrap();
    let reader = bench.audit.reader();
    let seqs = |seq, limit| -> Vec<u64> {
        let records = reader.records_after(&run, seq, limit).unwrap();
        records.into_iter().map(|record| record.seq).collect()
    };
    assert_eq!(seqs(0, 3), [1, 2, 3]);
    assert_eq!(seqs(5, 3), [6, 7]);
    assert!(seqs(7, 3).is_empty() && seqs(u64::MAX, 3).is_empty());
    let nobody = reader.records_after(&id("nobody"), 0, 3).unwrap_err();
    assert!(matches!(nobody, QueryError::NotFound { .. }), "{nobody:?}");
}

#[tokio::test]
async fn runs_are_found_by_status_and_caller() {
    let bench = four_runs().await;
    let all = RunFilter::default();
    let failed = RunFilter { status: Some(RunStatus::Error), ..all.clone() };
    assert_eq!(ids(&bench.audit.runs(failed).await.unwrap()), ["c"]);
    let open = RunFilter { open: true, ..all.clone() };
    assert_eq!(ids(&bench.audit.runs(open).await.unwrap()), ["a"]);
    let caller = |caller: &str| RunFilter { caller: Some(caller.into()), ..all.clone() };
    assert_eq!(bench.audit.runs(caller("someone")).await.unwrap().len(), 4);
    assert!(bench.audit.runs(caller("nobody' OR 1 --")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_summary_tells_the_whole_run() {
    let bench = Bench::new();
    let run = id("a");
    let start = sample::start(&run, 1);
    let recorder = bench.start(&start).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    let last = sample::record(&run, 2);
    recorder.record(&last).unwrap();
    let outcome = sample::outcome(&run, RunStatus::Error);
    recorder.close(&outcome).await.unwrap();
    let summary = bench.audit.run(&run).await.unwrap();
    assert_eq!(summary.spec, *start.spec);
    assert_eq!((summary.name.as_str(), summary.caller_id.as_str()), ("a sample", "someone"));
    assert_eq!((summary.started_at, summary.ended_at), (sample::BEGIN, Some(last.at)));
    assert_eq!((summary.output, summary.error), (outcome.output, outcome.error));
    assert_eq!((summary.stats, summary.attempts), (Some(outcome.stats), 1));
    let records = bench.audit.records(&run).await.unwrap();
    assert_eq!(records[1].state, last.state);
    assert_eq!(records[1].key, last.key);
}

#[tokio::test]
async fn what_is_not_recorded_is_not_found() {
    let bench = Bench::new();
    let run = id("nobody");
    for error in [
        bench.audit.run(&run).await.unwrap_err(),
        bench.audit.records(&run).await.unwrap_err(),
        bench.audit.journal(&run).await.unwrap_err(),
    ] {
        assert!(matches!(error, QueryError::NotFound { .. }), "{error:?}");
        assert_eq!(error.to_string(), "no run `nobody` is recorded");
    }
}

#[tokio::test]
async fn a_reader_needs_a_file_and_no_audit() {
    let bench = four_runs().await;
    let missing = AuditReader::open(bench.path().with_extension("none")).unwrap_err();
    assert!(matches!(missing, OpenError::Missing { .. }), "{missing:?}");
    bench.audit.close().await;
    let reader = AuditReader::open(bench.path()).unwrap();
    assert_eq!(reader.runs(&RunFilter::default()).unwrap().len(), 4);
}

#[tokio::test]
async fn what_was_changed_by_hand_is_told() {
    let bench = Bench::new();
    let run = id("a");
    bench.start(&sample::start(&run, 1)).await;
    let other = bench.connection();
    other.execute_batch("DROP TRIGGER runs_are_asked_for_once").unwrap();
    other.execute("UPDATE runs SET spec = '{}'", []).unwrap();
    let damaged = bench.audit.run(&run).await.unwrap_err();
    assert_eq!(
        damaged.to_string(),
        "the spec of run `a` cannot be read; was the file changed by hand?"
    );
}

#[tokio::test]
async fn a_damaged_record_is_told_by_its_number() {
    for sql in [
        "UPDATE journal SET fact = '{' WHERE seq = 2",
        "UPDATE records SET state = x'00' WHERE seq = 2",
        "UPDATE records SET args = x'00' WHERE seq = 2",
    ] {
        let bench = Bench::new();
        let run = id("a");
        let recorder = bench.start(&sample::start(&run, 1)).await;
        for record in sample::records(&run, 1..=3) {
            recorder.record(&record).unwrap();
        }
        recorder.flush().await.unwrap();
        let other = bench.connection();
        other.execute_batch("DROP TRIGGER records_are_not_changed").unwrap();
        assert_eq!(other.execute(sql, []), Ok(1));
        let damaged = bench.audit.journal(&run).await.unwrap_err();
        assert!(matches!(damaged, QueryError::Damaged { seq: Some(2), .. }), "{damaged:?}");
    }
}
