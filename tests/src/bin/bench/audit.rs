//! What the record costs: audited runs against bare transactions of the same rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use executus_audit_sqlite::{Config, SqliteAudit};
use executus_core::Executor;
use rusqlite::{Connection, params};

use super::child::{Bench, runtime};
use super::kernel::now;
use super::{Figure, Report, figure};

/// Turns of one run, each but the last with a call.
const TURNS: usize = 400;
/// Runs at once.
const RUNS: usize = 16;
/// Measured pairs, after one that warms up.
const PAIRS: usize = 9;
/// Events in one bare transaction.
const BATCH: usize = 256;

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    let name = "audit.events_over_raw_rusqlite";
    if !report.wants(name) {
        return Ok(());
    }
    let mut ratios = Vec::new();
    for pair in 0..=PAIRS {
        let folder = tempfile::tempdir().map_err(text)?;
        let file = folder.path().join("audit.db");
        let audited = runtime().block_on(audited(&file))?;
        let Rows { schema, runs, events } = read(&file)?;
        let raw = raw(&folder.path().join("raw.db"), &schema, &runs, &events)?;
        if pair > 0 {
            // The same events, so their rates are as their times the other way round.
            ratios.push(raw.as_secs_f64() / audited.as_secs_f64());
        }
    }
    report.add(&Figure::at_least(name, figure::median(ratios), 0.6));
    Ok(())
}

/// How long so many runs take at once, each from its start to settled.
async fn audited(file: &Path) -> Result<Duration, String> {
    let audit = SqliteAudit::open(Config::new(file)).map_err(text)?;
    let executor = Executor::builder().audit(Arc::new(audit.clone())).build();
    let bench = Bench::new(executor, TURNS);
    let began = now();
    let handles: Result<Vec<_>, _> =
        (0..RUNS).map(|_| bench.executor.start(bench.request())).collect();
    for handle in handles.map_err(text)? {
        let settled = handle.settled().await;
        if settled.outcome.output.is_none() {
            return Err(format!("an audited run ended as {:?}", settled.outcome));
        }
    }
    let took = began.elapsed();
    audit.close().await;
    Ok(took)
}

/// An event, as its two rows hold it.
struct Event {
    run: i64,
    seq: i64,
    at: i64,
    step: u32,
    call: Option<u32>,
    args: Option<[u8; 32]>,
    kind: String,
    body: String,
    digest: [u8; 32],
    state: [u8; 32],
    fact: String,
}

/// What the audited runs left.
struct Rows {
    schema: String,
    runs: Vec<(i64, String)>,
    events: Vec<Event>,
}

fn read(file: &Path) -> Result<Rows, String> {
    let read = || -> rusqlite::Result<Rows> {
        let connection = Connection::open(file)?;
        let tables = "SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type = 'table'";
        let schema = connection.query_row(tables, [], |row| row.get(0))?;
        let mut runs = connection.prepare("SELECT id, run_id FROM runs ORDER BY id")?;
        let runs = runs.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut events = connection.prepare(
            "SELECT run, seq, at, step, call, args, kind, body, r.fact, state, j.fact
             FROM records r JOIN journal j USING (run, seq) ORDER BY at, run, seq",
        )?;
        let events = events.query_map([], |row| {
            Ok(Event {
                run: row.get(0)?,
                seq: row.get(1)?,
                at: row.get(2)?,
                step: row.get(3)?,
                call: row.get(4)?,
                args: row.get(5)?,
                kind: row.get(6)?,
                body: row.get(7)?,
                digest: row.get(8)?,
                state: row.get(9)?,
                fact: row.get(10)?,
            })
        })?;
        Ok(Rows {
            schema,
            runs: runs.collect::<rusqlite::Result<_>>()?,
            events: events.collect::<rusqlite::Result<_>>()?,
        })
    };
    let rows = read().map_err(text)?;
    match rows.events.len() >= RUNS * (2 * TURNS - 1) {
        true => Ok(rows),
        false => Err(format!("{} events of {RUNS} runs are recorded", rows.events.len())),
    }
}

/// How long the same rows take in bare transactions.
fn raw(
    file: &Path,
    schema: &str,
    runs: &[(i64, String)],
    events: &[Event],
) -> Result<Duration, String> {
    let write = || -> rusqlite::Result<Duration> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(schema)?;
        for (id, run_id) in runs {
            let sql = "INSERT INTO runs (id, run_id, format, subject_id, name, caller_id,
                         channel_id, spec, attempt, started_at)
                       VALUES (?, ?, 1, '', '', '', '', '', 1, 0)";
            connection.execute(sql, params![id, run_id])?;
        }
        let began = now();
        for batch in events.chunks(BATCH) {
            let transaction = connection.unchecked_transaction()?;
            let mut record = transaction.prepare_cached(
                "INSERT INTO records (run, seq, at, step, call, args, kind, body, fact, state)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            let mut journal = transaction
                .prepare_cached("INSERT INTO journal (run, seq, fact) VALUES (?, ?, ?)")?;
            for event in batch {
                record.execute(params![
                    event.run,
                    event.seq,
                    event.at,
                    event.step,
                    event.call,
                    event.args,
                    event.kind,
                    event.body,
                    event.digest,
                    event.state,
                ])?;
                journal.execute(params![event.run, event.seq, event.fact])?;
            }
            drop((record, journal));
            transaction.commit()?;
        }
        Ok(began.elapsed())
    };
    write().map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
