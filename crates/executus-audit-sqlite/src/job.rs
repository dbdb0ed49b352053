//! What the audit has the writer thread do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use executus_core::digest::Digest;
use executus_core::port::AuditError;
use executus_core::record::Fact;
use executus_core::{Outcome, Reply, RunSpec};
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension, params};
use executus_sqlite::{Job, StoreError};
use tokio::sync::oneshot;

use crate::chain::entry::Entry;
use crate::chain::row::{self as chained, Salt, StartSays};
use crate::erase::{Erase, Erased};
use crate::error::audit_error;
use crate::note::NewNote;
use crate::outcome::{self, End};
use crate::retain::{Drop, Dropped, Seal};
use crate::row::{Group, Row};
use crate::search::{Index, Indexed};
use crate::trail::Ack;

/// An answer to somebody who waits.
type Answer<T> = oneshot::Sender<Result<T, AuditError>>;

/// See the module. Only rows are not waited for.
pub(crate) enum Work {
    Row(Row),
    Start(Box<Start>, Answer<Started>),
    Flush(Arc<Ack>, Answer<()>),
    End(Box<End>, Arc<Ack>, Answer<()>),
    Purge(Purge, Option<Answer<u32>>),
    Note(Box<NewNote>, Answer<bool>),
    Erase(Box<Erase>, Answer<Erased>),
    Drop(Box<Drop>, Option<Answer<Dropped>>),
    Seal(Seal, Option<Answer<bool>>),
    Index(Index, Answer<Indexed>),
}

/// The start of a life.
pub(crate) struct Start {
    pub(crate) spec: Arc<RunSpec>,
    /// The spec as it is kept.
    pub(crate) text: String,
    pub(crate) attempt: u32,
    found: Option<Result<Started, AuditError>>,
}

/// What is known of a run when a life of it starts.
#[derive(Default)]
pub(crate) struct Started {
    pub(crate) run: i64,
    pub(crate) salt: Salt,
    pub(crate) last_seq: u64,
    pub(crate) reply: Option<Arc<Reply>>,
}

/// A run that is known: its number, its spec, and how it was closed if it was.
type Known = (i64, String, Option<Result<Outcome, AuditError>>);

impl Start {
    pub(crate) const fn new(spec: Arc<RunSpec>, text: String, attempt: u32) -> Self {
        Self { spec, text, attempt, found: None }
    }

    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        self.found = Some(match self.known(group.connection)? {
            None => Ok(self.insert(group)?),
            // Whoever asks, in whatever life: the run is over, and this is how it ended.
            Some((_, _, Some(closed))) => Err(match closed {
                Ok(outcome) => AuditError::Closed { outcome: Box::new(outcome) },
                Err(damaged) => damaged,
            }),
            Some((_, spec, None)) if self.attempt <= 1 && spec != self.text => {
                let run = &self.spec.run_id;
                let message = format!("run id `{run}` is taken by another run; choose a new one");
                Err(AuditError::Conflict { message })
            }
            Some((run, _, None)) => Ok(self.resume(group, run)?),
        });
        Ok(())
    }

    fn known(&self, connection: &Connection) -> rusqlite::Result<Option<Known>> {
        connection
            .prepare_cached(outcome::KNOWN)?
            .query_row([self.spec.run_id.as_str()], |row| {
                let closed: bool = row.get(2)?;
                let outcome = closed.then(|| outcome::recorded(&self.spec.run_id, row));
                Ok((row.get(0)?, row.get(1)?, outcome.transpose()?))
            })
            .optional()
    }

    fn insert(&self, group: &mut Group<'_>) -> rusqlite::Result<Started> {
        let spec = &self.spec;
        let parent = spec.parent_run_id.as_ref().map(|run| run.as_str());
        let (run, salt) = group
            .connection
            .prepare_cached(
                "INSERT INTO runs (run_id, format, subject_id, name, caller_id, channel_id,
                   parent_run_id, spec, attempt, started_at, salt)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, randomblob(16))
                 RETURNING id, salt",
            )?
            .query_row(
                params![
                    spec.run_id.as_str(),
                    spec.format,
                    spec.subject_id,
                    spec.name,
                    spec.caller_id,
                    spec.channel_id,
                    parent,
                    self.text,
                    self.attempt,
                    spec.started_at.as_micros(),
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
        let says = StartSays {
            name: &spec.name,
            caller_id: &spec.caller_id,
            channel_id: &spec.channel_id,
            spec: &self.text,
        };
        let start = chained::Start {
            run,
            run_id: spec.run_id.as_str(),
            format: i64::from(spec.format),
            subject_id: &spec.subject_id,
            parent_run_id: parent,
            started_at: spec.started_at.as_micros(),
        };
        group.link.push(Entry::Opened { run }, &start.digest(&says.digest(&salt)));
        Ok(Started { run, salt, ..Started::default() })
    }

    fn resume(&self, group: &mut Group<'_>, run: i64) -> rusqlite::Result<Started> {
        let connection = group.connection;
        let (attempt, salt) = connection
            .prepare_cached(
                "UPDATE runs SET attempt = max(attempt, ?2), status = NULL, ended_at = NULL,
                   output = NULL, error = NULL, stats = NULL, artifacts = NULL,
                   salt = coalesce(salt, randomblob(16))
                 WHERE id = ?1 AND closed = 0 RETURNING attempt, salt",
            )?
            .query_row(params![run, self.attempt], |row| Ok((row.get(0)?, row.get(1)?)))?;
        group.link.push(Entry::Resumed { run }, &chained::resumed(run, attempt));
        let last_seq: i64 = connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM records WHERE run = ?1")?
            .query_row([run], |row| row.get(0))?;
        let decided: Option<String> = connection
            .prepare_cached(
                "SELECT journal.fact FROM records JOIN journal USING (run, seq)
                 WHERE run = ?1 AND kind = 'decided' ORDER BY seq DESC LIMIT 1",
            )?
            .query_row([run], |row| row.get(0))
            .optional()?;
        let reply = match decided.and_then(|fact| serde_json::from_str(&fact).ok()) {
            Some(Fact::Decided(decided)) => Some(decided.reply),
            _ => None,
        };
        Ok(Started { run, salt, last_seq: last_seq.cast_unsigned(), reply })
    }

    fn settle(self, result: Result<(), StoreError>, answer: Answer<Started>) {
        let lost = || Err(AuditError::Unavailable { message: "no answer".into(), source: None });
        let found = self.found.unwrap_or_else(lost);
        // Nobody there any more: the life goes on when it is started again.
        let _ = answer.send(result.map_err(audit_error).and(found));
    }
}

/// Removes the journal of some runs that were closed before a time.
pub(crate) struct Purge {
    pub(crate) before: i64,
    purged: u32,
    /// When it was last looked for; set back when there was as much as one job takes.
    looked_at: Option<Arc<AtomicI64>>,
}

impl Purge {
    /// How many runs one job takes: others wait for its transaction.
    pub(crate) const RUNS: u32 = 16;

    pub(crate) const fn new(before: i64) -> Self {
        Self { before, purged: 0, looked_at: None }
    }

    /// One that nobody waits for.
    pub(crate) const fn some(before: i64, looked_at: Arc<AtomicI64>) -> Self {
        Self { before, purged: 0, looked_at: Some(looked_at) }
    }

    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let connection = group.connection;
        let mut old = connection.prepare_cached(
            "SELECT id FROM runs WHERE closed = 1 AND journaled = 1 AND ended_at < ?1
             ORDER BY ended_at LIMIT ?2",
        )?;
        let old = old.query_map(params![self.before, Self::RUNS], |row| row.get::<_, i64>(0))?;
        let old = old.collect::<rusqlite::Result<Vec<_>>>()?;
        for run in &old {
            connection.prepare_cached("DELETE FROM journal WHERE run = ?1")?.execute([run])?;
            connection
                .prepare_cached("UPDATE runs SET journaled = 0 WHERE id = ?1")?
                .execute([run])?;
            group.link.push(Entry::Purged { run: *run }, &Digest::default());
        }
        self.purged = u32::try_from(old.len()).unwrap_or(Self::RUNS);
        Ok(())
    }
}

impl Job for Work {
    type Group<'c> = Group<'c>;

    fn group(connection: &Connection) -> Group<'_> {
        Group::new(connection)
    }

    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let mark = group.link.mark();
        let applied = match self {
            Self::Row(row) => row.apply(group),
            Self::Start(start, _) => start.apply(group),
            Self::Flush(..) => Ok(()),
            Self::End(end, ..) => end.apply(group),
            Self::Purge(purge, _) => purge.apply(group),
            Self::Note(note, _) => note.apply(group),
            Self::Erase(erase, _) => erase.apply(group),
            Self::Drop(drop, _) => drop.apply(group),
            Self::Seal(seal, _) => seal.apply(group),
            Self::Index(index, _) => index.apply(group.connection),
        };
        if applied.is_err() {
            group.link.back_to(mark);
        }
        applied
    }

    fn finish(group: &mut Group<'_>) -> rusqlite::Result<()> {
        group.link.append(group.connection)
    }

    fn settle(self, result: Result<(), StoreError>) {
        // Whoever does not wait any more does not need the answer.
        match self {
            Self::Row(row) => row.settle(result),
            Self::Start(start, answer) => start.settle(result, answer),
            Self::Flush(ack, answer) | Self::End(_, ack, answer) => {
                let result = result.map_err(audit_error);
                let _ = answer.send(result.and_then(|()| ack.failure().map_or(Ok(()), Err)));
            }
            Self::Purge(purge, answer) => {
                if let Some(looked_at) = purge.looked_at.filter(|_| purge.purged == Purge::RUNS) {
                    looked_at.store(i64::MIN, Ordering::Relaxed);
                }
                if let Some(answer) = answer {
                    let _ = answer.send(result.map_err(audit_error).map(|()| purge.purged));
                }
            }
            Self::Note(note, answer) => {
                let _ = answer.send(result.map_err(audit_error).map(|()| note.is_new()));
            }
            Self::Erase(erase, answer) => {
                let _ = answer.send(result.map_err(audit_error).map(|()| erase.done()));
            }
            Self::Index(index, answer) => {
                let _ = answer.send(result.map_err(audit_error).map(|()| index.done()));
            }
            Self::Drop(drop, answer) => {
                drop.go_on();
                if let Some(answer) = answer {
                    let _ = answer.send(result.map_err(audit_error).map(|()| drop.done()));
                }
            }
            Self::Seal(seal, answer) => {
                if let Some(answer) = answer {
                    let _ = answer.send(result.map_err(audit_error).map(|()| seal.more()));
                }
            }
        }
    }

    fn is_awaited(&self) -> bool {
        !matches!(
            self,
            Self::Row(_) | Self::Purge(_, None) | Self::Drop(_, None) | Self::Seal(_, None)
        )
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Row(row) => size_of::<Self>() + row.len(),
            Self::Note(note, _) => size_of::<Self>() + note.len(),
            Self::Start(..)
            | Self::Flush(..)
            | Self::End(..)
            | Self::Purge(..)
            | Self::Erase(..)
            | Self::Drop(..)
            | Self::Seal(..)
            | Self::Index(..) => size_of::<Self>(),
        }
    }
}
