//! The anchor: the newest head of the chain, kept outside the file.
//!
//! Whoever can write the file can cut its end off, or put an older copy in its place, and leave a
//! chain that holds. Somebody else has to know how long it was.

mod file;

use std::fmt;
use std::sync::Arc;

use executus_core::digest::Digest;
use executus_core::port::Cause;
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension};
use thiserror::Error;

use crate::chain::{self, Head, Origin};

pub use file::{AnchorKey, FileAnchor};

/// How far the chain of a file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which file: its number, made at random with its chain.
    pub file: [u8; 16],
    /// How many entries the chain had.
    pub count: u64,
    /// The digest of them all.
    pub head: Digest,
}

/// A place outside the file that remembers the newest mark: a file with a key, a log of another
/// machine.
///
/// The writer thread of the audit calls [`write`](Self::write) after each transaction and before
/// anybody hears that it is durable: every record that was acknowledged is behind a mark, and no
/// mark is ahead of what is durable. So it has to be quick, and may be late: a mark that a crash or
/// a failure kept back is caught up with by the next.
///
/// # Panics
/// A panic ends the writer thread: the audit takes nothing more.
pub trait Anchor: fmt::Debug + Send + Sync {
    /// Remembers a mark in place of the one before. Of several processes that write the same audit
    /// each writes its own: one that is behind the mark that is kept MUST be ignored.
    ///
    /// # Errors
    /// See [`AnchorError`]. The audit goes on and logs it.
    fn write(&self, mark: &Mark) -> Result<(), AnchorError>;

    /// Replaces whatever is kept, readable or not: an operator decided so.
    ///
    /// # Errors
    /// See [`AnchorError`].
    fn replace(&self, mark: &Mark) -> Result<(), AnchorError>;

    /// The newest mark; `None` when none was ever written.
    ///
    /// # Errors
    /// See [`AnchorError`].
    fn read(&self) -> Result<Option<Mark>, AnchorError>;
}

/// Why an anchor has no mark to show, or takes none.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// What is kept was not made with this key.
    #[error(
        "the anchor {place} was made with another key, or was changed; use the key of the audit, or find out who changed it"
    )]
    WrongKey {
        /// Where it is kept.
        place: String,
    },
    /// The key is none.
    #[error(
        "an anchor's key needs at least {least} bytes, {found} are given; make one from random bytes"
    )]
    ShortKey {
        /// How many it needs.
        least: usize,
        /// How many there are.
        found: usize,
    },
    /// It cannot be reached.
    #[error("the anchor {place} cannot be read or written")]
    Failed {
        /// Where it is kept.
        place: String,
        /// Why.
        #[source]
        source: Cause,
    },
}

/// How the end of a chain stands to the anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tail {
    /// No anchor was given: whether the end was cut off, nobody can tell.
    Unknown,
    /// The anchor has no mark: it is new, or was deleted.
    NoMark,
    /// The chain goes on from the anchor's mark, by so many entries.
    Anchored {
        /// Entries after the mark: what a crash kept from the anchor.
        after: u64,
    },
    /// The chain ends before the mark: its end was cut off, the write-ahead log was deleted, or an
    /// older copy was put in the file's place.
    Cut {
        /// How many entries there are.
        found: u64,
        /// How many there were.
        anchored: u64,
    },
    /// The chain says something else at the mark: what was before it was written anew, or an older
    /// copy was put in the file's place and went on.
    Forked {
        /// The place of the mark.
        at: u64,
    },
    /// The mark is of another file.
    OtherFile,
    /// The mark is older than what retention dropped: the anchor was put back to an older state.
    OldMark {
        /// The place of the mark.
        at: u64,
    },
    /// The mark cannot be read with this key.
    WrongKey,
}

impl Tail {
    /// Whether nothing speaks against it; what is unknown does not.
    #[must_use]
    pub const fn holds(&self) -> bool {
        match self {
            Self::Unknown | Self::NoMark | Self::Anchored { .. } => true,
            Self::Cut { .. }
            | Self::Forked { .. }
            | Self::OtherFile
            | Self::OldMark { .. }
            | Self::WrongKey => false,
        }
    }
}

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no anchor: whether the end was cut off cannot be told"),
            Self::NoMark => {
                f.write_str("the anchor is empty: whether the end was cut off cannot be told")
            }
            Self::Anchored { after: 0 } => f.write_str("the end is the anchor's"),
            Self::Anchored { after } => write!(f, "{after} entries after the anchor's mark"),
            Self::Cut { found, anchored } => write!(
                f,
                "cut off: there are {found} entries, the anchor saw {anchored}; the end was \
                 deleted, the write-ahead log was, or this is an older copy"
            ),
            Self::Forked { at } => write!(
                f,
                "forked: entry {at} is not the one that the anchor saw; what was before was \
                 written anew, or this is an older copy that went on"
            ),
            Self::OtherFile => f.write_str("the anchor belongs to another file"),
            Self::OldMark { at } => write!(
                f,
                "the anchor's mark, entry {at}, is older than what retention dropped: the anchor \
                 was put back"
            ),
            Self::WrongKey => f.write_str("the anchor was made with another key, or was changed"),
        }
    }
}

/// The newest mark of a file.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Mark> {
    let file = Origin::read(connection)?.file;
    let head = chain::newest(connection)?;
    Ok(Mark { file, count: head.count.cast_unsigned(), head: head.digest })
}

/// How the end of the chain stands to a mark, by the heads that are kept.
pub(crate) fn tail(connection: &Connection, mark: &Mark) -> rusqlite::Result<Tail> {
    let now = newest(connection)?;
    if now.file != mark.file {
        return Ok(Tail::OtherFile);
    }
    if now.count < mark.count {
        return Ok(Tail::Cut { found: now.count, anchored: mark.count });
    }
    Ok(match head_at(connection, mark.count.cast_signed())? {
        Some(head) if head.digest == mark.head => Tail::Anchored { after: now.count - mark.count },
        None if mark.count.cast_signed() < chain::base(connection)?.count => {
            Tail::OldMark { at: mark.count }
        }
        _ => Tail::Forked { at: mark.count },
    })
}

/// The head after so many entries, where a link ends there.
fn head_at(connection: &Connection, count: i64) -> rusqlite::Result<Option<Head>> {
    let base = chain::base(connection)?;
    if base.count == count {
        return Ok(Some(base));
    }
    let link = connection
        .prepare_cached(
            "SELECT first + count - 1, head FROM chain WHERE first <= ?1
             ORDER BY first DESC LIMIT 1",
        )?
        .query_row([count], |row| {
            Ok(Head { count: row.get(0)?, digest: Digest::from_bytes(row.get(1)?) })
        })
        .optional()?;
    Ok(link.filter(|head| head.count == count))
}

/// What the writer thread does after each COMMIT.
pub(crate) fn follow(anchor: Arc<dyn Anchor>) -> impl FnMut(&Connection) + Send + 'static {
    let mut last = None;
    let mut failing = false;
    move |connection| {
        let mark = match newest(connection) {
            Ok(mark) if last == Some(mark) => return,
            Ok(mark) => mark,
            Err(error) => {
                tracing::error!(%error, "the head of the audit's chain cannot be read");
                return;
            }
        };
        match anchor.write(&mark) {
            Ok(()) => (last, failing) = (Some(mark), false),
            Err(error) => {
                // Once: it is tried again after each transaction.
                if !failing {
                    tracing::error!(%error, "the audit goes on without its anchor");
                }
                failing = true;
            }
        }
    }
}
