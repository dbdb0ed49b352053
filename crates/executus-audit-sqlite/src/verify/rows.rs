//! Rows against their digests.

use std::collections::HashMap;

use executus_core::digest::{Digest, Hasher};
use executus_sqlite::rusqlite::types::FromSql;
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension, Row};

use super::scan::Acts;
use super::{Damage, Flaw, Place, flaw, swap};
use crate::chain::entry::Entry;
use crate::chain::row::{self as chained, EndSays, RecordSays, Salt, StartSays};
use crate::erase::{ERASED, MARK};

/// The columns that [`record`] reads.
pub(super) const RECORD: &str =
    "SELECT seq, at, step, call, kind, body, args, fact, state, chain FROM records";

/// What was seen of a run so far.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) salt: Option<Salt>,
    journaled: bool,
    /// Whether its start is in the chain.
    pub(super) opened: bool,
    /// Its records in the chain.
    pub(super) records: i64,
    standing: Standing,
}

/// How a run's newest life stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The chain says nothing: it is from before.
    Unknown,
    Open,
    Suspended(Digest),
    Closed,
}

/// See the module.
pub(super) struct Rows<'c> {
    connection: &'c Connection,
    acts: &'c Acts,
    pub(super) runs: HashMap<i64, Seen>,
    pub(super) notes: i64,
    /// Journal entries of records in the chain.
    pub(super) journal: i64,
    pub(super) bytes: u64,
}

impl<'c> Rows<'c> {
    pub(super) fn new(connection: &'c Connection, acts: &'c Acts) -> Self {
        Self { connection, acts, runs: HashMap::new(), notes: 0, journal: 0, bytes: 0 }
    }

    /// Compares the row of an entry; what is wrong with it.
    pub(super) fn check(
        &mut self,
        at: i64,
        entry: Entry<'_>,
        digest: &Digest,
    ) -> rusqlite::Result<Option<Flaw>> {
        let found = match entry {
            Entry::Opened { run }
            | Entry::Resumed { run }
            | Entry::Suspended { run }
            | Entry::Closed { run }
            | Entry::Record { run, .. }
                if !self.look_up(run)? =>
            {
                match self.acts.dropped.contains_key(&run) {
                    true => None,
                    false => Some((Place::Run { run: format!("#{run}") }, Damage::Deleted)),
                }
            }
            Entry::Opened { run } => self.opened(run, digest)?,
            Entry::Resumed { run } => {
                self.stands(run, Standing::Open);
                None
            }
            Entry::Suspended { run } => {
                self.stands(run, Standing::Suspended(*digest));
                None
            }
            Entry::Closed { run } => {
                self.stands(run, Standing::Closed);
                self.ended(run, true, digest)?
            }
            Entry::Record { run, seq } => self.record(run, seq, digest)?,
            Entry::Note { id } => self.note(id, digest)?,
            Entry::Purged { .. }
            | Entry::Erased { .. }
            | Entry::ErasedNote { .. }
            | Entry::Dropped { .. }
            | Entry::DroppedNote { .. }
            | Entry::Sealed { .. } => None,
        };
        Ok(found.map(|(row, damage)| flaw(Some(at), row, damage)))
    }

    /// Compares how the runs that are not closed stand now.
    pub(super) fn standing(&mut self) -> rusqlite::Result<Option<Flaw>> {
        for (run, seen) in &self.runs {
            let fits = match &seen.standing {
                Standing::Unknown | Standing::Closed => true,
                Standing::Open => self
                    .connection
                    .prepare_cached(
                        "SELECT closed = 0 AND status IS NULL AND ended_at IS NULL
                         AND output IS NULL AND error IS NULL FROM runs WHERE id = ?1",
                    )?
                    .query_row([run], |row| row.get(0))?,
                Standing::Suspended(digest) => self.ended(*run, false, digest)?.is_none(),
            };
            if !fits {
                let run = name(self.connection, *run)?;
                return Ok(Some(flaw(None, Place::Run { run }, Damage::Edited)));
            }
        }
        Ok(None)
    }

    /// Whether the run is there.
    fn look_up(&mut self, run: i64) -> rusqlite::Result<bool> {
        if self.runs.contains_key(&run) {
            return Ok(true);
        }
        let seen = self
            .connection
            .prepare_cached("SELECT salt, journaled FROM runs WHERE id = ?1")?
            .query_row([run], |row| {
                Ok(Seen {
                    salt: sized(row, 0)?,
                    journaled: row.get(1)?,
                    opened: false,
                    records: 0,
                    standing: Standing::Unknown,
                })
            })
            .optional()?;
        Ok(seen.is_some_and(|seen| self.runs.insert(run, seen).is_none()))
    }

    fn stands(&mut self, run: i64, standing: Standing) {
        if let Some(seen) = self.runs.get_mut(&run) {
            seen.standing = standing;
        }
    }

    fn opened(&mut self, run: i64, digest: &Digest) -> rusqlite::Result<Option<(Place, Damage)>> {
        let salt = self.runs.get(&run).and_then(|seen| seen.salt);
        let erased = self.acts.erased.get(&run);
        let (fits, run_id, bytes) = self
            .connection
            .prepare_cached(
                "SELECT run_id, format, subject_id, parent_run_id, started_at, name, caller_id,
                   channel_id, spec, erased_start, unchained FROM runs WHERE id = ?1",
            )?
            .query_row([run], |row| {
                let run_id: String = row.get(0)?;
                let (subject, parent): (String, Option<String>) = (row.get(2)?, row.get(3)?);
                let start = chained::Start {
                    run,
                    run_id: &run_id,
                    format: row.get(1)?,
                    subject_id: &subject,
                    parent_run_id: parent.as_deref(),
                    started_at: row.get(4)?,
                };
                let (name, caller): (String, String) = (row.get(5)?, row.get(6)?);
                let (channel, spec): (String, String) = (row.get(7)?, row.get(8)?);
                let says = match (erased, salt) {
                    (None, Some(salt)) => Some(
                        StartSays {
                            name: &name,
                            caller_id: &caller,
                            channel_id: &channel,
                            spec: &spec,
                        }
                        .digest(&salt),
                    ),
                    (Some(left), None)
                        if *left == chained::erased(run, &spec)
                            && caller == ERASED
                            && name.is_empty()
                            && channel.is_empty() =>
                    {
                        sized(row, 9)?.map(Digest::from_bytes)
                    }
                    _ => None,
                };
                let fits = says.is_some_and(|says| start.digest(&says) == *digest)
                    && row.get::<_, i64>(10)? == 0;
                Ok((fits, run_id, spec.len()))
            })?;
        self.bytes += bytes as u64;
        if let Some(seen) = self.runs.get_mut(&run) {
            (seen.opened, seen.standing) = (true, Standing::Open);
        }
        Ok((!fits).then_some((Place::Run { run: run_id }, Damage::Edited)))
    }

    /// Compares how a run ended.
    fn ended(
        &self,
        run: i64,
        closed: bool,
        digest: &Digest,
    ) -> rusqlite::Result<Option<(Place, Damage)>> {
        let salt = self.runs.get(&run).and_then(|seen| seen.salt);
        let erased = self.acts.erased.contains_key(&run);
        let (fits, run_id) = self
            .connection
            .prepare_cached(
                "SELECT run_id, status, ended_at, attempt, stats, output, error, artifacts,
                   erased_end, closed FROM runs WHERE id = ?1",
            )?
            .query_row([run], |row| {
                let text = |column: usize| row.get::<_, Option<String>>(column);
                let (status, stats) = (text(1)?, text(4)?);
                let (output, error, artifacts) = (text(5)?, text(6)?, text(7)?);
                let ended_at: Option<i64> = row.get(2)?;
                let end = chained::End {
                    run,
                    closed: row.get(9)?,
                    status: status.as_deref().unwrap_or_default(),
                    ended_at: ended_at.unwrap_or(i64::MIN),
                    attempt: row.get(3)?,
                    stats: stats.as_deref(),
                };
                let (output, error) = (output.as_deref(), error.as_deref());
                let says = EndSays { output, error, artifacts: artifacts.as_deref() };
                let says = match (erased, salt) {
                    (false, Some(salt)) => Some(says.digest(&salt)),
                    (true, None) if output.or(error).or(artifacts.as_deref()).is_none() => {
                        sized(row, 8)?.map(Digest::from_bytes)
                    }
                    _ => None,
                };
                let fits = says.is_some_and(|says| end.digest(&says) == *digest);
                Ok((fits && end.closed == closed, row.get(0)?))
            })?;
        Ok((!fits).then_some((Place::Run { run: run_id }, Damage::Edited)))
    }

    fn record(
        &mut self,
        run: i64,
        seq: i64,
        digest: &Digest,
    ) -> rusqlite::Result<Option<(Place, Damage)>> {
        let erased = self.acts.erased.contains_key(&run);
        let purged = erased || self.acts.purged.contains(&run);
        let Some(seen) = self.runs.get_mut(&run) else { return Ok(None) };
        seen.records += 1;
        let (salt, journaled) = (seen.salt, seen.journaled);
        let mut statement = self.connection.prepare_cached(
            "SELECT r.seq, at, step, call, kind, body, args, r.fact, state, chain, j.fact
             FROM records r LEFT JOIN journal j ON j.run = r.run AND j.seq = r.seq
             WHERE r.run = ?1 AND r.seq = ?2",
        )?;
        let mut found = statement.query([run, seq])?;
        let place = || name(self.connection, run).map(|run| (run, seq.cast_unsigned()));
        let row = |damage| place().map(|(run, seq)| Some((Place::Record { run, seq }, damage)));
        let journal =
            |damage| place().map(|(run, seq)| Some((Place::Journal { run, seq }, damage)));
        let Some(found) = found.next()? else { return row(Damage::Deleted) };
        let read = record(found)?;
        let fits = read.as_ref().is_some_and(|record| match (erased, salt) {
            (false, Some(salt)) => record.digest(run, &salt) == *digest,
            (true, None) => record.erased(run).is_some_and(|erased| erased == *digest),
            _ => false,
        });
        let Some(read) = read.filter(|_| fits) else {
            return match swap::partner(self.connection, run, seq, salt)? {
                Some(with) => row(Damage::Swapped { with }),
                None => row(Damage::Edited),
            };
        };
        self.bytes += read.body.len() as u64;
        match found.get_ref(10)?.as_str_or_null() {
            Ok(None) if !journaled && purged => Ok(None),
            Ok(None) => journal(Damage::Deleted),
            Ok(Some(_)) if !journaled || purged => journal(Damage::Inserted),
            Ok(Some(fact)) => {
                self.bytes += fact.len() as u64;
                self.journal += 1;
                let mut hasher = Hasher::new();
                hasher.text(fact);
                if hasher.finish() == read.fact {
                    return Ok(None);
                }
                journal(Damage::Edited)
            }
            Err(_) => journal(Damage::Edited),
        }
    }

    fn note(&mut self, id: &str, digest: &Digest) -> rusqlite::Result<Option<(Place, Damage)>> {
        let erased = self.acts.erased_notes.contains(id);
        let fits = self
            .connection
            .prepare_cached("SELECT run_id, at, kind, body, salt, erased FROM notes WHERE id = ?1")?
            .query_row([id], |row| {
                let (run_id, kind): (Option<String>, String) = (row.get(0)?, row.get(2)?);
                let note =
                    chained::Note { id, run_id: run_id.as_deref(), at: row.get(1)?, kind: &kind };
                let body: String = row.get(3)?;
                let says = match (erased, sized::<16>(row, 4)?) {
                    (false, Some(salt)) => Some(chained::note_says(&salt, &body)),
                    (true, None) if body == MARK => sized(row, 5)?.map(Digest::from_bytes),
                    _ => None,
                };
                let fits = says.is_some_and(|says| note.digest(&says) == *digest);
                Ok((fits, body.len()))
            })
            .optional()?;
        let note = || Place::Note { id: id.to_owned() };
        match fits {
            Some((fits, bytes)) => {
                self.notes += 1;
                self.bytes += bytes as u64;
                Ok((!fits).then(|| (note(), Damage::Edited)))
            }
            None if self.acts.dropped_notes.contains_key(id) => Ok(None),
            None => Ok(Some((note(), Damage::Deleted))),
        }
    }
}

/// A record as it is in the file.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) step: u32,
    pub(super) call: Option<u32>,
    pub(super) kind: String,
    pub(super) body: String,
    pub(super) args: Option<Digest>,
    pub(super) fact: Digest,
    pub(super) state: Digest,
    /// The digest of what it said.
    pub(super) erased: Option<Digest>,
}

impl Kept {
    /// Its digest, as it was when it was written.
    pub(super) fn digest(&self, run: i64, salt: &Salt) -> Digest {
        let Self { seq, body, fact, state, .. } = self;
        let says = RecordSays { body, args: self.args.as_ref(), fact, state };
        match self.erased {
            None => self.with(run, &says.digest(salt, *seq)),
            // Nothing was erased of this run.
            Some(_) => Digest::default(),
        }
    }

    /// The same of a record whose content was erased; `None` when it was not, or not all of it.
    fn erased(&self, run: i64) -> Option<Digest> {
        let blank = Digest::default();
        let gone =
            self.body == MARK && self.args.is_none() && (self.fact, self.state) == (blank, blank);
        self.erased.filter(|_| gone).map(|says| self.with(run, &says))
    }

    fn with(&self, run: i64, says: &Digest) -> Digest {
        let Self { seq, at, step, call, kind, .. } = self;
        chained::Record { run, seq: *seq, at: *at, step: *step, call: *call, kind }.digest(says)
    }
}

/// Reads the columns of [`RECORD`]; `None` when a value is none that the audit writes.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Option<Kept>> {
    let digest = |column| sized(row, column).map(|bytes| bytes.map(Digest::from_bytes));
    let (Some(fact), Some(state)) = (digest(7)?, digest(8)?) else { return Ok(None) };
    let args = digest(6)?;
    if args.is_none() && !matches!(row.get_ref(6)?, rusqlite::types::ValueRef::Null) {
        return Ok(None);
    }
    let (Some(step), Some(call)) = (value(row, 2)?, value(row, 3)?) else { return Ok(None) };
    let (Some(kind), Some(body)) = (value(row, 4)?, value(row, 5)?) else { return Ok(None) };
    let (seq, at, erased) = (row.get(0)?, row.get(1)?, digest(9)?);
    Ok(Some(Kept { seq, at, step, call, kind, body, args, fact, state, erased }))
}

/// The value; `None` when it is none of this type.
fn value<T: FromSql>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    Ok(T::column_result(row.get_ref(column)?).ok())
}

/// Bytes of this length; `None` for NULL and for any other length.
fn sized<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<[u8; N]>> {
    Ok(row.get_ref(column)?.as_blob_or_null()?.and_then(|bytes| bytes.try_into().ok()))
}

/// The id of a run, for a message.
pub(super) fn name(connection: &Connection, run: i64) -> rusqlite::Result<String> {
    let found = connection
        .prepare_cached("SELECT run_id FROM runs WHERE id = ?1")?
        .query_row([run], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_else(|| format!("#{run}")))
}
