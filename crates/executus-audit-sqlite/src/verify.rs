//! Verifying: whether everything is as the audit wrote it, and what is the first thing that is not.

mod rows;
mod scan;
mod swap;
mod totals;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use executus_core::digest::Digest;
use executus_sqlite::OpenError;
use executus_sqlite::rusqlite::{self, Connection};

use crate::anchor::{self, Anchor, AnchorError, Tail};
use crate::error::QueryError;
use crate::reader::AuditReader;

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Entries of the chain, those that retention dropped included.
    pub entries: u64,
    /// The head that they come to; where there is a flaw, that of the last link before it.
    pub head: Digest,
    /// Entries that retention dropped with their rows: of them the head is left.
    pub dropped: u64,
    /// Rows from before there was a chain: they are counted, and not verified.
    pub before_chain: u64,
    /// Runs and notes whose content was erased: their digests are verified.
    pub erased: u64,
    /// Bytes of rows that were compared with their digests.
    pub bytes: u64,
    /// The first thing that is not as it was written.
    pub flaw: Option<Flaw>,
    /// How the end stands to the anchor.
    pub tail: Tail,
}

impl Verification {
    /// Whether everything that can be told is as it was written.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.flaw.is_none() && self.tail.holds()
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flaw {
    /// Its place in the chain, from 1; `None` for what has none.
    pub entry: Option<u64>,
    /// Which row.
    pub row: Place,
    /// What is wrong with it.
    pub damage: Damage,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry}, {}: {}", self.row, self.damage),
            None => write!(f, "{}: {}", self.row, self.damage),
        }
    }
}

/// A row of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A record of a run.
    Record {
        /// The run.
        run: String,
        /// Its number there.
        seq: u64,
    },
    /// The same as it is in the journal.
    Journal {
        /// The run.
        run: String,
        /// Its number there.
        seq: u64,
    },
    /// A run: what it was asked for, how it ended.
    Run {
        /// The run.
        run: String,
    },
    /// A note.
    Note {
        /// Its id.
        id: String,
    },
    /// The chain itself.
    Chain,
    /// The file as a whole.
    File,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { run, seq } => write!(f, "record {seq} of run `{run}`"),
            Self::Journal { run, seq } => write!(f, "journal entry {seq} of run `{run}`"),
            Self::Run { run } => write!(f, "run `{run}`"),
            Self::Note { id } => write!(f, "note `{id}`"),
            Self::Chain => f.write_str("the chain"),
            Self::File => f.write_str("the file"),
        }
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// It says something else than it did.
    Edited,
    /// It is gone.
    Deleted,
    /// The audit did not write it.
    Inserted,
    /// It stands where another record of its run stood, or says what that one said.
    Swapped {
        /// The number of the other.
        with: u64,
    },
    /// The chain was changed here, or does not go on from what is before.
    Rewritten,
    /// The file is damaged: it was cut, or overwritten.
    Unreadable {
        /// What SQLite says.
        why: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited => f.write_str("edited: it is not what was written"),
            Self::Deleted => f.write_str("deleted"),
            Self::Inserted => f.write_str("inserted: the audit did not write it"),
            Self::Swapped { with } => write!(f, "swapped with number {with}"),
            Self::Rewritten => f.write_str("rewritten: it does not go on from what is before"),
            Self::Unreadable { why } => write!(f, "unreadable: {why}"),
        }
    }
}

/// Verifies a file, without writing to it. Blocks its thread: a large file takes a while.
///
/// Another process may record meanwhile: what is verified is the file as it was at the beginning.
///
/// # Errors
/// A [`QueryError`]: it could not be found out. A damaged file is a flaw, no error.
pub fn verify(
    path: impl AsRef<Path>,
    anchor: Option<&dyn Anchor>,
) -> Result<Verification, QueryError> {
    match AuditReader::open(path) {
        Ok(reader) => reader.verify(anchor),
        Err(error) => not_opened(error),
    }
}

/// What is missing of a file by what its first page says. Asked only when something else is wrong:
/// a file that grows may be so for a moment.
fn cut(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let found = file.metadata().ok()?.len();
    let mut head = [0; 32];
    file.read_exact(&mut head).ok()?;
    let page = u64::from(u16::from_be_bytes([head[16], head[17]]));
    // 1 stands for the largest.
    let page = if page == 1 { 1 << 16 } else { page };
    let pages = u32::from_be_bytes([head[28], head[29], head[30], head[31]]);
    let whole = page * u64::from(pages);
    (found < whole).then(|| format!("it is cut: {found} of {whole} bytes are there"))
}

/// A file that does not open is damaged, or cannot be looked at.
fn not_opened(error: OpenError) -> Result<Verification, QueryError> {
    match &error {
        OpenError::Foreign { found, .. } => return Ok(unreadable(found.clone())),
        OpenError::Failed { source, .. } => {
            if let Some(sqlite) = source.downcast_ref().filter(|error| is_damage(error)) {
                return Ok(unreadable(sqlite.to_string()));
            }
        }
        // No audit was ever that old.
        OpenError::Older { found: 0, .. } => return Ok(unreadable("it is empty".into())),
        _ => {}
    }
    Err(QueryError::Open(error))
}

impl AuditReader {
    /// Verifies the whole file; see [`verify`].
    ///
    /// # Errors
    /// See [`verify`].
    pub fn verify(&self, anchor: Option<&dyn Anchor>) -> Result<Verification, QueryError> {
        // Before the file is looked at: the mark may be behind what is verified, never ahead of it.
        let mark = anchor.map(Anchor::read).transpose();
        let read = self.raw().read(|connection| {
            let found = scan::scan(connection)?;
            let tail = tail(connection, mark)?;
            Ok::<_, rusqlite::Error>(tail.map(|tail| Verification { tail, ..found }))
        });
        match read {
            Ok(Ok(Ok(mut found))) => {
                if found.flaw.is_some()
                    && let Some(why) = cut(self.raw().path())
                {
                    let damage = Damage::Unreadable { why };
                    found.flaw = Some(flaw(None, Place::File, damage));
                }
                Ok(found)
            }
            Ok(Ok(Err(error))) => Err(QueryError::failed(error)),
            Ok(Err(error)) if is_damage(&error) => Ok(unreadable(error.to_string())),
            Ok(Err(error)) => Err(QueryError::of_sqlite(error)),
            Err(error) => not_opened(error),
        }
    }
}

/// How the end stands to what an anchor says.
fn tail(
    connection: &Connection,
    mark: Result<Option<Option<anchor::Mark>>, AnchorError>,
) -> rusqlite::Result<Result<Tail, AnchorError>> {
    Ok(Ok(match mark {
        Ok(None) => Tail::Unknown,
        Ok(Some(None)) => Tail::NoMark,
        Ok(Some(Some(mark))) => anchor::tail(connection, &mark)?,
        Err(AnchorError::WrongKey { .. }) => Tail::WrongKey,
        Err(error) => return Ok(Err(error)),
    }))
}

/// Whether SQLite stumbled over the file itself, or over a value that no audit writes.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    match error {
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::Utf8Error(..) => true,
        // Unknown: a table or a column is not there.
        error => {
            matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | Unknown))
        }
    }
}

fn unreadable(why: String) -> Verification {
    Verification {
        entries: 0,
        head: Digest::default(),
        dropped: 0,
        before_chain: 0,
        erased: 0,
        bytes: 0,
        flaw: Some(Flaw { entry: None, row: Place::File, damage: Damage::Unreadable { why } }),
        tail: Tail::Unknown,
    }
}

/// A flaw of a row.
pub(crate) fn flaw(entry: Option<i64>, row: Place, damage: Damage) -> Flaw {
    Flaw { entry: entry.map(i64::cast_unsigned), row, damage }
}
