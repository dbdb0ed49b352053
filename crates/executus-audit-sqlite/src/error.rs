//! Why a query has no answer, and what the store's errors mean for a run.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use executus_core::port::{AuditError, Cause};
use executus_core::{RunId, Timestamp};
use executus_sqlite::rusqlite::{Error as SqliteError, ErrorCode};
use executus_sqlite::{OpenError, StoreError};
use thiserror::Error;

use crate::anchor::{AnchorError, Tail};

/// Why an audit did not open with its anchor.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AnchoredError {
    /// The file did not open.
    #[error(transparent)]
    Open(OpenError),
    /// The anchor cannot be read.
    #[error(transparent)]
    Anchor(AnchorError),
    /// The file is not the one that the anchor saw, or not all of it. Nothing was written.
    #[error("{} does not go with its anchor: {tail}; put the right file back, or accept it as it is with a reason", .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// How it stands to the anchor.
        tail: Tail,
    },
    /// The file was anchored once, and the anchor has no mark.
    #[error("{} was anchored, and its anchor is empty: was it deleted? Put it back, or accept the file as it is with a reason", .path.display())]
    NoMark {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Query(QueryError),
    /// That it was anchored could not be recorded.
    #[error("that the audit is anchored could not be recorded")]
    Record(#[source] AuditError),
}

/// Why a query has no answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Nothing is recorded under this id.
    #[error("no run `{run}` is recorded")]
    NotFound {
        /// What was asked for.
        run: RunId,
    },
    /// The journal of the run was purged; its records are there.
    #[error("the journal of run `{run}` was purged after its retention; its records are kept")]
    Purged {
        /// The run.
        run: RunId,
    },
    /// A filter means nothing.
    #[error("`{field}` is {value}; give it 0 or more")]
    Negative {
        /// Which field.
        field: &'static str,
        /// What it is.
        value: i64,
    },
    /// A span of time ends before it begins.
    #[error("`since` is {since} and `until` is {until}, which is before it; exchange them")]
    Reversed {
        /// Where it was to begin.
        since: Timestamp,
        /// Where it was to end.
        until: Timestamp,
    },
    /// A cursor is none, or belongs to another list.
    #[error("`{cursor}` is no place in this list; begin without one")]
    Cursor {
        /// What was given, cut to 80 characters.
        cursor: String,
    },
    /// A search has no word to look for.
    #[error("the search has no words; give it letters or digits")]
    NoWords,
    /// Something in the file cannot be read as what it should be.
    #[error("{what} of run `{run}` cannot be read; was the file changed by hand?")]
    Damaged {
        /// The run.
        run: String,
        /// What cannot be read.
        what: String,
        /// Which record of the run it belongs to; `None` for what belongs to the run as a whole.
        seq: Option<u64>,
        /// Why.
        #[source]
        source: Option<Cause>,
    },
    /// The file could not be opened for reading.
    #[error(transparent)]
    Open(OpenError),
    /// It took so long that the log of the file had to be freed. Ask for less at once.
    #[error(
        "the query was stopped: it held the log of the file, which grew too large; ask for less at once, or when nothing is recorded"
    )]
    Stopped,
    /// The file could not be read.
    #[error("the audit cannot be read")]
    Failed {
        /// What happened.
        #[source]
        source: Cause,
    },
}

/// Why an export is not whole. What was written until then stays written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The file could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// What it goes to took no more.
    #[error("the export could not be written")]
    Write {
        /// Why: `BrokenPipe` where somebody did not want more.
        #[source]
        source: io::Error,
    },
}

impl QueryError {
    pub(crate) fn of_sqlite(error: SqliteError) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::Stopped,
            _ => Self::failed(error),
        }
    }

    pub(crate) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed { source: Arc::new(error) }
    }
}

/// What an error of the store means for the run that meets it.
pub(crate) fn audit_error(error: StoreError) -> AuditError {
    let message = error.to_string();
    match error {
        StoreError::Full { .. } => AuditError::Full,
        StoreError::Busy { .. } | StoreError::Held { .. } => {
            AuditError::Unavailable { message, source: Some(Arc::new(error)) }
        }
        _ => AuditError::Broken { message, source: Some(Arc::new(error)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_worth_another_try() {
        let path = || "a.db".into();
        assert!(matches!(audit_error(StoreError::Full { path: path() }), AuditError::Full));
        assert!(audit_error(StoreError::Busy { path: path() }).retry());
        let full = audit_error(StoreError::DiskFull { path: path() });
        assert!(!full.retry());
        assert!(full.to_string().contains("no space left for a.db"), "{full}");
        assert!(!audit_error(StoreError::Closed { path: path() }).retry());
    }
}
