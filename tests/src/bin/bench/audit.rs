//! What the record costs: audited runs against bare transactions of the same rows, a record against
//! a send, how fast a file verifies and replays, and how large it is.

mod record;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use executus_audit_sqlite::{AuditReader, Config, RunFilter, SqliteAudit, verify};
use executus_core::Executor;
use executus_core::machine::replay;
use rusqlite::{Connection, params};

use super::child::{Bench, runtime};
use super::kernel::now;
use super::{Figure, Report, figure};

/// Turns of one run, each but the last with a call.
const TURNS: usize = 400;
/// Runs at once: enough that a pair is mostly neither its beginning nor its end.
const RUNS: usize = 48;
/// Measured pairs, after those that warm up: fill caches, and the log to its usual size.
const PAIRS: usize = 9;
const WARM: usize = 2;
/// Events in one bare transaction: as many as one of the audit's may take.
const BATCH: usize = 1024;

/// Bytes that the chain takes for an event.
const LINKED: i64 = 36;

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    let names = [
        "audit.events_over_raw_rusqlite",
        "audit.bytes_per_event",
        "audit.verify_mb_per_s",
        "audit.replay_mb_per_s",
    ];
    if names.iter().any(|name| report.wants(name)) {
        let found = runtime().block_on(ratios())?;
        report.add(&Figure::at_least(names[0], figure::median(found.ratios), 0.8));
        report.add(&Figure::told(names[1], found.bytes_per_event));
        report.add(&Figure::told(names[2], found.verified));
        report.add(&Figure::told(names[3], found.replayed));
    }
    record::measure(report)
}

/// What was found.
struct Found {
    ratios: Vec<f64>,
    /// Of the file, journal and chain included.
    bytes_per_event: f64,
    /// Megabytes of the file in a second.
    verified: f64,
    /// Megabytes of journals in a second, read and replayed.
    replayed: f64,
}

/// The rate of audited events over that of the same events in bare transactions, pair by pair.
/// Both files stay open, as they do in a host that lives long.
async fn ratios() -> Result<Found, String> {
    let folder = folder()?;
    let file = folder.path().join("audit.db");
    let audit = SqliteAudit::open(Config::new(&file)).map_err(text)?;
    let raw = open_raw(&folder.path().join("raw.db"), &file).map_err(text)?;
    let reader = Connection::open(&file).map_err(text)?;
    let mut ratios = Vec::new();
    let (mut seen, mut count) = (0, 0);
    for pair in 0..WARM + PAIRS {
        let audited = audited(&audit).await?;
        let runs = runs_after(&reader, seen).map_err(text)?;
        let events = events_after(&reader, seen).map_err(text)?;
        seen += RUNS as i64;
        if events.len() < RUNS * (2 * TURNS - 1) {
            return Err(format!("{} events of {RUNS} runs are recorded", events.len()));
        }
        count += events.len();
        let bare = write(&raw, &runs, &events).map_err(text)?;
        if pair >= WARM {
            // The same events, so their rates are as their times the other way round.
            ratios.push(bare.as_secs_f64() / audited.as_secs_f64());
        }
    }
    audit.close().await;
    drop((audit, reader));
    let size = std::fs::metadata(&file).map_err(text)?.len() as f64;
    let mut verified = Vec::new();
    for _ in 0..5 {
        let began = now();
        let found = verify(&file, None).map_err(text)?;
        if !found.holds() {
            return Err(format!("what was audited does not verify: {found:?}"));
        }
        verified.push(size / 1e6 / began.elapsed().as_secs_f64());
    }
    let verified = figure::median(verified);
    let replayed = replayed(&file)?;
    Ok(Found { ratios, bytes_per_event: size / count as f64, verified, replayed })
}

/// How fast the journals of some runs are read and replayed, state by state.
fn replayed(file: &Path) -> Result<f64, String> {
    let reader = AuditReader::open(file).map_err(text)?;
    let some = RunFilter { limit: Some(RUNS as i64), ..RunFilter::default() };
    let runs = reader.runs(&some).map_err(text)?;
    let bytes: i64 = Connection::open(file)
        .and_then(|connection| {
            let sql = "SELECT sum(length(fact)) FROM journal WHERE run <= ?";
            connection.query_row(sql, [RUNS as i64], |row| row.get(0))
        })
        .map_err(text)?;
    let mut rates = Vec::new();
    for _ in 0..5 {
        let began = now();
        for run in &runs {
            replay(&reader.journal(&run.run_id).map_err(text)?).map_err(text)?;
        }
        rates.push(bytes as f64 / 1e6 / began.elapsed().as_secs_f64());
    }
    Ok(figure::median(rates))
}

/// A folder beside the program: one in memory would have no fsync, which is most of what is compared.
fn folder() -> Result<tempfile::TempDir, String> {
    let program = std::env::current_exe().map_err(text)?;
    tempfile::tempdir_in(program.parent().unwrap_or(Path::new("."))).map_err(text)
}

/// How long so many runs take at once, each from its start to settled.
async fn audited(audit: &SqliteAudit) -> Result<Duration, String> {
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
    Ok(began.elapsed())
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

/// The runs after those that were seen: their numbers and ids.
fn runs_after(connection: &Connection, seen: i64) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut runs = connection.prepare("SELECT id, run_id FROM runs WHERE id > ? ORDER BY id")?;
    runs.query_map([seen], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Their events, in the order in which they happened.
fn events_after(connection: &Connection, seen: i64) -> rusqlite::Result<Vec<Event>> {
    let mut events = connection.prepare(
        "SELECT run, seq, at, step, call, args, kind, body, r.fact, state, j.fact
         FROM records r JOIN journal j USING (run, seq) WHERE run > ? ORDER BY at, run, seq",
    )?;
    let events = events.query_map([seen], |row| {
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
    events.collect()
}

/// A file with the same tables.
fn open_raw(file: &Path, audit: &Path) -> rusqlite::Result<Connection> {
    let tables = "SELECT group_concat(sql, ';') FROM sqlite_schema
                  WHERE type = 'table' AND name IN ('runs', 'records', 'journal', 'chain')";
    let tables: String = Connection::open(audit)?.query_row(tables, [], |row| row.get(0))?;
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(&tables)?;
    Ok(connection)
}

/// How long the same rows take in bare transactions.
fn write(
    connection: &Connection,
    runs: &[(i64, String)],
    events: &[Event],
) -> rusqlite::Result<Duration> {
    for run in runs {
        let sql = "INSERT INTO runs (id, run_id, format, subject_id, name, caller_id, channel_id,
                     spec, attempt, started_at)
                   VALUES (?, ?, 1, '', '', '', '', '', 1, 0)";
        connection.execute(sql, params![run.0, run.1])?;
    }
    let began = now();
    for batch in events.chunks(BATCH) {
        let transaction = connection.unchecked_transaction()?;
        let mut record = transaction.prepare_cached(
            "INSERT INTO records (run, seq, at, step, call, args, kind, body, fact, state)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let mut journal =
            transaction.prepare_cached("INSERT INTO journal (run, seq, fact) VALUES (?, ?, ?)")?;
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
        // As many bytes as the chain takes for them: a digest and its place for each.
        let link = "INSERT INTO chain (count, entries, head) VALUES (?, zeroblob(?), zeroblob(32))";
        let count = batch.len() as i64;
        transaction.prepare_cached(link)?.execute([count, count * LINKED])?;
        transaction.commit()?;
    }
    Ok(began.elapsed())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
