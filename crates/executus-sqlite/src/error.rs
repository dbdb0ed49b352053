//! Why a store does not open, and why it does not write.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::ErrorCode;
use thiserror::Error;

/// The cause, kept for `source()`: SQLite's own error.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// Why a store did not open.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file, or no folder to create it in.
    #[error("{} cannot be opened: there is no {}; create it or name another path", .path.display(), .missing.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is not there.
        missing: PathBuf,
    },
    /// The file is no database, is damaged, or belongs to another program.
    #[error("{} is not a database of this kind: {found}; move it away or name another path", .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// The file was written by a newer version of this program.
    #[error("{} has schema version {found}, this program knows up to {known}; use a newer version of the program", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
        /// The newest version that can be read.
        known: u32,
    },
    /// The file has an older schema and was opened for reading alone.
    #[error("{} has schema version {found}, version {known} is needed; open it for writing once, which brings it up to date", .path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// The version of the file.
        found: u32,
        /// The version that is needed.
        known: u32,
    },
    /// The file or its folder cannot be written or read by this user.
    #[error("{} cannot be opened: {reason}; check the permissions of the file and of its folder", .path.display())]
    Denied {
        /// The file.
        path: PathBuf,
        /// What is not allowed.
        reason: String,
    },
    /// Another process holds the file. Later it may work.
    #[error("{} is in use by another process; try again when it is done", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Something else.
    #[error("{} cannot be opened: {doing}", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: String,
        /// What happened.
        #[source]
        source: Cause,
    },
}

impl OpenError {
    /// Whether opening may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Denied { .. }
            | Self::Failed { .. } => false,
        }
    }

    /// What SQLite's error means for this file.
    pub(crate) fn from_sqlite(path: &Path, doing: &str, error: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Foreign { path, found: error.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Self::Denied { path, reason: error.to_string() }
            }
            _ => Self::Failed { path, doing: doing.into(), source: Arc::new(error) },
        }
    }

    /// What the system's error means for this file.
    pub(crate) fn from_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing { missing: path.clone(), path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { path, reason: error.to_string() }
            }
            _ => {
                Self::Failed { path, doing: "looking at the file".into(), source: Arc::new(error) }
            }
        }
    }
}

/// Why a job was not written, or a query not answered.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The queue is full. Wait for a job that is settled, then push again.
    #[error("the queue of {} is full", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another process held the file for too long.
    #[error("{} is in use by another process", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// There is no space. The store goes on when there is some again.
    #[error("there is no space left for {}; make some, and it goes on", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The write-ahead log is as large as it may be, and a reader holds it. The store goes on when
    /// the reader is done.
    #[error("the log of {} has {bytes} bytes, and a reader holds it; end the program that reads the file for so long, and it goes on", .path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// The size of its log.
        bytes: u64,
    },
    /// This job alone could not be written.
    #[error("{} refused a row", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A write or a commit failed: what is on the disk is not known, and nothing more is written.
    #[error("{} can no longer be written; check the disk, then open it again", .path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
        /// The first failure.
        #[source]
        source: Cause,
    },
    /// The file is damaged. Nothing more is written.
    #[error("{} is damaged; put a copy in its place, then open it again", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Cause,
    },
    /// The store was closed.
    #[error("{} was closed", .path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    /// Whether the same may succeed later without opening the store again.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Busy { .. } | Self::DiskFull { .. } | Self::Held { .. } => {
                true
            }
            Self::Refused { .. }
            | Self::Poisoned { .. }
            | Self::Corrupt { .. }
            | Self::Closed { .. } => false,
        }
    }

    /// What SQLite's error means. `in_job`: it came up in a job, not in BEGIN or COMMIT.
    pub(crate) fn from_sqlite(path: &Path, error: rusqlite::Error, in_job: bool) -> Self {
        let path = path.to_path_buf();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt { path, source: Arc::new(error) }
            }
            // What a row can do wrong by itself. No code: rusqlite could not bind or read a value.
            Some(
                ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange
                | ErrorCode::Unknown,
            )
            | None
                if in_job =>
            {
                Self::Refused { path, source: Arc::new(error) }
            }
            _ => Self::Poisoned { path, source: Arc::new(error) },
        }
    }
}

/// How a store is: whether what is pushed now can be expected to become durable.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreState {
    /// It writes.
    Writing,
    /// The last transaction failed for a while: [`StoreError::DiskFull`], [`StoreError::Busy`] or
    /// [`StoreError::Held`]. What nobody waits for is kept and tried again; who waits is refused.
    Waiting(StoreError),
    /// Nothing more is written until the file is opened again: [`StoreError::Poisoned`] or
    /// [`StoreError::Corrupt`].
    Failed(StoreError),
    /// It was closed.
    Closed,
}

impl StoreState {
    /// Whether it writes.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        matches!(self, Self::Writing)
    }
}
