//! What can be set about the checkpoints.

use std::path::PathBuf;
use std::time::Duration;

/// Where the checkpoints lie, and how long a save waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The database file. It is created when it is not there, and so is the folder of its holders
    /// (`<path>.holders`); the folder that both are in is not.
    pub path: PathBuf,
    /// How long a call waits to become durable: 10 s. The executor has a limit of its own.
    pub wait: Duration,
    /// How long another process that writes the same file is waited for: 5 s.
    pub busy_timeout: Duration,
}

impl Config {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            wait: Duration::from_secs(10),
            busy_timeout: Duration::from_secs(5),
        }
    }

    pub(crate) fn store(&self) -> executus_sqlite::Config {
        let mut store = executus_sqlite::Config::new(&self.path);
        store.busy_timeout = self.busy_timeout;
        store
    }
}
