//! Rows as what a host gets.

use std::sync::Arc;

use executus_core::digest::Digest;
use executus_core::port::Cause;
use executus_core::{Key, RunId, RunStatus, Timestamp};
use executus_sqlite::rusqlite::{Error as SqliteError, Row};
use serde::de::DeserializeOwned;

use super::Fault;
use crate::error::QueryError;
use crate::note::Note;
use crate::query::{AuditRecord, RunSummary};

/// The columns of a summary, in the order of [`summary`].
pub(super) const SUMMARY: &str = "SELECT run_id, name, caller_id, parent_run_id, started_at,
  ended_at, status, closed, output, error, stats, artifacts, attempt, spec, journaled FROM runs";

/// The columns of a note, in the order of [`noted`].
pub(super) const NOTE: &str = "SELECT id, run_id, at, kind, body FROM notes";

/// The columns of a record, in the order of [`record`].
pub(super) const RECORD: &str =
    "SELECT seq, at, step, call, args, state, fact, kind, body FROM records";

pub(super) fn record(run: &str, row: &Row<'_>) -> Result<AuditRecord, Fault> {
    let (seq, at, key, state) = head(run, row)?;
    let body = part(run, "record", seq, row.get_ref(8)?.as_str().map_err(SqliteError::from)?)?;
    let fact = Digest::from_bytes(row.get(6)?);
    Ok(AuditRecord { seq, at, key, kind: row.get(7)?, body, fact, state })
}

/// The first columns of both forms of a record.
pub(super) fn head(run: &str, row: &Row<'_>) -> Result<(u64, Timestamp, Key, Digest), Fault> {
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

pub(super) fn noted(row: &Row<'_>) -> Result<Note, Fault> {
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

pub(super) fn summary(row: &Row<'_>) -> Result<RunSummary, Fault> {
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

pub(super) fn parse<T: DeserializeOwned>(run: &str, what: &str, json: &str) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|why| damaged(run, what, Some(Arc::new(why))))
}

/// The same for something of one record.
pub(super) fn part<T: DeserializeOwned>(
    run: &str,
    what: &str,
    seq: u64,
    json: &str,
) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|why| damaged_part(run, what, seq, Arc::new(why)))
}

fn damaged_part(run: &str, what: &str, seq: u64, why: Cause) -> Fault {
    let what = format!("{what} {seq}");
    Fault::Query(QueryError::Damaged { run: run.into(), what, seq: Some(seq), source: Some(why) })
}

pub(super) fn run_id(run: &str, what: &str, text: String) -> Result<RunId, Fault> {
    RunId::new(text).map_err(|why| damaged(run, what, Some(Arc::new(why))))
}

fn damaged(run: &str, what: &str, source: Option<Cause>) -> Fault {
    Fault::Query(QueryError::Damaged { run: run.into(), what: what.into(), seq: None, source })
}

/// What another row speaks of is not there.
pub(super) fn lost(what: &str) -> QueryError {
    QueryError::Damaged { run: "-".into(), what: what.into(), seq: None, source: None }
}
