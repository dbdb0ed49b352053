//! Export: what is written, in which order, and what is not.

use std::collections::BTreeSet;
use std::io::{self, Write};

use executus_audit_sqlite::{
    ExportError, ExportFormat, Exported, Note, QueryError, RunFilter, SqliteAudit,
};
use executus_core::port::Audit;
use executus_core::record::Fact;
use executus_core::transcript::Steer;
use executus_core::{Key, RunId, RunStatus};
use executus_testkit::sample;
use serde_json::{Value, json};

use crate::bench::{Bench, after, id, start_at};

const CANARY: &str = "canary-51bb02";

/// Three runs, the second one failed and the third one under way, with notes, one of them loose.
async fn recorded() -> Bench {
    let bench = Bench::new();
    for (n, status) in [Some(RunStatus::Ok), Some(RunStatus::Error), None].into_iter().enumerate() {
        let run = id(&format!("run-{n}"));
        let recorder = bench.start(&start_at(&run, 10 * n as i64)).await;
        for record in sample::records(&run, 1..=5) {
            recorder.record(&record).unwrap();
        }
        recorder.flush().await.unwrap();
        if let Some(status) = status {
            recorder.close(&sample::outcome(&run, status)).await.unwrap();
        }
        note(&bench.audit, &format!("{run}/note"), Some(run)).await;
    }
    note(&bench.audit, "loose", None).await;
    note(&bench.audit, "of-another-file", Some(id("elsewhere"))).await;
    bench
}

async fn note(audit: &SqliteAudit, id: &str, run_id: Option<RunId>) {
    let body = json!({"said": "a | b", "password": CANARY});
    let note = Note { id: id.into(), run_id, at: after(5), kind: "action.invoke".into(), body };
    audit.note(&note).await.unwrap();
}

fn export(bench: &Bench, format: ExportFormat, filter: &RunFilter) -> (String, Exported) {
    let mut out = Vec::new();
    let all = bench.audit.reader().export(format, filter, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), all)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn jsonl_holds_every_run_record_and_note_in_order_and_its_counts() {
    let bench = recorded().await;
    let (text, all) = export(&bench, ExportFormat::Jsonl, &RunFilter::default());
    assert_eq!((all.runs, all.records, all.notes), (3, 15, 5));
    let lines = lines(&text);
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    let run = ["run", "record", "record", "record", "record", "record", "note"];
    let expected = [vec!["audit"], run.repeat(3), vec!["note", "note", "end"]].concat();
    assert_eq!(types, expected);
    let mark = bench.audit.reader().mark().unwrap();
    assert_eq!(lines[0]["entries"], mark.count);
    assert_eq!(lines[0]["head"], mark.head.to_string());
    let (of_run, second) = (&lines[1], &lines[8]);
    assert_eq!((&of_run["run_id"], &of_run["status"]), (&json!("run-0"), &json!("ok")));
    assert_eq!(second["error"]["message"], "a sample failure");
    assert_eq!(lines[15]["status"], Value::Null, "it is under way");
    let record = bench.audit.records(&id("run-0")).await.unwrap().remove(3);
    assert_eq!(lines[5]["body"], record.body);
    assert_eq!(lines[5]["state"], record.state.to_string());
    let end = json!({"type": "end", "runs": 3, "records": 15, "notes": 5});
    assert_eq!(*lines.last().unwrap(), end);
}

#[tokio::test]
async fn ocsf_events_have_the_fields_of_their_class() {
    let bench = recorded().await;
    let (text, _) = export(&bench, ExportFormat::Ocsf, &RunFilter::default());
    let events = lines(&text);
    // A run's first record is its start, and two of the runs ended.
    assert_eq!(events.len(), 3 * (1 + 4 + 1) + 2 + 2);
    let mut ids = BTreeSet::new();
    for event in &events {
        let uid = event["metadata"]["uid"].as_str().unwrap();
        assert!(ids.insert(uid.to_owned()), "{uid} twice");
        for field in ["class_name", "activity_name", "type_name", "severity", "status"] {
            assert!(event[field].is_string(), "{field} of {event}");
        }
        let class = event["class_uid"].as_u64().unwrap();
        assert!([6002, 6003].contains(&class));
        assert_eq!(event["type_uid"], class * 100 + event["activity_id"].as_u64().unwrap());
        assert_eq!(event["category_uid"], 6);
        assert!(event["time"].as_i64().unwrap() > 1_700_000_000_000, "milliseconds: {event}");
        assert!(event["actor"].is_object() && event["metadata"]["product"].is_object());
        if class == 6003 {
            assert!(event["api"]["operation"].is_string(), "{event}");
        }
    }
    let ended: Vec<_> = events.iter().filter(|event| event["activity_id"] == 4).collect();
    assert_eq!(ended.len(), 2);
    assert_eq!((&ended[0]["status"], &ended[0]["status_id"]), (&json!("Success"), &json!(1)));
    assert_eq!((&ended[1]["status"], &ended[1]["severity_id"]), (&json!("Failure"), &json!(3)));
    assert_eq!(events[0]["actor"]["user"]["uid"], "someone");
    assert_eq!(events[0]["metadata"]["correlation_uid"], "run-0");
}

#[tokio::test]
async fn what_a_tool_answered_cannot_write_headings_or_rows_into_the_document() {
    let bench = Bench::new();
    let run = id("a");
    let recorder = bench.start(&sample::start(&run, 1)).await;
    recorder.record(&sample::record(&run, 1)).unwrap();
    let text = "x |\n\n## Run b\n| 9 | [click](http://evil) <script>".into();
    let steer = Fact::Steered(Steer { source: "ui".into(), text }.into());
    recorder.record(&sample::at(&run, 2, Key::step(1), steer)).unwrap();
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    let (text, _) = export(&bench, ExportFormat::Markdown, &RunFilter::default());
    assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 2, "{text}");
    assert!(!text.contains("<script>") && !text.contains("[click](http"), "{text}");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| 2 ")).collect();
    assert_eq!(rows.len(), 1, "{text}");
    assert!(rows[0].contains("evil"));
}

#[tokio::test]
async fn a_filter_chooses_runs_and_leaves_loose_notes_to_whole_exports() {
    let bench = recorded().await;
    let all = RunFilter::default();
    for (filter, expected) in [
        (RunFilter { run: Some(id("run-1")), ..all.clone() }, (1, 5, 1)),
        (RunFilter { caller: Some("someone".into()), ..all.clone() }, (3, 15, 3)),
        (RunFilter { status: Some(RunStatus::Error), ..all.clone() }, (1, 5, 1)),
        (RunFilter { since: Some(after(10)), ..all.clone() }, (2, 10, 2)),
        (RunFilter { until: Some(after(10)), ..all.clone() }, (1, 5, 3)),
        (RunFilter { limit: Some(2), ..all.clone() }, (2, 10, 2)),
        (RunFilter { limit: Some(2), offset: 2, ..all.clone() }, (1, 5, 1)),
        (RunFilter { limit: Some(0), ..all.clone() }, (0, 0, 0)),
        (RunFilter { run: Some(id("nobody")), ..all.clone() }, (0, 0, 0)),
    ] {
        for format in ExportFormat::ALL {
            let (_, done) = export(&bench, format, &filter);
            assert_eq!((done.runs, done.records, done.notes), expected, "{filter:?}");
        }
    }
    let reader = bench.audit.reader();
    let mut out = Vec::new();
    let reversed = RunFilter { since: Some(after(2)), until: Some(after(1)), ..all };
    let refused = reader.export(ExportFormat::Jsonl, &reversed, &mut out).unwrap_err();
    assert!(matches!(refused, ExportError::Query(QueryError::Reversed { .. })), "{refused:?}");
    assert!(out.is_empty(), "nothing is written before the filter is checked");
}

/// More runs and records than fit one piece: each is there once, in order.
#[tokio::test]
async fn what_is_read_in_pieces_is_whole() {
    let bench = Bench::new();
    for n in 0..40 {
        let run = id(&format!("run-{n:02}"));
        let recorder = bench.start(&start_at(&run, n / 7)).await;
        let last = if n == 20 { 700 } else { 2 };
        for record in sample::records(&run, 1..=last) {
            recorder.record(&record).unwrap();
        }
        recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    }
    let (text, all) = export(&bench, ExportFormat::Jsonl, &RunFilter::default());
    assert_eq!((all.runs, all.records), (40, 39 * 2 + 700));
    let lines = lines(&text);
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let runs: Vec<_> = of("run").iter().map(|run| run["run_id"].clone()).collect();
    assert_eq!(runs, (0..40).map(|n| json!(format!("run-{n:02}"))).collect::<Vec<_>>());
    let long: Vec<_> = of("record").into_iter().filter(|line| line["run_id"] == "run-20").collect();
    let seqs: Vec<_> = long.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=700).collect::<Vec<_>>());
}

/// A writer that takes nothing after some bytes, and looks whether the file is held meanwhile.
struct Slow<'a> {
    bench: &'a Bench,
    left: usize,
    held: usize,
}

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let busy: i64 = self
            .bench
            .connection()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .unwrap();
        self.held += usize::from(busy != 0);
        if self.left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.left -= 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn whoever_takes_it_slowly_does_not_hold_the_log_and_may_stop() {
    let bench = recorded().await;
    for format in ExportFormat::ALL {
        let mut slow = Slow { bench: &bench, left: 9, held: 0 };
        let error =
            bench.audit.reader().export(format, &RunFilter::default(), &mut slow).unwrap_err();
        let ExportError::Write { source } = error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(slow.held, 0, "no snapshot is held while the export is written");
    }
}

#[tokio::test]
async fn no_export_has_what_was_scrubbed_or_erased() {
    let bench = recorded().await;
    for format in ExportFormat::ALL {
        let (text, _) = export(&bench, format, &RunFilter::default());
        assert!(!text.contains(CANARY), "{text}");
        assert!(text.contains("someone") && text.contains("how many?"), "{format}");
    }
    let run = id("run-2");
    let recorder = bench.audit.start(&sample::start(&run, 2)).await.unwrap().unwrap();
    recorder.close(&sample::outcome(&run, RunStatus::Ok)).await.unwrap();
    bench.audit.erase("someone", after(99)).await.unwrap();
    for format in ExportFormat::ALL {
        let (text, all) = export(&bench, format, &RunFilter::default());
        assert_eq!((all.runs, all.records), (3, 15));
        assert!(!text.contains("someone") && !text.contains("how many?"), "{text}");
    }
}

#[test]
fn formats_have_names() {
    for format in ExportFormat::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "xml".parse::<ExportFormat>().unwrap_err();
    assert_eq!(error, "`xml` is no format; choose jsonl, ocsf or markdown");
}
