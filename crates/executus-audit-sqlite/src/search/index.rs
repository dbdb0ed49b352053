//! Filling the index, some entries at a time.
//!
//! The index follows the chain: it holds what the links up to a place wrote, so that nothing is put
//! into it twice or left out, in whatever order the runs record. Rows from before the chain come
//! first.

use executus_sqlite::rusqlite::{self, CachedStatement, Connection, OptionalExtension, params};

use crate::chain::entry::{Entries, Entry};
use crate::chain::{self, Origin};
use crate::erase::MARK;

/// Puts some more into the index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    done: Indexed,
}

/// How far the index goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Indexed {
    /// Entries of the chain.
    pub(crate) place: u64,
    /// Whether rows from before the chain are left.
    pub(crate) has_old: bool,
    /// Whether there is nothing left to do.
    pub(crate) is_whole: bool,
}

/// The texts and whole numbers of a body. The triggers of the schema take the same out again.
const TEXT: &str = "CASE WHEN json_valid(body) THEN (SELECT group_concat(atom, ' ')
  FROM json_tree(body) WHERE type IN ('text', 'integer')) END";

impl Index {
    /// How many rows are enough for one job: others wait for its transaction.
    const ROWS: usize = 512;
    /// How many bytes of text.
    const BYTES: i64 = 1 << 20;
    /// How many runs from before the chain.
    const RUNS: u32 = 4;

    pub(crate) const fn done(&self) -> Indexed {
        self.done
    }

    pub(crate) fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut fill = Fill::new(connection)?;
        let (place, before) = fill.progress()?;
        let old = fill.old(before)?;
        let upto = if old.is_some() { place } else { fill.links(place)? };
        connection
            .prepare_cached("UPDATE searched SET place = ?1, before = ?2")?
            .execute([upto, old.unwrap_or(before)])?;
        let is_whole = old.is_none() && upto >= chain::newest(connection)?.count;
        self.done = Indexed { place: upto.cast_unsigned(), has_old: old.is_some(), is_whole };
        Ok(())
    }
}

struct Fill<'c> {
    connection: &'c Connection,
    record: CachedStatement<'c>,
    rows: usize,
    bytes: i64,
}

impl<'c> Fill<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let record = connection.prepare_cached(&format!(
            "INSERT INTO search (rowid, text) SELECT run << 32 | seq, {TEXT} FROM records
             WHERE run = ?1 AND seq = ?2 AND body <> ?3 AND run < 1 << 31 AND seq < 1 << 32"
        ))?;
        Ok(Self { connection, record, rows: 0, bytes: 0 })
    }

    fn progress(&self) -> rusqlite::Result<(i64, i64)> {
        self.connection
            .prepare_cached("SELECT place, before FROM searched")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Some rows from before the chain; the run up to which they are there now, or `None` when
    /// there were none.
    fn old(&mut self, before: i64) -> rusqlite::Result<Option<i64>> {
        let origin = Origin::read(self.connection)?;
        if before > origin.last_run {
            return Ok(None);
        }
        let mut runs = self.connection.prepare_cached(
            "SELECT id, unchained FROM runs WHERE id > ?1 AND id <= ?2 AND unchained > 0
             ORDER BY id LIMIT ?3",
        )?;
        let runs = runs.query_map(params![before, origin.last_run, Index::RUNS], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let runs = runs.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        for (run, unchained) in &runs {
            let mut seqs = self
                .connection
                .prepare_cached("SELECT seq FROM records WHERE run = ?1 AND seq <= ?2")?;
            let seqs = seqs.query_map([run, unchained], |row| row.get(0))?;
            for seq in seqs.collect::<rusqlite::Result<Vec<i64>>>()? {
                self.record(*run, seq)?;
            }
        }
        if let Some((last, _)) = runs.last() {
            return Ok(Some(*last));
        }
        let mut notes = self.connection.prepare_cached(
            "SELECT id FROM notes WHERE salt IS NULL AND erased IS NULL AND body <> ?1
               AND id NOT IN (SELECT id FROM searched_notes) LIMIT ?2",
        )?;
        let limit = i64::try_from(Index::ROWS).unwrap_or(i64::MAX);
        let notes = notes.query_map(params![MARK, limit], |row| row.get(0))?;
        let notes = notes.collect::<rusqlite::Result<Vec<String>>>()?;
        for id in &notes {
            self.note(id)?;
        }
        // One more than the last: the rows from before are all there.
        Ok(Some(if notes.is_empty() { origin.last_run.saturating_add(1) } else { before }))
    }

    /// Some links; the place up to which they are there now.
    fn links(&mut self, place: i64) -> rusqlite::Result<i64> {
        let mut links = self.connection.prepare_cached(
            "SELECT first, count, entries FROM chain WHERE first > ?1 ORDER BY first",
        )?;
        let mut links = links.query([place])?;
        let mut upto = place;
        while self.rows < Index::ROWS && self.bytes < Index::BYTES {
            let Some(link) = links.next()? else { break };
            for (entry, _) in Entries::new(link.get_ref(2)?.as_blob()?).flatten() {
                match entry {
                    Entry::Record { run, seq } => self.record(run, seq)?,
                    Entry::Note { id } => self.note(id)?,
                    _ => {}
                }
            }
            upto = link.get::<_, i64>(0)? + link.get::<_, i64>(1)? - 1;
        }
        Ok(upto)
    }

    fn record(&mut self, run: i64, seq: i64) -> rusqlite::Result<()> {
        self.rows += self.record.execute(params![run, seq, MARK])?;
        let len = self
            .connection
            .prepare_cached("SELECT length(body) FROM records WHERE run = ?1 AND seq = ?2")?
            .query_row([run, seq], |row| row.get::<_, i64>(0))
            .optional()?;
        self.bytes += len.unwrap_or_default();
        Ok(())
    }

    /// A note gets its number when it gets there, unless it is gone.
    fn note(&mut self, id: &str) -> rusqlite::Result<()> {
        let numbered = self
            .connection
            .prepare_cached(
                "INSERT INTO searched_notes (n, id)
                 SELECT coalesce((SELECT min(n) FROM searched_notes), 0) - 1, id FROM notes
                 WHERE id = ?1 AND body <> ?2 ON CONFLICT DO NOTHING RETURNING n",
            )?
            .query_row([id, MARK], |row| row.get::<_, i64>(0))
            .optional()?;
        if let Some(n) = numbered {
            self.connection
                .prepare_cached(&format!(
                    "INSERT INTO search (rowid, text) SELECT ?1, {TEXT} FROM notes WHERE id = ?2"
                ))?
                .execute(params![n, id])?;
            self.rows += 1;
        }
        Ok(())
    }
}
