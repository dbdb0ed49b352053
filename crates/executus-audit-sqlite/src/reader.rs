//! Queries.

mod filter;
mod rows;
mod search;

use std::path::Path;

use executus_core::{Record, RunId};
use executus_sqlite::rusqlite::{
    Connection, Error as SqliteError, OptionalExtension, params, params_from_iter,
};
use executus_sqlite::{OpenError, Reader};

use crate::anchor::{self, Mark, Tail};
use crate::config::Config;
use crate::cursor::{Cursor, List, Page};
use crate::error::QueryError;
use crate::note::{Note, NoteFilter};
use crate::query::{AuditRecord, RunFilter, RunSummary};
use crate::schema::SCHEMA;
use filter::Selection;

/// Answers a host's queries. Clones share their connections.
///
/// Every call blocks its thread for a moment, and sees what was durable when it began.
#[derive(Debug, Clone)]
pub struct AuditReader {
    reader: Reader,
}

/// Why a query has no answer, while SQLite's own errors are still on their way.
enum Fault {
    Query(QueryError),
    Sqlite(SqliteError),
}

impl From<SqliteError> for Fault {
    fn from(error: SqliteError) -> Self {
        Self::Sqlite(error)
    }
}

impl AuditReader {
    /// Opens a file that is there, without writing to it.
    ///
    /// # Errors
    /// An [`OpenError`] names the file and says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let config = Config::new(path.as_ref()).store();
        Reader::open(&config, SCHEMA).map(Self::new)
    }

    pub(crate) const fn new(reader: Reader) -> Self {
        Self { reader }
    }

    pub(crate) const fn raw(&self) -> &Reader {
        &self.reader
    }

    /// The runs that pass the filter, by the time of their start and their id: the newest last.
    ///
    /// # Errors
    /// [`QueryError::Negative`], [`QueryError::Reversed`] and [`QueryError::Cursor`] for a filter
    /// that means nothing.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, QueryError> {
        self.runs_page(filter).map(|page| page.items)
    }

    /// The same, with the place where the next page begins.
    ///
    /// # Errors
    /// As of [`runs`](Self::runs).
    pub fn runs_page(&self, filter: &RunFilter) -> Result<Page<RunSummary>, QueryError> {
        let Selection { sql, values } = filter::runs(filter)?;
        let sql = format!("{}{sql}", rows::SUMMARY);
        let runs = self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then(params_from_iter(values), rows::summary)?.collect()
        })?;
        let cursor =
            |run: &RunSummary| Cursor::new(List::Runs, run.started_at, run.run_id.as_str());
        Ok(Page::cut(runs, filter.limit, cursor))
    }

    /// One run.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when nothing is recorded under the id.
    pub fn run(&self, run: &RunId) -> Result<RunSummary, QueryError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{} WHERE run_id = ?", rows::SUMMARY))?;
            let found = statement.query_and_then([run.as_str()], rows::summary)?.next();
            found.unwrap_or_else(|| Err(not_found(run)))
        })
    }

    /// Whether a run is recorded under this id.
    pub(crate) fn is_recorded(&self, run: &RunId) -> Result<bool, QueryError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM runs WHERE run_id = ?")?;
            Ok(statement.exists([run.as_str()])?)
        })
    }

    /// The records of a run, in order, those of lives that a resumption made void included.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when nothing is recorded under the id.
    pub fn records(&self, run: &RunId) -> Result<Vec<AuditRecord>, QueryError> {
        self.read(|connection| {
            let (id, _) = id(connection, run)?;
            let sql = format!("{} WHERE run = ? ORDER BY seq", rows::RECORD);
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then([id], |row| rows::record(run.as_str(), row))?.collect()
        })
    }

    /// The records of a run with a number above `seq`, in order, at most so many.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when nothing is recorded under the id.
    pub fn records_after(
        &self,
        run: &RunId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, QueryError> {
        self.records_within(run, seq, limit, usize::MAX)
    }

    /// The same; no more of them when they take so many bytes.
    pub(crate) fn records_within(
        &self,
        run: &RunId,
        seq: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<AuditRecord>, QueryError> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        self.read(|connection| {
            let (id, _) = id(connection, run)?;
            let sql = format!("{} WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?", rows::RECORD);
            let mut statement = connection.prepare_cached(&sql)?;
            let mut found = statement.query(params![id, seq, limit])?;
            let (mut records, mut taken) = (Vec::new(), 0_usize);
            while taken < bytes {
                let Some(row) = found.next()? else { break };
                taken = taken.saturating_add(row.get_ref(8)?.as_bytes().map_or(0, <[u8]>::len));
                records.push(rows::record(run.as_str(), row)?);
            }
            Ok(records)
        })
    }

    /// The facts of a run in full, in order, as they were given to the recorder, those of lives
    /// that a resumption made void included.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when nothing is recorded under the id, [`QueryError::Purged`] when
    /// the journal's time is over.
    pub fn journal(&self, run: &RunId) -> Result<Vec<Record>, QueryError> {
        self.read(|connection| {
            let (id, journaled) = id(connection, run)?;
            if !journaled {
                return Err(Fault::Query(QueryError::Purged { run: run.clone() }));
            }
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, step, call, args, state, journal.fact
                 FROM records JOIN journal USING (run, seq) WHERE run = ? ORDER BY seq",
            )?;
            let rows = statement.query_and_then([id], |row| {
                let (seq, at, key, state) = rows::head(run.as_str(), row)?;
                let fact: String = row.get(6)?;
                let fact = rows::part(run.as_str(), "fact", seq, &fact)?;
                Ok(Record { seq, at, key, fact, state })
            })?;
            rows.collect()
        })
    }

    /// The note of this id; `None` when there is none.
    ///
    /// # Errors
    /// [`QueryError::Damaged`] when it cannot be read as one.
    pub fn note(&self, id: &str) -> Result<Option<Note>, QueryError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{} WHERE id = ?", rows::NOTE))?;
            statement.query_and_then([id], rows::noted)?.next().transpose()
        })
    }

    /// The notes that pass the filter, by time and id: the newest last.
    ///
    /// # Errors
    /// [`QueryError::Damaged`] when one of them cannot be read as one; those of
    /// [`runs`](Self::runs) for a filter that means nothing.
    pub fn notes(&self, filter: &NoteFilter) -> Result<Vec<Note>, QueryError> {
        self.notes_page(filter).map(|page| page.items)
    }

    /// The same, with the place where the next page begins.
    ///
    /// # Errors
    /// As of [`notes`](Self::notes).
    pub fn notes_page(&self, filter: &NoteFilter) -> Result<Page<Note>, QueryError> {
        let Selection { sql, values } = filter::notes(filter)?;
        let sql = format!("{}{sql}", rows::NOTE);
        let notes = self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then(params_from_iter(values), rows::noted)?.collect()
        })?;
        let cursor = |note: &Note| Cursor::new(List::Notes, note.at, &note.id);
        Ok(Page::cut(notes, filter.limit, cursor))
    }

    /// How far the chain goes now: for an anchor of a host's own.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn mark(&self) -> Result<Mark, QueryError> {
        self.read(|connection| Ok(anchor::newest(connection)?))
    }

    /// How the end of the chain stands to a mark, by the heads that are kept: quick, and no
    /// substitute for [`verify`](Self::verify).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn tail(&self, mark: &Mark) -> Result<Tail, QueryError> {
        self.read(|connection| Ok(anchor::tail(connection, mark)?))
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, QueryError> {
        match self.reader.read(query) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Fault::Query(error))) => Err(error),
            Ok(Err(Fault::Sqlite(error))) => Err(QueryError::of_sqlite(error)),
            Err(error) => Err(QueryError::Open(error)),
        }
    }
}

/// The row of a run, and whether its journal is there.
fn id(connection: &Connection, run: &RunId) -> Result<(i64, bool), Fault> {
    connection
        .prepare_cached("SELECT id, journaled FROM runs WHERE run_id = ?")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or_else(|| not_found(run))
}

fn not_found(run: &RunId) -> Fault {
    Fault::Query(QueryError::NotFound { run: run.clone() })
}
