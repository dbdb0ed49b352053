//! The write-ahead log: how large it is, and who may let it grow.
//!
//! SQLite puts the log back into the file and begins it anew, unless a reader still needs what is in
//! it. A reader that never ends would let it grow until the disk is full.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::config::Config;
use crate::error::StoreError;

/// The log of a file.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    path: PathBuf,
    file: PathBuf,
    bound: u64,
    busy_timeout: Duration,
}

impl Log {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            path: config.path.clone(),
            file: beside(&config.path),
            bound: config.wal_bound,
            busy_timeout: config.busy_timeout,
        }
    }

    /// Its size; 0 when there is none.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Whether readers of our own should end.
    pub(crate) fn presses(&self) -> bool {
        self.bytes() > self.bound / 2
    }

    /// Whether another transaction may be written. Where the log is too large, it is put back first,
    /// without waiting for anyone.
    pub(crate) fn check(&self, connection: &Connection) -> Result<(), StoreError> {
        if self.bytes() <= self.bound {
            return Ok(());
        }
        let failed = |error| StoreError::from_sqlite(&self.path, error, false);
        connection.busy_timeout(Duration::ZERO).map_err(failed)?;
        let emptied = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
            .map(|busy| busy == 0);
        connection.busy_timeout(self.busy_timeout).map_err(failed)?;
        match emptied {
            Ok(true) => Ok(()),
            // Also when it could not be put back for another reason: it must not grow.
            Ok(false) => Err(self.held()),
            Err(error) => match StoreError::from_sqlite(&self.path, error, false) {
                StoreError::Busy { .. } => Err(self.held()),
                error => Err(error),
            },
        }
    }

    fn held(&self) -> StoreError {
        StoreError::Held { path: self.path.clone(), bytes: self.bytes() }
    }
}

/// SQLite's name for it.
fn beside(path: &Path) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push("-wal");
    file.into()
}
