//! One record of a run, in both forms.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::str;
use std::sync::Arc;

use executus_core::digest::{Digest, Hasher};
use executus_core::port::AuditError;
use executus_core::{Record, Reply};
use executus_sqlite::StoreError;
use executus_sqlite::rusqlite::{self, CachedStatement, Connection, OptionalExtension, params};
use serde::ser::Error as _;

use crate::body;
use crate::chain::Link;
use crate::chain::entry::Entry;
use crate::chain::row::{self as chained, Salt};
use crate::error::audit_error;
use crate::trail::Ack;

/// What the jobs of one transaction share: their statements, and the link they make.
pub(crate) struct Group<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) link: Link,
    record: Option<CachedStatement<'c>>,
    journal: Option<CachedStatement<'c>>,
    /// The salts of the runs that were looked up; `None` for one that takes no more records.
    salts: BTreeMap<i64, Option<Salt>>,
}

impl<'c> Group<'c> {
    pub(crate) fn new(connection: &'c Connection) -> Self {
        let (record, journal) = (None, None);
        Self { connection, link: Link::default(), record, journal, salts: BTreeMap::new() }
    }

    /// After the run was erased or dropped.
    pub(crate) fn forget_salt(&mut self, run: i64) {
        self.salts.remove(&run);
    }

    fn salt(&mut self, run: i64) -> rusqlite::Result<Option<Salt>> {
        if let Some(salt) = self.salts.get(&run) {
            return Ok(*salt);
        }
        let salt = self
            .connection
            .prepare_cached("SELECT salt FROM runs WHERE id = ?1")?
            .query_row([run], |row| row.get(0))
            .optional()?
            .flatten();
        self.salts.insert(run, salt);
        Ok(salt)
    }
}

/// The statement, prepared the first time.
fn prepared<'a, 'c>(
    statement: &'a mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> rusqlite::Result<&'a mut CachedStatement<'c>> {
    match statement {
        Some(statement) => Ok(statement),
        none => Ok(none.insert(connection.prepare_cached(sql)?)),
    }
}

/// See the module.
pub(crate) struct Row {
    ack: Arc<Ack>,
    run: i64,
    seq: i64,
    at: i64,
    step: u32,
    call: Option<u32>,
    args: Option<Digest>,
    kind: &'static str,
    /// The fact, then the body: one allocation for both.
    text: Box<str>,
    /// Where the body begins.
    body_at: usize,
    digest: Digest,
    state: Digest,
    /// The run's, as it was when its life started.
    salt: Salt,
    /// The digest of the row, for the chain. Made here: the writer thread has enough to do.
    chained: Digest,
}

thread_local! {
    /// Where texts are written before their length is known.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What of the scratch is kept for the next record.
const KEPT: usize = 64 << 10;

impl Row {
    /// Renders a record, on the thread of the run.
    pub(crate) fn new(
        (run, salt): (i64, Salt),
        ack: Arc<Ack>,
        record: &Record,
        reply: Option<&Reply>,
    ) -> serde_json::Result<Self> {
        let mut scratch = SCRATCH.take();
        scratch.clear();
        let texts = texts(&mut scratch, record, reply);
        if scratch.capacity() <= KEPT {
            SCRATCH.set(scratch);
        }
        let (text, body_at) = texts?;
        let mut hasher = Hasher::new();
        hasher.text(&text[..body_at]);
        let digest = hasher.finish();
        let (seq, at) = (record.seq.cast_signed(), record.at.as_micros());
        let (step, call, kind) = (record.key.step, record.key.call, record.fact.kind());
        let says = chained::RecordSays {
            body: &text[body_at..],
            args: record.key.args.as_ref(),
            fact: &digest,
            state: &record.state,
        };
        let row = chained::Record { run, seq, at, step, call, kind };
        Ok(Self {
            ack,
            run,
            seq,
            at,
            step,
            call,
            args: record.key.args,
            kind,
            chained: row.digest(&says.digest(&salt, seq)),
            text,
            body_at,
            digest,
            state: record.state,
            salt,
        })
    }

    /// The bytes of its texts.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn apply(&self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        if self.ack.failure().is_some() {
            return Ok(());
        }
        if group.salt(self.run)? != Some(self.salt) {
            let message = "the run was erased or dropped".into();
            self.ack.fail(AuditError::Conflict { message });
            return Ok(());
        }
        let connection = group.connection;
        let (fact, body) = self.text.split_at(self.body_at);
        let insert = prepared(
            &mut group.record,
            connection,
            "INSERT INTO records (run, seq, at, step, call, args, kind, body, fact, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )?;
        let inserted = insert.execute(params![
            self.run,
            self.seq,
            self.at,
            self.step,
            self.call,
            self.args.as_ref().map(Digest::as_bytes),
            self.kind,
            body,
            self.digest.as_bytes(),
            self.state.as_bytes(),
        ])?;
        if inserted == 0 {
            return self.compare(connection);
        }
        let insert = prepared(
            &mut group.journal,
            connection,
            "INSERT INTO journal (run, seq, fact) VALUES (?1, ?2, ?3)",
        )?;
        insert.execute(params![self.run, self.seq, fact])?;
        group.link.push(Entry::Record { run: self.run, seq: self.seq }, &self.chained);
        Ok(())
    }

    /// A record that is kept already is kept as it is, and must be this one.
    fn compare(&self, connection: &Connection) -> rusqlite::Result<()> {
        let kept: ([u8; 32], [u8; 32]) = connection
            .prepare_cached("SELECT fact, state FROM records WHERE run = ?1 AND seq = ?2")?
            .query_row([self.run, self.seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if kept != (*self.digest.as_bytes(), *self.state.as_bytes()) {
            let message = format!("record {} is there already, with other content", self.seq);
            self.ack.fail(AuditError::Conflict { message });
        }
        Ok(())
    }

    pub(crate) fn settle(&self, result: Result<(), StoreError>) {
        match result {
            Ok(()) => self.ack.commit(),
            Err(error) => self.ack.fail(audit_error(error)),
        }
    }
}

/// The fact and the body of a record, and where the body begins.
fn texts(
    scratch: &mut Vec<u8>,
    record: &Record,
    reply: Option<&Reply>,
) -> serde_json::Result<(Box<str>, usize)> {
    serde_json::to_writer(&mut *scratch, &record.fact)?;
    let body_at = scratch.len();
    body::write(scratch, &record.fact, reply)?;
    let text = str::from_utf8(scratch).map_err(serde_json::Error::custom)?;
    Ok((text.into(), body_at))
}
