//! Counts: rows that the chain does not know.

use std::collections::HashSet;

use executus_sqlite::rusqlite::{self, Connection, OptionalExtension};

use super::rows::{Rows, name};
use super::scan::Acts;
use super::{Damage, Flaw, Place, flaw, swap};
use crate::chain::entry::{Entries, Entry};
use crate::chain::{Origin, Seal};

/// Rows from before the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) runs: i64,
    pub(super) records: i64,
    pub(super) notes: i64,
}

/// Those that retention dropped, since ever.
pub(super) fn dropped(origin: &Origin, seal: Option<&Seal>, acts: &Acts) -> Before {
    let sealed = seal.map_or((0, 0, 0), |seal| (seal.runs, seal.records, seal.notes));
    let runs = acts.dropped.keys().filter(|run| **run <= origin.last_run);
    let notes = acts.dropped_notes.values().filter(|before| **before);
    Before {
        runs: sealed.0 + number(runs.count()),
        records: sealed.1 + acts.dropped.values().sum::<i64>(),
        notes: sealed.2 + number(notes.count()),
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Compares the counts; the first row that is not in the chain, and not from before it.
pub(super) fn check(
    connection: &Connection,
    origin: &Origin,
    seal: Option<&Seal>,
    acts: &Acts,
    rows: &Rows<'_>,
) -> rusqlite::Result<Option<Flaw>> {
    let gone = dropped(origin, seal, acts);
    let mut before = Before { runs: 0, records: 0, notes: 0 };
    let mut statement = connection.prepare_cached(
        "SELECT id, unchained,
           (SELECT count(*) FROM records WHERE run = id AND seq > unchained),
           CASE unchained WHEN 0 THEN 0
             ELSE (SELECT count(*) FROM records WHERE run = id AND seq <= unchained) END
         FROM runs ORDER BY id",
    )?;
    let mut runs = statement.query([])?;
    let mut records = 0;
    while let Some(row) = runs.next()? {
        let (run, unchained): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (chained, old): (i64, i64) = (row.get(2)?, row.get(3)?);
        let seen = rows.runs.get(&run);
        if !seen.is_some_and(|seen| seen.opened) {
            before.runs += 1;
            if run > origin.last_run {
                let run = name(connection, run)?;
                return Ok(Some(flaw(None, Place::Run { run }, Damage::Inserted)));
            }
        }
        if chained != seen.map_or(0, |seen| seen.records) {
            return inserted_record(connection, run, unchained).map(Some);
        }
        before.records += old;
        records += chained + old;
    }
    let (total, loose): (i64, i64) = (count(connection, "records")?, records);
    if total != loose {
        let row = Place::Record { run: "of no run".into(), seq: 0 };
        return Ok(Some(flaw(None, row, Damage::Inserted)));
    }
    let notes = count(connection, "notes WHERE salt IS NOT NULL OR erased IS NOT NULL")?;
    before.notes = count(connection, "notes")? - notes;
    if notes != rows.notes {
        return inserted_note(connection).map(Some);
    }
    let expected = Before {
        runs: origin.runs - gone.runs,
        records: origin.records - gone.records,
        notes: origin.notes - gone.notes,
    };
    if before != expected {
        // Which one, nobody knows: they were never digested.
        let more = before.runs > expected.runs
            || before.records > expected.records
            || before.notes > expected.notes;
        let damage = if more { Damage::Inserted } else { Damage::Deleted };
        return Ok(Some(flaw(None, Place::File, damage)));
    }
    journal(connection, rows)
}

fn count(connection: &Connection, from: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0))
}

fn inserted_record(connection: &Connection, run: i64, unchained: i64) -> rusqlite::Result<Flaw> {
    let known: HashSet<i64> =
        swap::digests(connection, run)?.into_iter().map(|(seq, _)| seq).collect();
    let mut statement = connection
        .prepare_cached("SELECT seq FROM records WHERE run = ?1 AND seq > ?2 ORDER BY seq")?;
    let mut rows = statement.query([run, unchained])?;
    let run = name(connection, run)?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if !known.contains(&seq) {
            let row = Place::Record { run, seq: seq.cast_unsigned() };
            return Ok(flaw(None, row, Damage::Inserted));
        }
    }
    Ok(flaw(None, Place::Run { run }, Damage::Inserted))
}

fn inserted_note(connection: &Connection) -> rusqlite::Result<Flaw> {
    let mut known = HashSet::new();
    let mut statement = connection.prepare_cached("SELECT entries FROM chain ORDER BY first")?;
    let mut links = statement.query([])?;
    while let Some(link) = links.next()? {
        for (entry, _) in Entries::new(link.get_ref(0)?.as_blob()?).flatten() {
            if let Entry::Note { id } = entry {
                known.insert(id.to_owned());
            }
        }
    }
    let mut statement = connection.prepare_cached(
        "SELECT id FROM notes WHERE salt IS NOT NULL OR erased IS NOT NULL ORDER BY at, id",
    )?;
    let ids = statement.query_map([], |row| row.get(0))?;
    for id in ids {
        let id: String = id?;
        if !known.contains(&id) {
            return Ok(flaw(None, Place::Note { id }, Damage::Inserted));
        }
    }
    Ok(flaw(None, Place::File, Damage::Inserted))
}

/// Journal entries without a record.
fn journal(connection: &Connection, rows: &Rows<'_>) -> rusqlite::Result<Option<Flaw>> {
    let total = count(connection, "journal")?;
    let old = count(
        connection,
        "runs CROSS JOIN journal ON journal.run = runs.id AND seq <= unchained
         WHERE unchained > 0",
    )?;
    if total == rows.journal + old {
        return Ok(None);
    }
    let loose = connection
        .prepare_cached(
            "SELECT run, seq FROM journal j WHERE NOT EXISTS
               (SELECT 1 FROM records r WHERE r.run = j.run AND r.seq = j.seq)
             ORDER BY run, seq LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    Ok(Some(match loose {
        Some((run, seq)) => {
            let row = Place::Journal { run: name(connection, run)?, seq: seq.cast_unsigned() };
            flaw(None, row, Damage::Inserted)
        }
        None => flaw(None, Place::File, Damage::Inserted),
    }))
}
