//! The hash chain: one for the file, over everything that is only ever appended.
//!
//! Each transaction that appends something appends a *link* too: the list of the rows that it
//! wrote, in order, each with a digest of its content, and a *head*, the digest of this list and of
//! the head before. The first head before is that of the origin: the file's own number and how many
//! rows there were before the chain. So whoever knows a head knows every row up to there.
//!
//! What a row says is digested with a salt (see [`row`](crate::chain::row)) before it enters the
//! digest of the row: it can be erased, with its salt, and the chain holds.

pub(crate) mod entry;
pub(crate) mod row;

use executus_core::digest::{Digest, Hasher};
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension, params};

use entry::Entry;

/// A place in the chain: how many entries there are up to it, and the digest of them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) count: i64,
    pub(crate) digest: Digest,
}

/// What the chain begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Tells this file from every other.
    pub(crate) file: [u8; 16],
    /// How many rows are from before the chain.
    pub(crate) runs: i64,
    pub(crate) last_run: i64,
    pub(crate) records: i64,
    pub(crate) notes: i64,
}

impl Origin {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection
            .prepare_cached("SELECT file, runs, last_run, records, notes FROM origin")?
            .query_row([], |row| {
                Ok(Self {
                    file: row.get(0)?,
                    runs: row.get(1)?,
                    last_run: row.get(2)?,
                    records: row.get(3)?,
                    notes: row.get(4)?,
                })
            })
    }

    /// The head before the first link.
    pub(crate) fn head(&self) -> Head {
        let mut hasher = Hasher::new();
        hasher.text("executus audit chain 1");
        hasher.bytes(&self.file);
        let counts = [self.runs, self.last_run, self.records, self.notes];
        hasher.numbers(counts.map(i64::cast_unsigned));
        Head { count: 0, digest: hasher.finish() }
    }
}

/// What retention dropped of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The head that the links which are left go on from.
    pub(crate) head: Head,
    pub(crate) at: i64,
    /// How many rows from before the chain were dropped, since ever.
    pub(crate) runs: i64,
    pub(crate) records: i64,
    pub(crate) notes: i64,
}

impl Seal {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "SELECT last, head, at, runs, records, notes FROM seals
                 ORDER BY last DESC LIMIT 1",
            )?
            .query_row([], |row| {
                let digest = Digest::from_bytes(row.get(1)?);
                Ok(Self {
                    head: Head { count: row.get(0)?, digest },
                    at: row.get(2)?,
                    runs: row.get(3)?,
                    records: row.get(4)?,
                    notes: row.get(5)?,
                })
            })
            .optional()
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.text("seal");
        hasher.bytes(self.head.digest.as_bytes());
        let numbers = [self.head.count, self.at, self.runs, self.records, self.notes];
        hasher.numbers(numbers.map(i64::cast_unsigned));
        hasher.finish()
    }
}

/// The head after a link.
pub(crate) fn next(before: &Head, count: i64, entries: &[u8]) -> Head {
    let mut hasher = Hasher::new();
    hasher.text("link");
    hasher.bytes(before.digest.as_bytes());
    hasher.numbers([before.count.cast_unsigned(), count.cast_unsigned()]);
    hasher.bytes(entries);
    Head { count: before.count.saturating_add(count), digest: hasher.finish() }
}

/// The newest head.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Head> {
    let link = connection
        .prepare_cached("SELECT first, count, head FROM chain ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| {
            let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
            let digest = Digest::from_bytes(row.get(2)?);
            Ok(Head { count: first.saturating_add(count).saturating_sub(1), digest })
        })
        .optional()?;
    match link {
        Some(head) => Ok(head),
        None => base(connection),
    }
}

/// The head before the first link that is there.
pub(crate) fn base(connection: &Connection) -> rusqlite::Result<Head> {
    match Seal::read(connection)? {
        Some(seal) => Ok(seal.head),
        None => Origin::read(connection).map(|origin| origin.head()),
    }
}

/// The link of the transaction under way.
#[derive(Debug, Default)]
pub(crate) struct Link {
    count: i64,
    entries: Vec<u8>,
}

/// A place in the link, to go back to when a job turns out to be at fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(i64, usize);

impl Link {
    /// Adds a row that was written, with its digest.
    pub(crate) fn push(&mut self, entry: Entry<'_>, digest: &Digest) {
        entry.write(&mut self.entries);
        self.entries.extend_from_slice(digest.as_bytes());
        self.count += 1;
    }

    pub(crate) const fn mark(&self) -> Mark {
        Mark(self.count, self.entries.len())
    }

    pub(crate) fn back_to(&mut self, Mark(count, len): Mark) {
        self.count = count;
        self.entries.truncate(len);
    }

    /// Appends the link to the chain.
    pub(crate) fn append(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        // Another process may write the same file: the newest head is the file's, not ours.
        let before = newest(connection)?;
        let after = next(&before, self.count, &self.entries);
        connection
            .prepare_cached(
                "INSERT INTO chain (first, count, entries, head) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                before.count + 1,
                self.count,
                self.entries,
                after.digest.as_bytes()
            ])?;
        self.back_to(Mark(0, 0));
        Ok(())
    }
}
