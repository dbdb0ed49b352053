//! Specs, records and outcomes that look like those of a real run.

use std::sync::Arc;
use std::time::Duration;

use executus_core::digest::Digest;
use executus_core::id::Key;
use executus_core::port::{Parcel, RunStart};
use executus_core::record::{Decided, Fact};
use executus_core::spec::{FORMAT, PortSet};
use executus_core::{
    Limits, Outcome, Record, Reply, RunError, RunId, RunSpec, RunStatus, Stats, Timestamp,
};
use serde_json::{Value, json};

/// When every sample run begins.
pub const BEGIN: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A spec of this run, with everything filled in.
#[must_use]
pub fn spec(run: &RunId) -> RunSpec {
    spec_with(run, json!({"question": "how many?"}))
}

/// A spec of this run with these inputs.
#[must_use]
pub fn spec_with(run: &RunId, inputs: Value) -> RunSpec {
    RunSpec {
        format: FORMAT,
        run_id: run.clone(),
        subject_id: "sample".into(),
        name: "a sample".into(),
        caller_id: "someone".into(),
        channel_id: "somewhere".into(),
        parent_run_id: None,
        depth: 0,
        inputs: Arc::new(inputs),
        brief: None,
        labels: Arc::new(Value::Null),
        limits: Limits::default(),
        started_at: BEGIN,
        deadline: BEGIN.after(Duration::from_secs(600)),
        ports: PortSet::default(),
        dry_run: false,
        read_only: false,
    }
}

/// The start of one life of this run.
#[must_use]
pub fn start(run: &RunId, attempt: u32) -> RunStart {
    RunStart { spec: Arc::new(spec(run)), attempt, at: BEGIN }
}

/// The record of this run with this number: the opening one for 1, a model's reply for others.
#[must_use]
pub fn record(run: &RunId, seq: u64) -> Record {
    let step = u32::try_from(seq.saturating_sub(1)).unwrap_or(u32::MAX);
    let fact = match seq {
        1 => Fact::Opened(Arc::new(spec(run))),
        _ => Fact::Decided(Decided {
            step,
            reply: Arc::new(Reply::call("look", json!({"page": seq}))),
            effects: vec![executus_core::Effect::ReadOnly],
        }),
    };
    at(run, seq, Key::step(step), fact)
}

/// The record that begins a later life.
#[must_use]
pub fn resumed(run: &RunId, seq: u64, attempt: u32) -> Record {
    let deadline = BEGIN.after(Duration::from_secs(1200));
    at(run, seq, Key::step(0), Fact::Resumed { from_seq: seq - 1, attempt, deadline })
}

/// A record of this run with this fact.
#[must_use]
pub fn at(run: &RunId, seq: u64, key: Key, fact: Fact) -> Record {
    let state = Digest::of_json(&json!([run.as_str(), seq]));
    Record { seq, at: BEGIN.after(Duration::from_millis(seq)), key, fact, state }
}

/// The records of this run with these numbers.
#[must_use]
pub fn records(run: &RunId, seqs: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    seqs.map(|seq| record(run, seq)).collect()
}

/// An outcome of this run; one that is neither `ok` nor `dry_run` has an error.
#[must_use]
pub fn outcome(run: &RunId, status: RunStatus) -> Outcome {
    let good = matches!(status, RunStatus::Ok | RunStatus::DryRun);
    let kind = executus_core::ErrorKind::Failed;
    Outcome {
        run_id: run.clone(),
        status,
        output: Some("42".into()),
        error: (!good).then(|| RunError::new(kind, "a sample failure")),
        stats: Stats::default(),
        artifacts: Vec::new(),
    }
}

/// A parcel of this run.
#[must_use]
pub fn parcel(run: &RunId, status: RunStatus) -> Parcel {
    Parcel { spec: Arc::new(spec(run)), outcome: Arc::new(outcome(run, status)) }
}
