//! Retention: old runs are dropped, and the chain over the rest holds.
//!
//! A run that is dropped leaves its entries in the chain, 36 bytes each: digests without rows, and
//! an entry that says so. When everything at the beginning of the chain was dropped, these links go
//! too, and a *seal* keeps their head, from which the rest goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use executus_core::Timestamp;
use executus_core::digest::Digest;
use executus_core::port::AuditError;
use executus_sqlite::rusqlite::{self, Connection, params};
use serde_json::json;

use crate::audit::{ANCHORED, SqliteAudit};
use crate::chain::entry::{Entries, Entry};
use crate::chain::{self, Head, Origin};
use crate::job::Work;
use crate::row::Group;

/// What was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Dropped {
    /// Runs.
    pub runs: u64,
    /// Records of these runs.
    pub records: u64,
    /// Notes of these runs, and old ones that belong to none.
    pub notes: u64,
}

impl SqliteAudit {
    /// Drops the runs that were closed before a time, with all that belongs to them, and the notes
    /// from before it that belong to no run of the file. A run that is not closed stays: it may be
    /// resumed; and so does the newest run. That this was done is recorded as a note of the kind
    /// `audit.dropped`. `at`: now.
    ///
    /// # Errors
    /// As of a flush. What was dropped before stays dropped; call it again.
    pub async fn drop_closed(
        &self,
        older_than: Timestamp,
        at: Timestamp,
    ) -> Result<Dropped, AuditError> {
        let mut all = Dropped::default();
        loop {
            let drop = Box::new(Drop::new(older_than.as_micros()));
            let done = self.wait_for(|answer| Work::Drop(drop, Some(answer))).await?;
            all.runs += done.runs;
            all.records += done.records;
            all.notes += done.notes;
            if done.runs + done.notes == 0 {
                break;
            }
        }
        if all != Dropped::default() {
            let body = json!({
                "runs": all.runs, "records": all.records, "notes": all.notes,
                "older_than": older_than.as_micros(),
            });
            self.own_note("audit.dropped", at, body).await?;
        }
        let seal = || Seal::new(at.as_micros());
        while self.wait_for(|answer| Work::Seal(seal(), Some(answer))).await? {}
        Ok(all)
    }
}

/// Drops some runs and notes.
pub(crate) struct Drop {
    before: i64,
    done: Dropped,
    /// When it was last looked for; set back when there was as much as one job takes.
    looked_at: Option<Arc<AtomicI64>>,
}

impl Drop {
    /// How many one job takes: others wait for its transaction.
    const RUNS: i64 = 16;
    const NOTES: i64 = 256;

    pub(crate) fn new(before: i64) -> Self {
        Self { before, done: Dropped::default(), looked_at: None }
    }

    /// One that nobody waits for.
    pub(crate) fn some(before: i64, looked_at: Arc<AtomicI64>) -> Self {
        Self { looked_at: Some(looked_at), ..Self::new(before) }
    }

    /// Lets the next start go on, where there was as much as one job takes.
    pub(crate) fn go_on(&self) {
        let full = self.done.runs >= Self::RUNS.cast_unsigned();
        if let Some(looked_at) = self.looked_at.as_ref().filter(|_| full) {
            looked_at.store(i64::MIN, Ordering::Relaxed);
        }
    }

    pub(crate) const fn done(&self) -> Dropped {
        self.done
    }

    pub(crate) fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let connection = group.connection;
        self.done = Dropped::default();
        connection.execute("INSERT INTO leaving (what) VALUES ('drop')", [])?;
        // The newest run stays, so that no number is given twice.
        let mut runs = connection.prepare_cached(
            "SELECT id, run_id, (SELECT count(*) FROM records WHERE run = id AND seq <= unchained)
             FROM runs WHERE closed = 1 AND ended_at < ?1 AND id < (SELECT max(id) FROM runs)
             ORDER BY ended_at LIMIT ?2",
        )?;
        let runs = runs.query_map(params![self.before, Self::RUNS], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        for (run, run_id, unchained) in runs.collect::<rusqlite::Result<Vec<(_, String, _)>>>()? {
            self.drop_run(group, run, &run_id, unchained)?;
        }
        let mut notes = connection.prepare_cached(
            "SELECT id, salt IS NULL AND erased IS NULL FROM notes WHERE at < ?1 AND kind <> ?3
               AND (run_id IS NULL OR NOT EXISTS (SELECT 1 FROM runs WHERE runs.run_id = notes.run_id))
             ORDER BY at LIMIT ?2",
        )?;
        let notes = notes.query_map(params![self.before, Self::NOTES, ANCHORED], two)?;
        self.drop_notes(group, notes.collect::<rusqlite::Result<Vec<_>>>()?)?;
        connection.execute("DELETE FROM leaving", []).map(drop)
    }

    fn drop_run(
        &mut self,
        group: &mut Group<'_>,
        run: i64,
        run_id: &str,
        unchained: i64,
    ) -> rusqlite::Result<()> {
        let connection = group.connection;
        let mut notes = connection.prepare_cached(
            "SELECT id, salt IS NULL AND erased IS NULL FROM notes WHERE run_id = ?1",
        )?;
        let notes = notes.query_map([run_id], two)?.collect::<rusqlite::Result<Vec<_>>>()?;
        self.drop_notes(group, notes)?;
        let delete = |sql| connection.prepare_cached(sql)?.execute([run]);
        delete("DELETE FROM journal WHERE run = ?1")?;
        self.done.records += delete("DELETE FROM records WHERE run = ?1")? as u64;
        delete("DELETE FROM runs WHERE id = ?1")?;
        self.done.runs += 1;
        group.forget_salt(run);
        group.link.push(Entry::Dropped { run, unchained }, &Digest::default());
        Ok(())
    }

    fn drop_notes(
        &mut self,
        group: &mut Group<'_>,
        notes: Vec<(String, bool)>,
    ) -> rusqlite::Result<()> {
        for (id, unchained) in notes {
            group.connection.prepare_cached("DELETE FROM notes WHERE id = ?1")?.execute([&id])?;
            let entry = Entry::DroppedNote { id: &id, unchained };
            group.link.push(entry, &Digest::default());
            self.done.notes += 1;
        }
        Ok(())
    }
}

fn two(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, bool)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Drops links at the beginning of the chain of which nothing is left.
pub(crate) struct Seal {
    at: i64,
    more: bool,
}

impl Seal {
    /// How many links one job takes.
    const LINKS: u32 = 4096;

    pub(crate) const fn new(at: i64) -> Self {
        Self { at, more: false }
    }

    /// Whether there may be more to drop.
    pub(crate) const fn more(&self) -> bool {
        self.more
    }

    pub(crate) fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let connection = group.connection;
        let origin = Origin::read(connection)?;
        let (mut seal, links) = self.dead(connection, &origin)?;
        self.more = links == Self::LINKS;
        if links == 0 {
            return Ok(());
        }
        seal.at = self.at;
        connection.execute("INSERT INTO leaving (what) VALUES ('drop')", [])?;
        let last = seal.head.count;
        connection.execute("DELETE FROM chain WHERE first <= ?1", [last])?;
        connection.execute("DELETE FROM seals", [])?;
        connection.execute(
            "INSERT INTO seals (last, head, at, runs, records, notes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                last,
                seal.head.digest.as_bytes(),
                seal.at,
                seal.runs,
                seal.records,
                seal.notes
            ],
        )?;
        connection.execute("DELETE FROM leaving", [])?;
        // The link under way goes on from the newest head; where no link is left, that is the seal.
        group.link.push(Entry::Sealed { last }, &seal.digest());
        Ok(())
    }

    /// The seal over the links of which nothing is left, and how many they are.
    fn dead(
        &self,
        connection: &Connection,
        origin: &Origin,
    ) -> rusqlite::Result<(chain::Seal, u32)> {
        let before = chain::Seal::read(connection)?;
        let mut seal = before.unwrap_or_else(|| chain::Seal {
            head: origin.head(),
            at: self.at,
            runs: 0,
            records: 0,
            notes: 0,
        });
        let mut statement = connection
            .prepare_cached("SELECT count, entries, head FROM chain ORDER BY first LIMIT ?1")?;
        let mut links = statement.query([Self::LINKS])?;
        let mut dead = 0;
        // To drop the newest seal's own entry alone would take another.
        let mut worth = false;
        let stop = |seal, dead, worth| Ok((seal, if worth { dead } else { 0 }));
        while let Some(link) = links.next()? {
            let mut next = seal.clone();
            for entry in Entries::new(link.get_ref(1)?.as_blob()?) {
                // What cannot be read stays, for whoever verifies.
                let Some((entry, _)) = entry else { return stop(seal, dead, worth) };
                if lives(connection, entry)? {
                    return stop(seal, dead, worth);
                }
                match entry {
                    Entry::Dropped { run, unchained } => {
                        next.runs += i64::from(run <= origin.last_run);
                        next.records += unchained;
                    }
                    Entry::DroppedNote { unchained, .. } => next.notes += i64::from(unchained),
                    _ => {}
                }
            }
            worth |= Entries::new(link.get_ref(1)?.as_blob()?)
                .any(|entry| !matches!(entry, Some((Entry::Sealed { .. }, _))));
            next.head = Head {
                count: seal.head.count + link.get::<_, i64>(0)?,
                digest: Digest::from_bytes(link.get(2)?),
            };
            seal = next;
            dead += 1;
        }
        stop(seal, dead, worth)
    }
}

/// Whether the row of an entry is there.
fn lives(connection: &Connection, entry: Entry<'_>) -> rusqlite::Result<bool> {
    match entry {
        Entry::Opened { run }
        | Entry::Resumed { run }
        | Entry::Suspended { run }
        | Entry::Closed { run }
        | Entry::Record { run, .. }
        | Entry::Purged { run }
        | Entry::Erased { run } => {
            connection.prepare_cached("SELECT 1 FROM runs WHERE id = ?1")?.exists([run])
        }
        Entry::Note { id } | Entry::ErasedNote { id } => {
            connection.prepare_cached("SELECT 1 FROM notes WHERE id = ?1")?.exists([id])
        }
        Entry::Dropped { .. } | Entry::DroppedNote { .. } | Entry::Sealed { .. } => Ok(false),
    }
}
