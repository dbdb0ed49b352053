//! What can be set about the audit.

use std::path::PathBuf;
use std::time::Duration;

/// Where the audit lies, and how much it takes and keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The database file. It is created when it is not there; its folder is not.
    pub path: PathBuf,
    /// Records that may wait to be written: 16384.
    pub queue: usize,
    /// Bytes of the records that may wait: 64 MiB.
    pub queue_bytes: usize,
    /// How long a start, a flush or a close waits to become durable: 10 s.
    pub wait: Duration,
    /// How long another process that writes the same file is waited for: 5 s.
    pub busy_timeout: Duration,
    /// The size that the file's log may reach while some program reads and never ends: 1 GiB. New
    /// runs are refused, and those under way wait, until it does.
    pub wal_bound: u64,
    /// How long the journal of a closed run is kept: 30 days. `None` keeps it for ever. The records
    /// stay.
    pub journal_retention: Option<Duration>,
    /// How long a closed run is kept at all, and a note that belongs to no run: `None`, for ever.
    pub retention: Option<Duration>,
}

impl Config {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            queue: 16_384,
            queue_bytes: 64 << 20,
            wait: Duration::from_secs(10),
            busy_timeout: Duration::from_secs(5),
            wal_bound: 1 << 30,
            journal_retention: Some(Duration::from_secs(30 * 86_400)),
            retention: None,
        }
    }

    pub(crate) fn store(&self) -> executus_sqlite::Config {
        let mut store = executus_sqlite::Config::new(&self.path);
        store.queue = self.queue;
        store.queue_bytes = self.queue_bytes;
        store.busy_timeout = self.busy_timeout;
        store.wal_bound = self.wal_bound;
        // The run of a record is looked up for its salt, once in a transaction.
        store.foreign_keys = false;
        store
    }
}
