//! Asking the index.

use executus_core::{RunId, Timestamp};
use executus_sqlite::rusqlite::{Connection, Row, params_from_iter};
use serde_json::Value;

use super::filter::{self, Selection};
use super::{AuditReader, Fault, rows};
use crate::chain;
use crate::cursor::{Cursor, List};
use crate::error::QueryError;
use crate::search::{Found, Hit, HitPlace, Search};

/// The places that match `?1`, without their bodies: those are read when it is known which are
/// shown. Ids of records and notes cannot be the same.
const PLACES: &str = "SELECT place, at, id FROM (
    SELECT search.rowid AS place, records.at AS at, runs.run_id AS run_id,
      'r/' || runs.run_id || '/' || printf('%010d', records.seq) AS id
    FROM search
      JOIN records ON records.run = search.rowid >> 32 AND records.seq = search.rowid & 0xffffffff
      JOIN runs ON runs.id = records.run
    WHERE search MATCH ?1 AND search.rowid > 0
  UNION ALL
    SELECT search.rowid, notes.at, notes.run_id, 'n/' || notes.id
    FROM search
      JOIN searched_notes ON searched_notes.n = search.rowid
      JOIN notes ON notes.id = searched_notes.id
    WHERE search MATCH ?1 AND search.rowid < 0
  )";

impl AuditReader {
    /// Searches what is in the index, and tells how much is not. An index is brought up to date by
    /// [`SqliteAudit::search`](crate::SqliteAudit::search) and
    /// [`SqliteAudit::index`](crate::SqliteAudit::index).
    ///
    /// # Errors
    /// [`QueryError::NoWords`] for a text without any; those of [`runs`](Self::runs) for what means
    /// nothing.
    pub fn search(&self, search: &Search) -> Result<Found, QueryError> {
        let Selection { sql, values } = filter::search(search)?;
        let sql = format!("{PLACES}{sql}");
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let places = statement.query_map(params_from_iter(values), |row| {
                Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?), row.get(2)?))
            })?;
            let mut places = places.collect::<Result<Vec<(i64, Timestamp, String)>, _>>()?;
            let limit = search.limit.and_then(|limit| usize::try_from(limit).ok());
            let mut next = None;
            if let Some(limit) = limit.filter(|limit| places.len() > *limit) {
                places.truncate(limit);
                next = places.last().map(|(_, at, id)| Cursor::new(List::Hits, *at, id));
            }
            let hits = places.into_iter().map(|(place, ..)| hit(connection, place));
            let hits = hits.collect::<Result<Vec<_>, _>>()?;
            Ok(Found { hits, next, behind: behind(connection)? })
        })
    }
}

/// How many entries of the chain the index does not know.
fn behind(connection: &Connection) -> Result<u64, Fault> {
    let place: i64 =
        connection.prepare_cached("SELECT place FROM searched")?.query_row([], |row| row.get(0))?;
    let newest = chain::newest(connection)?.count;
    Ok(newest.saturating_sub(place).max(0).cast_unsigned())
}

fn hit(connection: &Connection, place: i64) -> Result<Hit, Fault> {
    let of_record = "SELECT at, runs.run_id, kind, body, seq FROM records
      JOIN runs ON runs.id = records.run WHERE run = ?1 >> 32 AND seq = ?1 & 0xffffffff";
    let of_note = "SELECT at, run_id, kind, body, notes.id FROM notes
      JOIN searched_notes USING (id) WHERE n = ?1";
    let sql = if place > 0 { of_record } else { of_note };
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query([place])?;
    let Some(row) = found.next()? else {
        return Err(Fault::Query(rows::lost(&format!("place {place} of the index"))));
    };
    read(row, place > 0)
}

fn read(row: &Row<'_>, is_record: bool) -> Result<Hit, Fault> {
    let run: Option<String> = row.get(1)?;
    let of = run.clone().unwrap_or_else(|| "-".into());
    let place = match is_record {
        true => HitPlace::Record { seq: row.get::<_, i64>(4)?.cast_unsigned() },
        false => HitPlace::Note { id: row.get(4)? },
    };
    let body: Value = rows::parse(&of, "what was found", &row.get::<_, String>(3)?)?;
    let run_id: Option<RunId> = run.map(|run| rows::run_id(&of, "the id", run)).transpose()?;
    let at = Timestamp::from_micros(row.get(0)?);
    Ok(Hit { at, run_id, place, kind: row.get(2)?, body })
}
