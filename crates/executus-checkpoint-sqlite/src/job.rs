//! What the checkpointer has the writer thread do: what a run is asked, and what is changed, in
//! one transaction, whoever else has the file open.

use std::sync::Arc;

use executus_core::port::CheckpointError;
use executus_core::{RunId, Timestamp};
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension, params};
use executus_sqlite::{Job, StoreError};
use tokio::sync::oneshot;

use crate::error::{gone, of_store};
use crate::holder::Holders;

/// How many ended runs are remembered.
const ENDS: i64 = 1024;

/// See the module.
pub(crate) struct Work {
    pub(crate) run: RunId,
    /// Who asks.
    pub(crate) holder: Arc<str>,
    pub(crate) what: What,
    found: Option<Result<bool, CheckpointError>>,
    answer: oneshot::Sender<Result<bool, CheckpointError>>,
}

/// What is asked. The answer is `true` where nothing else is said.
pub(crate) enum What {
    Append {
        rows: Vec<Row>,
        until: Timestamp,
    },
    /// Whether it is claimed.
    Claim {
        until: Timestamp,
        holders: Holders,
    },
    /// Whether it is not somebody else's.
    Renew {
        until: Timestamp,
    },
    Release,
    End {
        at: Timestamp,
        error: Option<String>,
    },
    Park {
        why: String,
        now: Timestamp,
        holders: Holders,
    },
    /// Whether it was parked.
    Unpark,
}

/// A record to be kept.
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) text: String,
    /// It may come after a gap.
    pub(crate) resumes: bool,
    pub(crate) advances: bool,
}

/// What is known of a run.
struct Known {
    id: i64,
    last_seq: u64,
    holder: Option<String>,
    held_until: Option<i64>,
    is_parked: bool,
}

impl Known {
    fn find(connection: &Connection, run: &RunId) -> rusqlite::Result<Option<Self>> {
        connection
            .prepare_cached(
                "SELECT id, last_seq, holder, held_until, parked IS NOT NULL FROM runs
                 WHERE run_id = ?1",
            )?
            .query_row([run.as_str()], |row| {
                Ok(Self {
                    id: row.get(0)?,
                    last_seq: row.get::<_, i64>(1)?.cast_unsigned(),
                    holder: row.get(2)?,
                    held_until: row.get(3)?,
                    is_parked: row.get(4)?,
                })
            })
            .optional()
    }

    fn is_held_by(&self, holder: &str) -> bool {
        self.holder.as_deref() == Some(holder)
    }

    fn is_held(&self, now: Timestamp, holders: &Holders) -> bool {
        is_held(self.holder.as_deref(), self.held_until, now, holders)
    }
}

/// Whether a hold counts: its lease runs, and its holder is not known to be dead.
pub(crate) fn is_held(
    holder: Option<&str>,
    until: Option<i64>,
    now: Timestamp,
    holders: &Holders,
) -> bool {
    let Some(holder) = holder else { return false };
    until.is_some_and(|until| until > now.as_micros()) && !holders.is_dead(holder)
}

impl Work {
    pub(crate) const fn new(
        run: RunId,
        holder: Arc<str>,
        what: What,
        answer: oneshot::Sender<Result<bool, CheckpointError>>,
    ) -> Self {
        Self { run, holder, what, found: None, answer }
    }

    fn lost(&self) -> CheckpointError {
        CheckpointError::Lost { run: self.run.clone() }
    }

    fn perform(&self, connection: &Connection) -> rusqlite::Result<Result<bool, CheckpointError>> {
        let known = Known::find(connection, &self.run)?;
        match &self.what {
            What::Append { rows, until } => self.append(connection, known, rows, *until),
            What::Claim { until, holders } => {
                // A run that is held or parked, or that nobody knows.
                let free =
                    |known: &Known| !known.is_parked && !known.is_held(Timestamp::now(), holders);
                let Some(known) = known.filter(free) else { return Ok(Ok(false)) };
                connection
                    .prepare_cached(
                        "UPDATE runs SET holder = ?2, held_until = ?3, unused = 1,
                           claims = claims + 1, in_vain = in_vain + 1 WHERE id = ?1",
                    )?
                    .execute(params![known.id, &*self.holder, until.as_micros()])?;
                Ok(Ok(true))
            }
            What::Renew { until } => {
                let Some(known) = known else { return Ok(Ok(true)) };
                if !known.is_held_by(&self.holder) {
                    return Ok(Ok(known.holder.is_none()));
                }
                connection
                    .prepare_cached("UPDATE runs SET held_until = ?2 WHERE id = ?1")?
                    .execute(params![known.id, until.as_micros()])?;
                Ok(Ok(true))
            }
            What::Release => {
                connection
                    .prepare_cached(
                        "UPDATE runs SET holder = NULL, held_until = NULL, unused = 0,
                           claims = claims - unused, in_vain = max(in_vain - unused, 0)
                         WHERE run_id = ?1 AND holder = ?2",
                    )?
                    .execute(params![self.run.as_str(), &*self.holder])?;
                Ok(Ok(true))
            }
            What::End { at, error } => self.end(connection, known, *at, error.as_deref()),
            What::Park { why, now, holders } => {
                let Some(known) = known else { return Ok(Ok(true)) };
                if known.is_held(*now, holders) && !known.is_held_by(&self.holder) {
                    return Ok(Err(self.lost()));
                }
                connection
                    .prepare_cached(
                        "UPDATE runs SET holder = NULL, held_until = NULL,
                           parked = coalesce(parked, ?2) WHERE id = ?1",
                    )?
                    .execute(params![known.id, why])?;
                Ok(Ok(true))
            }
            What::Unpark => {
                let changed = connection
                    .prepare_cached(
                        "UPDATE runs SET parked = NULL, in_vain = 0
                         WHERE run_id = ?1 AND parked IS NOT NULL",
                    )?
                    .execute([self.run.as_str()])?;
                Ok(Ok(changed > 0))
            }
        }
    }

    fn append(
        &self,
        connection: &Connection,
        known: Option<Known>,
        rows: &[Row],
        until: Timestamp,
    ) -> rusqlite::Result<Result<bool, CheckpointError>> {
        if known.as_ref().is_some_and(|known| !known.is_held_by(&self.holder)) {
            return Ok(Err(self.lost()));
        }
        let last_seq = known.as_ref().map_or(0, |known| known.last_seq);
        let fresh = &rows[rows.partition_point(|row| row.seq <= last_seq)..];
        // All or nothing: a gap further on must not leave half of the records.
        let mut expected = last_seq + 1;
        for row in fresh {
            if row.seq != expected && !(row.resumes && row.seq > expected) {
                let (run, found) = (self.run.clone(), row.seq);
                return Ok(Err(CheckpointError::Gap { run, expected, found }));
            }
            expected = row.seq + 1;
        }
        let id = match (known, fresh.is_empty()) {
            (None, true) => return Ok(Ok(true)),
            (Some(known), _) => known.id,
            (None, false) => connection
                .prepare_cached("INSERT INTO runs (run_id, holder) VALUES (?1, ?2) RETURNING id")?
                .query_row(params![self.run.as_str(), &*self.holder], |row| row.get(0))?,
        };
        let mut insert = connection
            .prepare_cached("INSERT INTO records (run, seq, record) VALUES (?1, ?2, ?3)")?;
        for row in fresh {
            insert.execute(params![id, row.seq.cast_signed(), row.text])?;
        }
        let advances = fresh.iter().any(|row| row.advances);
        connection
            .prepare_cached(
                "UPDATE runs SET last_seq = ?2, held_until = ?3, unused = unused AND ?4,
                   in_vain = CASE WHEN ?5 THEN 0 ELSE in_vain END WHERE id = ?1",
            )?
            .execute(params![
                id,
                (expected - 1).cast_signed(),
                until.as_micros(),
                fresh.is_empty(),
                advances
            ])?;
        Ok(Ok(true))
    }

    fn end(
        &self,
        connection: &Connection,
        known: Option<Known>,
        at: Timestamp,
        error: Option<&str>,
    ) -> rusqlite::Result<Result<bool, CheckpointError>> {
        let Some(known) = known else { return Ok(Ok(true)) };
        if known.holder.is_some() && !known.is_held_by(&self.holder) {
            return Ok(Err(self.lost()));
        }
        connection.prepare_cached("DELETE FROM runs WHERE id = ?1")?.execute([known.id])?;
        let end: i64 = connection
            .prepare_cached(
                "INSERT INTO ended (run_id, at, error) VALUES (?1, ?2, ?3) RETURNING id",
            )?
            .query_row(params![self.run.as_str(), at.as_micros(), error], |row| row.get(0))?;
        connection.prepare_cached("DELETE FROM ended WHERE id <= ?1")?.execute([end - ENDS])?;
        Ok(Ok(true))
    }
}

impl Job for Work {
    type Group<'c> = &'c Connection;

    fn group(connection: &Connection) -> &Connection {
        connection
    }

    fn apply(&mut self, group: &mut &Connection) -> rusqlite::Result<()> {
        self.found = Some(self.perform(group)?);
        Ok(())
    }

    fn settle(self, result: Result<(), StoreError>) {
        let found = self.found.unwrap_or_else(|| Err(gone("no answer")));
        // Whoever does not wait any more does not need the answer.
        let _ = self.answer.send(result.map_err(of_store).and(found));
    }

    fn is_awaited(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        let rows = match &self.what {
            What::Append { rows, .. } => {
                rows.iter().map(|row| size_of::<Row>() + row.text.len()).sum()
            }
            _ => 0,
        };
        size_of::<Self>() + rows
    }
}
