//! A log in a directory of its own, and runs to write into it.

use std::path::Path;
use std::sync::Arc;

use executus_audit_files::{Config, FileAudit, FilesReader};
use executus_core::port::{Audit, AuditError, Recorder};
use executus_core::record::{Decided, Fact};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Effect, Key, Record, Reply, RunId, RunStatus, ToolOutput};
use executus_testkit::sample;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) audit: FileAudit,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::new(folder.path().join("log"));
        set(&mut config);
        Self { audit: FileAudit::open(config).unwrap(), folder }
    }

    pub(crate) fn reader(&self) -> FilesReader {
        self.audit.reader()
    }

    pub(crate) async fn start(&self, run: &RunId) -> Box<dyn Recorder> {
        self.audit.start(&sample::start(run, 1)).await.unwrap().unwrap()
    }

    /// A whole run with these calls, one each step, from the step given.
    pub(crate) async fn record(&self, run: &RunId, step: u32, calls: &[Reply]) {
        let recorder = self.start(run).await;
        recorder.record(&sample::record(run, 1)).unwrap();
        for ((reply, step), seq) in calls.iter().zip(step..).zip((2..).step_by(2)) {
            give(&*recorder, &decided(run, seq, step, reply)).await;
            give(&*recorder, &acted(run, seq + 1, step, reply, "done")).await;
        }
        recorder.close(&sample::outcome(run, RunStatus::Ok)).await.unwrap();
    }
}

pub(crate) fn run(id: &str) -> RunId {
    RunId::new(id).unwrap()
}

pub(crate) async fn give(recorder: &dyn Recorder, record: &Record) {
    if let Err(error) = recorder.record(record) {
        assert!(matches!(error, AuditError::Full), "{error}");
        recorder.flush().await.unwrap();
        recorder.record(record).unwrap();
    }
}

pub(crate) fn decided(run: &RunId, seq: u64, step: u32, reply: &Reply) -> Record {
    let effects = reply.calls.iter().map(|_| Effect::Once).collect();
    let fact = Fact::Decided(Decided { step, reply: Arc::new(reply.clone()), effects });
    sample::at(run, seq, Key::step(step), fact)
}

/// The first call of a reply, answered.
pub(crate) fn acted(run: &RunId, seq: u64, step: u32, reply: &Reply, text: &str) -> Record {
    acted_at(run, seq, step, 0, reply, text)
}

pub(crate) fn acted_at(
    run: &RunId,
    seq: u64,
    step: u32,
    call: u32,
    reply: &Reply,
    text: &str,
) -> Record {
    let name = Arc::clone(&reply.calls[call as usize].name);
    let outcome = CallOutcome::Output(ToolOutput::text(text));
    let acted = Acted { step, call, id: "".into(), name, outcome, duration_ms: 12 };
    let key = Key { step, call: Some(call), args: None };
    sample::at(run, seq, key, Fact::Acted(Arc::new(acted)))
}

/// The names in a directory, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The names of actions in a directory.
pub(crate) fn actions(folder: &Path) -> Vec<String> {
    let mut names = names(folder);
    names.retain(|name| !matches!(name.as_str(), "run.json" | "trail.jsonl"));
    names
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
