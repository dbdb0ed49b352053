//! A folder with a file of checkpoints in it.

use std::path::PathBuf;
use std::time::Duration;

use executus_checkpoint_sqlite::{Config, SqliteCheckpointer};
use tempfile::TempDir;

/// A lease that no test outlives.
pub(crate) const LEASE: Duration = Duration::from_secs(600);

pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("checkpoints.db")
    }

    /// Another holder.
    pub(crate) fn open(&self) -> SqliteCheckpointer {
        SqliteCheckpointer::open(Config::new(self.path())).unwrap()
    }
}
