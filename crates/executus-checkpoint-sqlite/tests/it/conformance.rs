//! The guarantees of the port, as every implementation shows them.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::Checkpointer;
use executus_sqlite::rusqlite::Connection;
use executus_testkit::conformance::{self, CheckpointProbe};
use tokio::sync::Mutex;

use crate::bench::Bench;

/// Opens the file as other processes would, and counts what is written to it.
struct Probe {
    bench: Bench,
    /// Has looked at the file when it was new, and still does: nothing is put back from the
    /// write-ahead log into the file, so that the log holds all that was ever written.
    _reader: Mutex<Connection>,
}

impl Probe {
    fn new() -> Self {
        let bench = Bench::new();
        let first = bench.open();
        let reader = Connection::open(bench.path()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM runs;").unwrap();
        drop(first);
        Self { bench, _reader: Mutex::new(reader) }
    }
}

#[async_trait]
impl CheckpointProbe for Probe {
    async fn open(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.bench.open())
    }

    async fn written(&self) -> u64 {
        let mut log = self.bench.path().into_os_string();
        log.push("-wal");
        fs::metadata(log).map_or(0, |log| log.len())
    }
}

/// K1 K2 K3 K4 K5 K6 K7 K8 K9: the checkpointer on SQLite.
#[tokio::test(flavor = "multi_thread")]
async fn the_checkpointer_on_sqlite_conforms() {
    conformance::checkpointer(&Probe::new()).await;
}
