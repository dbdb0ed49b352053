//! Queries.

use std::path::Path;
use std::sync::Arc;

use executus_core::digest::Digest;
use executus_core::port::Cause;
use executus_core::{Key, Record, RunId, RunStatus, Timestamp};
use executus_sqlite::rusqlite::types::Value as SqlValue;
use executus_sqlite::rusqlite::{
    Connection, Error as SqliteError, OptionalExtension, Row, params_from_iter,
};
use executus_sqlite::{OpenError, Reader};
use serde::de::DeserializeOwned;

use crate::anchor::{self, Mark, Tail};
use crate::config::Config;
use crate::error::QueryError;
use crate::note::{Note, NoteFilter};
use crate::query::{AuditRecord, RunFilter, RunSummary};
use crate::schema::SCHEMA;

/// Answers a host's queries. Clones share their connections.
///
/// Every call blocks its thread for a moment, and sees what was durable when it began.
#[derive(Debug, Clone)]
pub struct AuditReader {
    reader: Reader,
}

/// The columns of a summary, in the order of [`summary`].
const SUMMARY: &str = "SELECT run_id, name, caller_id, parent_run_id, started_at, ended_at, status,
  closed, output, error, stats, artifacts, attempt, spec, journaled FROM runs";

/// The columns of a note, in the order of [`noted`].
const NOTE: &str = "SELECT id, run_id, at, kind, body FROM notes";

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
    /// [`QueryError::Negative`] for a limit or an offset below 0.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, QueryError> {
        for (field, value) in [("limit", filter.limit.unwrap_or(0)), ("offset", filter.offset)] {
            if value < 0 {
                return Err(QueryError::Negative { field, value });
            }
        }
        let (condition, values) = conditions(filter);
        let sql = format!("{SUMMARY}{condition} ORDER BY started_at, run_id LIMIT ? OFFSET ?");
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then(params_from_iter(values), summary)?.collect()
        })
    }

    /// One run.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when nothing is recorded under the id.
    pub fn run(&self, run: &RunId) -> Result<RunSummary, QueryError> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{SUMMARY} WHERE run_id = ?"))?;
            let found = statement.query_and_then([run.as_str()], summary)?.next();
            found.unwrap_or_else(|| Err(not_found(run)))
        })
    }

    /// The records of a run, in order, those of lives that a resumption made void included.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] when nothing is recorded under the id.
    pub fn records(&self, run: &RunId) -> Result<Vec<AuditRecord>, QueryError> {
        self.read(|connection| {
            let (id, _) = id(connection, run)?;
            let mut statement = connection.prepare_cached(
                "SELECT seq, at, step, call, args, state, fact, kind, body FROM records
                 WHERE run = ? ORDER BY seq",
            )?;
            let rows = statement.query_and_then([id], |row| {
                let (seq, at, key, state) = head(run.as_str(), row)?;
                let body: String = row.get(8)?;
                let body = part(run.as_str(), "record", seq, &body)?;
                let fact = Digest::from_bytes(row.get(6)?);
                Ok(AuditRecord { seq, at, key, kind: row.get(7)?, body, fact, state })
            })?;
            rows.collect()
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
                let (seq, at, key, state) = head(run.as_str(), row)?;
                let fact: String = row.get(6)?;
                let fact = part(run.as_str(), "fact", seq, &fact)?;
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
            let mut statement = connection.prepare_cached(&format!("{NOTE} WHERE id = ?"))?;
            statement.query_and_then([id], noted)?.next().transpose()
        })
    }

    /// The notes that pass the filter, by time and id: the newest last.
    ///
    /// # Errors
    /// [`QueryError::Damaged`] when one of them cannot be read as one.
    pub fn notes(&self, filter: &NoteFilter) -> Result<Vec<Note>, QueryError> {
        let NoteFilter { run, since, until } = filter;
        let time = |time: &Timestamp| SqlValue::Integer(time.as_micros());
        let run = run.as_ref().map(|run| SqlValue::Text(run.as_str().to_owned()));
        let (condition, values) = all_of([
            run.map(|run| ("run_id = ?", run)),
            since.as_ref().map(|since| ("at >= ?", time(since))),
            until.as_ref().map(|until| ("at < ?", time(until))),
        ]);
        let sql = format!("{NOTE}{condition} ORDER BY at, id");
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_and_then(params_from_iter(values), noted)?.collect()
        })
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
            Ok(Err(Fault::Sqlite(error))) => Err(QueryError::failed(error)),
            Err(error) => Err(QueryError::Open(error)),
        }
    }
}

fn conditions(filter: &RunFilter) -> (String, Vec<SqlValue>) {
    let text = |text: &str| SqlValue::Text(text.to_owned());
    let time = |time: Timestamp| SqlValue::Integer(time.as_micros());
    let (sql, mut values) = all_of([
        filter.status.map(|status| ("status = ?", text(status.as_str()))),
        filter.open.then_some(("(status IS NULL) = ?", SqlValue::Integer(1))),
        filter.caller.as_deref().map(|caller| ("caller_id = ?", text(caller))),
        filter.since.map(|since| ("started_at >= ?", time(since))),
        filter.until.map(|until| ("started_at < ?", time(until))),
    ]);
    values.push(SqlValue::Integer(filter.limit.unwrap_or(-1)));
    values.push(SqlValue::Integer(filter.offset));
    (sql, values)
}

/// Those conditions that there are, with their values.
fn all_of(
    conditions: impl IntoIterator<Item = Option<(&'static str, SqlValue)>>,
) -> (String, Vec<SqlValue>) {
    let (mut sql, mut values) = (String::new(), Vec::new());
    for (condition, value) in conditions.into_iter().flatten() {
        sql.push_str(if values.is_empty() { " WHERE " } else { " AND " });
        sql.push_str(condition);
        values.push(value);
    }
    (sql, values)
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

/// The first columns of both forms of a record.
fn head(run: &str, row: &Row<'_>) -> Result<(u64, Timestamp, Key, Digest), Fault> {
    let seq: i64 = row.get(0)?;
    let seq = seq.cast_unsigned();
    let rest = || {
        let args = row.get::<_, Option<[u8; 32]>>(4)?.map(Digest::from_bytes);
        let key = Key { step: row.get(2)?, call: row.get(3)?, args };
        let at = Timestamp::from_micros(row.get(1)?);
        Ok((seq, at, key, Digest::from_bytes(row.get(5)?)))
    };
    rest().map_err(|why: SqliteError| damaged_part(run, "record", seq, Arc::new(why)))
}

fn noted(row: &Row<'_>) -> Result<Note, Fault> {
    let id: String = row.get(0)?;
    let what = format!("the note `{id}`");
    let run: Option<String> = row.get(1)?;
    let of = run.clone().unwrap_or_else(|| "-".into());
    Ok(Note {
        run_id: run.map(|run| run_id(&of, &what, run)).transpose()?,
        at: Timestamp::from_micros(row.get(2)?),
        kind: row.get(3)?,
        body: parse(&of, &what, &row.get::<_, String>(4)?)?,
        id,
    })
}

fn summary(row: &Row<'_>) -> Result<RunSummary, Fault> {
    let id: String = row.get(0)?;
    let text = |column: usize| row.get::<_, Option<String>>(column);
    let parent = text(3)?.map(|parent| run_id(&id, "the parent", parent));
    let status = text(6)?.map(|status| {
        RunStatus::parse(&status)
            .ok_or_else(|| damaged(&id, &format!("the status `{status}`"), None))
    });
    Ok(RunSummary {
        run_id: run_id(&id, "the id", id.clone())?,
        name: row.get(1)?,
        caller_id: row.get(2)?,
        parent_run_id: parent.transpose()?,
        started_at: Timestamp::from_micros(row.get(4)?),
        ended_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
        status: status.transpose()?,
        closed: row.get(7)?,
        output: row.get(8)?,
        error: text(9)?.map(|error| parse(&id, "the error", &error)).transpose()?,
        stats: text(10)?.map(|stats| parse(&id, "the counts", &stats)).transpose()?,
        artifacts: text(11)?
            .map(|artifacts| parse(&id, "the artifacts", &artifacts))
            .transpose()?
            .unwrap_or_default(),
        attempts: row.get(12)?,
        spec: parse(&id, "the spec", &row.get::<_, String>(13)?)?,
        journaled: row.get(14)?,
    })
}

fn parse<T: DeserializeOwned>(run: &str, what: &str, json: &str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|why| damaged(run, what, Some(Arc::new(why))))
}

/// The same for something of one record.
fn part<T: DeserializeOwned>(run: &str, what: &str, seq: u64, json: &str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|why| damaged_part(run, what, seq, Arc::new(why)))
}

fn damaged_part(run: &str, what: &str, seq: u64, why: Cause) -> Fault {
    let what = format!("{what} {seq}");
    Fault::Query(QueryError::Damaged { run: run.into(), what, seq: Some(seq), source: Some(why) })
}

fn run_id(run: &str, what: &str, text: String) -> Result<RunId, Fault> {
    RunId::new(text).map_err(|why| damaged(run, what, Some(Arc::new(why))))
}

fn damaged(run: &str, what: &str, source: Option<Cause>) -> Fault {
    Fault::Query(QueryError::Damaged { run: run.into(), what: what.into(), seq: None, source })
}
