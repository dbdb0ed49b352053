//! Why a log cannot be opened, written or read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use executus_core::RunId;
use executus_core::port::{AuditError, Cause};
use thiserror::Error;

/// Why a log cannot be opened.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error("the action log cannot use {}: is it a directory that may be written?", path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Cause,
    },
    /// The writer thread did not start.
    #[error("the writer of the action log in {} did not start", path.display())]
    Thread {
        /// The directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Cause,
    },
}

/// Why a log cannot be read.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nothing is kept under the id.
    #[error("nothing is kept of run `{run}` in {}", root.display())]
    NotFound {
        /// The run.
        run: RunId,
        /// The directory of all runs.
        root: PathBuf,
    },
    /// A file is not what was written.
    #[error("{} cannot be read: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl ReadError {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        let source: Option<Cause> = Some(Arc::new(error));
        Self::Damaged { path: path.into(), message: "the file was not read".into(), source }
    }

    pub(crate) fn damaged(path: &Path, message: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), message: message.into(), source: None }
    }
}

/// The port's error for something that was not written below this path.
pub(crate) fn not_written(path: &Path, error: io::Error) -> AuditError {
    let path = path.display();
    let message = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("no space is left for {path}; make room, and later runs are recorded")
        }
        _ => format!("{path} was not written: {error}"),
    };
    AuditError::Broken { message, source: Some(Arc::new(error)) }
}

/// The port's error for what was there before and cannot be gone on with.
pub(crate) fn not_read(error: ReadError) -> AuditError {
    AuditError::Broken { message: error.to_string(), source: Some(Arc::new(error)) }
}

/// The writer has ended.
pub(crate) fn gone(root: &Path) -> AuditError {
    let message = format!("the action log in {} is closed", root.display());
    AuditError::Broken { message, source: None }
}
