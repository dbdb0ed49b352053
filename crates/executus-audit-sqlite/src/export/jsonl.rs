//! JSON, an object on each line.

use std::io::{self, Write};

use executus_core::transcript::Artifact;
use executus_core::{RunError, RunSpec, Stats};
use serde::Serialize;
use serde_json::Value;

use super::{Exported, Form};
use crate::anchor::Mark;
use crate::note::Note;
use crate::query::{AuditRecord, RunSummary};

/// The version of the lines.
const FORMAT: u32 = 1;

pub(super) struct Lines<'a> {
    out: &'a mut dyn Write,
}

/// A line; times are microseconds since the epoch, digests are hexadecimal.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Audit { format: u32, file: String, entries: u64, head: String },
    Run(Run<'a>),
    Record(Record<'a>),
    Note(NoteLine<'a>),
    End { runs: u64, records: u64, notes: u64 },
}

#[derive(Serialize)]
struct Run<'a> {
    run_id: &'a str,
    name: &'a str,
    caller_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_run_id: Option<&'a str>,
    started_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    closed: bool,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RunError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<&'a Stats>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    artifacts: &'a [Artifact],
    spec: &'a RunSpec,
}

#[derive(Serialize)]
struct Record<'a> {
    run_id: &'a str,
    seq: u64,
    at: i64,
    step: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<String>,
    kind: &'a str,
    body: &'a Value,
    fact: String,
    state: String,
}

#[derive(Serialize)]
struct NoteLine<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a str>,
    at: i64,
    kind: &'a str,
    body: &'a Value,
}

impl<'a> Lines<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        // As a whole: writing to a stream piece by piece is slow.
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.out.write_all(&text)
    }
}

impl Form for Lines<'_> {
    fn begin(&mut self, mark: &Mark) -> io::Result<()> {
        let file = mark.file.iter().map(|byte| format!("{byte:02x}")).collect();
        let (entries, head) = (mark.count, mark.head.to_string());
        self.line(&Line::Audit { format: FORMAT, file, entries, head })
    }

    fn run(&mut self, run: &RunSummary) -> io::Result<()> {
        self.line(&Line::Run(Run {
            run_id: run.run_id.as_str(),
            name: &run.name,
            caller_id: &run.caller_id,
            parent_run_id: run.parent_run_id.as_ref().map(|run| run.as_str()),
            started_at: run.started_at.as_micros(),
            ended_at: run.ended_at.map(executus_core::Timestamp::as_micros),
            status: run.status.map(executus_core::RunStatus::as_str),
            closed: run.closed,
            attempts: run.attempts,
            output: run.output.as_deref(),
            error: run.error.as_ref(),
            stats: run.stats.as_ref(),
            artifacts: &run.artifacts,
            spec: &run.spec,
        }))
    }

    fn record(&mut self, run: &RunSummary, record: &AuditRecord) -> io::Result<()> {
        self.line(&Line::Record(Record {
            run_id: run.run_id.as_str(),
            seq: record.seq,
            at: record.at.as_micros(),
            step: record.key.step,
            call: record.key.call,
            args: record.key.args.map(|args| args.to_string()),
            kind: &record.kind,
            body: &record.body,
            fact: record.fact.to_string(),
            state: record.state.to_string(),
        }))
    }

    fn note(&mut self, _: Option<&RunSummary>, note: &Note) -> io::Result<()> {
        self.line(&Line::Note(NoteLine {
            id: &note.id,
            run_id: note.run_id.as_ref().map(|run| run.as_str()),
            at: note.at.as_micros(),
            kind: &note.kind,
            body: &note.body,
        }))
    }

    fn run_end(&mut self, _: &RunSummary) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, all: &Exported) -> io::Result<()> {
        let Exported { runs, records, notes } = *all;
        self.line(&Line::End { runs, records, notes })?;
        self.out.flush()
    }
}
