//! An audit in a folder of its own, and runs to record in it.

use std::path::PathBuf;

use executus_audit_sqlite::{Config, SqliteAudit};
use executus_core::port::{Audit, Recorder, RunStart};
use executus_core::{Fact, Key, Record, RunId, Timestamp};
use executus_sqlite::rusqlite::Connection;
use executus_testkit::sample;
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) audit: SqliteAudit,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("audit.db"));
        set(&mut config);
        Self { audit: SqliteAudit::open(config).unwrap(), folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("audit.db")
    }

    /// A connection of another program.
    pub(crate) fn connection(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    pub(crate) async fn start(&self, start: &RunStart) -> Box<dyn Recorder> {
        self.audit.start(start).await.unwrap().unwrap()
    }

    /// The sequence numbers in the file, seen by another program.
    pub(crate) fn seqs(&self, run: &RunId) -> Vec<i64> {
        let connection = self.connection();
        let sql = "SELECT seq FROM records WHERE run = (SELECT id FROM runs WHERE run_id = ?)";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([run.as_str()], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// A run id.
pub(crate) fn id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

/// Some time after the samples begin.
pub(crate) fn after(seconds: i64) -> Timestamp {
    Timestamp::from_micros(sample::BEGIN.as_micros() + seconds * 1_000_000)
}

/// The start of a run that began so many seconds after the samples begin.
pub(crate) fn start_at(run: &RunId, seconds: i64) -> RunStart {
    let mut spec = sample::spec(run);
    spec.started_at = after(seconds);
    RunStart { spec: spec.into(), attempt: 1, at: after(seconds) }
}

/// A record of a call.
pub(crate) fn of_call(run: &RunId, seq: u64, call: u32, fact: Fact) -> Record {
    sample::at(run, seq, Key { step: 1, call: Some(call), args: None }, fact)
}
