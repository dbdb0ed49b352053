//! What the outbox has the writer thread do: what is looked at and what is changed in one
//! transaction, whoever else has the file open.

use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;
use executus_sqlite::rusqlite::{self, Connection, OptionalExtension, params};
use executus_sqlite::{Job, StoreError};
use tokio::sync::oneshot;

use super::entry::Pick;
use super::error::{OutboxError, gone, of_store};
use crate::message::Message;

/// How many forgotten messages go in one transaction.
const FORGOTTEN: u32 = 500;

/// See the module.
pub(super) struct Work {
    what: What,
    found: Option<Found>,
    answer: oneshot::Sender<Result<Found, OutboxError>>,
}

/// What is asked.
pub(super) enum What {
    /// Keeps a message, and an entry for each of these targets, unless its key is known.
    Keep { message: Message, targets: Vec<Arc<str>>, now: Timestamp },
    /// Takes entries that are due, at most so many.
    Claim { target: Arc<str>, holder: Arc<str>, most: u32, lease: Duration, attempts: u32 },
    /// How an attempt ended.
    End { claim: Claim, holder: Arc<str>, end: End },
    /// Dead ones are sent again.
    Retry { pick: Pick, now: Timestamp },
    /// Dead ones go.
    Discard { pick: Pick },
    /// Forgets what was sent before this.
    Forget { before: Timestamp },
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    Sent,
    Later {
        due: Timestamp,
        error: String,
    },
    Dead {
        error: String,
    },
    /// It was not made: it does not count.
    Back,
}

/// Which entry is held, by which attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) entry: i64,
    pub(super) attempt: u32,
}

/// What was found.
pub(super) enum Found {
    Count(u64),
    /// What is to be sent, and when there is more.
    Claims {
        claims: Vec<(Claim, Vec<u8>)>,
        next: Option<Timestamp>,
    },
}

impl Found {
    pub(super) const fn count(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Claims { .. } => 0,
        }
    }
}

impl Work {
    pub(super) const fn new(
        what: What,
        answer: oneshot::Sender<Result<Found, OutboxError>>,
    ) -> Self {
        Self { what, found: None, answer }
    }

    fn perform(&self, connection: &Connection) -> rusqlite::Result<Found> {
        let count = match &self.what {
            What::Claim { target, holder, most, lease, attempts } => {
                return claim(connection, target, holder, *most, *lease, *attempts);
            }
            What::Keep { message, targets, now } => keep(connection, message, targets, *now)?,
            What::End { claim, holder, end } => ended(connection, *claim, holder, end)?,
            What::Retry { pick, now } => {
                let (condition, value) = pick.condition();
                connection.execute(
                    &format!(
                        "UPDATE entries SET state = 'waiting', attempts = 0, due = ?2, holder = NULL,
                           ended_at = NULL WHERE state = 'dead' AND {condition}"
                    ),
                    params![value, now.as_micros()],
                )?
            }
            What::Discard { pick } => {
                let (condition, value) = pick.condition();
                let sql = format!("DELETE FROM entries WHERE state = 'dead' AND {condition}");
                let gone = connection.execute(&sql, [value])?;
                let without = "NOT EXISTS (SELECT 1 FROM entries WHERE message = messages.id AND \
                               state <> 'sent')";
                connection.execute(
                    &format!(
                        "UPDATE messages SET body = NULL WHERE body IS NOT NULL AND {without}"
                    ),
                    [],
                )?;
                gone
            }
            What::Forget { before } => connection
                .prepare_cached(
                    "DELETE FROM messages WHERE id IN (SELECT id FROM messages
                       WHERE body IS NULL AND kept_at < ?1 LIMIT ?2)",
                )?
                .execute(params![before.as_micros(), FORGOTTEN])?,
        };
        Ok(Found::Count(count as u64))
    }
}

/// A key that is known keeps its first message, and is not sent again to who has it.
fn keep(
    connection: &Connection,
    message: &Message,
    targets: &[Arc<str>],
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let (key, at) = (message.key().as_str(), now.as_micros());
    let known: Option<(i64, bool)> = connection
        .prepare_cached("SELECT id, body IS NULL FROM messages WHERE key = ?1")?
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let id = match known {
        // Every target had it.
        Some((_, true)) => return Ok(0),
        Some((id, false)) => id,
        None => {
            connection
                .prepare_cached("INSERT INTO messages (key, kept_at, body) VALUES (?1, ?2, ?3)")?
                .execute(params![key, at, &*message.shared_body()])?;
            connection.last_insert_rowid()
        }
    };
    let mut insert = connection.prepare_cached(
        "INSERT INTO entries (message, target, due) VALUES (?1, ?2, ?3)
         ON CONFLICT (message, target) DO NOTHING",
    )?;
    let mut kept = 0;
    for target in targets {
        kept += insert.execute(params![id, &**target, at])?;
    }
    Ok(kept)
}

fn claim(
    connection: &Connection,
    target: &str,
    holder: &str,
    most: u32,
    lease: Duration,
    attempts: u32,
) -> rusqlite::Result<Found> {
    let now = Timestamp::now();
    // Those whose sender died in the last attempt: nobody else is left to say so.
    connection
        .prepare_cached(
            "UPDATE entries SET state = 'dead', holder = NULL, ended_at = ?2,
               error = 'the process that sent it died in the last attempt'
             WHERE state = 'waiting' AND target = ?1 AND due <= ?2 AND attempts >= ?3",
        )?
        .execute(params![target, now.as_micros(), attempts])?;
    let mut due = connection.prepare_cached(
        "SELECT e.id, e.attempts, m.body FROM entries e JOIN messages m ON m.id = e.message
         WHERE e.state = 'waiting' AND e.target = ?1 AND e.due <= ?2 ORDER BY e.due LIMIT ?3",
    )?;
    let rows = due.query_map(params![target, now.as_micros(), most], |row| {
        let claim = Claim { entry: row.get(0)?, attempt: row.get::<_, u32>(1)?.saturating_add(1) };
        Ok((claim, row.get::<_, Option<Vec<u8>>>(2)?.unwrap_or_default()))
    })?;
    let claims = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut hold = connection
        .prepare_cached("UPDATE entries SET attempts = ?2, due = ?3, holder = ?4 WHERE id = ?1")?;
    let until = now.after(lease).as_micros();
    for (claim, _) in &claims {
        hold.execute(params![claim.entry, claim.attempt, until, holder])?;
    }
    let next: Option<i64> = connection
        .prepare_cached("SELECT min(due) FROM entries WHERE state = 'waiting' AND target = ?1")?
        .query_row([target], |row| row.get(0))?;
    Ok(Found::Claims { claims, next: next.map(Timestamp::from_micros) })
}

fn ended(
    connection: &Connection,
    claim: Claim,
    holder: &str,
    end: &End,
) -> rusqlite::Result<usize> {
    let Claim { entry, attempt } = claim;
    let now = Timestamp::now().as_micros();
    // Only who still holds it, by this very attempt, says that it has not arrived.
    let held = "WHERE id = ?1 AND state = 'waiting' AND holder = ?2 AND attempts = ?3";
    match end {
        End::Sent => {
            // It has arrived, whoever holds it meanwhile.
            let sent = connection
                .prepare_cached(
                    "UPDATE entries SET state = 'sent', holder = NULL, error = NULL, ended_at = ?2
                     WHERE id = ?1 AND state <> 'sent'",
                )?
                .execute(params![entry, now])?;
            connection
                .prepare_cached(
                    "UPDATE messages SET body = NULL
                     WHERE id = (SELECT message FROM entries WHERE id = ?1) AND NOT EXISTS
                       (SELECT 1 FROM entries WHERE message = messages.id AND state <> 'sent')",
                )?
                .execute([entry])?;
            Ok(sent)
        }
        End::Later { due, error } => connection
            .prepare_cached(&format!(
                "UPDATE entries SET due = ?4, error = ?5, holder = NULL {held}"
            ))?
            .execute(params![entry, holder, attempt, due.as_micros(), error]),
        End::Dead { error } => connection
            .prepare_cached(&format!(
                "UPDATE entries SET state = 'dead', ended_at = ?4, error = ?5, holder = NULL {held}"
            ))?
            .execute(params![entry, holder, attempt, now, error]),
        End::Back => connection
            .prepare_cached(&format!(
                "UPDATE entries SET attempts = attempts - 1, due = ?4, holder = NULL {held}"
            ))?
            .execute(params![entry, holder, attempt, now]),
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
        let found = self.found.ok_or_else(|| gone("no answer"));
        // Whoever does not wait any more does not need the answer.
        let _ = self.answer.send(result.map_err(of_store).and(found));
    }

    fn is_awaited(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        let body = match &self.what {
            What::Keep { message, .. } => message.body().len(),
            _ => 0,
        };
        size_of::<Self>() + body
    }
}
