//! What can be set about a store.

use std::path::PathBuf;
use std::time::Duration;

/// Where a store lies, and how much it takes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The database file. It is created when it is not there; its folder is not.
    pub path: PathBuf,
    /// Jobs that may wait: 16384. One that somebody waits for is taken all the same.
    pub queue: usize,
    /// Bytes of the jobs that may wait: 64 MiB. An empty queue takes a job of any size.
    pub queue_bytes: usize,
    /// Jobs that are enough for a transaction: 256. Fewer wait for `linger`.
    pub batch: usize,
    /// Jobs in one transaction, at most: 1024. The more come while one is committed, the more the
    /// next one takes.
    pub transaction: usize,
    /// How long jobs nobody waits for are collected before they are committed: 5 ms.
    pub linger: Duration,
    /// How long another writer of the same file is waited for: 5 s. Opening takes at most about
    /// twice as long.
    pub busy_timeout: Duration,
    /// After how long without a job the write-ahead log is put back into the file: 1 s. Jobs that
    /// were kept when the disk was full are tried again this often.
    pub idle: Duration,
    /// The size to which the write-ahead log is cut back: 16 MiB. At half of it the log is put back
    /// into the file even when there is no pause.
    pub wal_limit: u64,
    /// The size that the write-ahead log may reach while a reader holds it: 1 GiB. Nothing is written
    /// beyond it, but for the transaction that reaches it, until the reader is done; own readers
    /// that take long are stopped before, at half of it.
    pub wal_bound: u64,
    /// Whether references between tables are checked with each row that is written: yes. It costs a
    /// look-up for each; whoever looks the other row up anyway can do without.
    pub foreign_keys: bool,
    /// Connections kept for reading: 4. More may be open at once.
    pub readers: usize,
}

impl Config {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            queue: 16_384,
            queue_bytes: 64 << 20,
            batch: 256,
            transaction: 1024,
            linger: Duration::from_millis(5),
            busy_timeout: Duration::from_secs(5),
            idle: Duration::from_secs(1),
            wal_limit: 16 << 20,
            wal_bound: 1 << 30,
            foreign_keys: true,
            readers: 4,
        }
    }
}
