//! `executus tail`: what a run does, as another process records it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_audit_sqlite::{AuditReader, AuditRecord, QueryError, RunSummary};
use executus_core::RunId;
use executus_stream::{FeedError, Follow, Stored, StoredError, StoredEvent, StoredRun};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::explain;
use crate::cli::TailArgs;
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::{json, output, store};

/// How often it is looked for what is new.
const LOOK: Duration = Duration::from_millis(100);

/// Shows each record once, in order, to the end of the run.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub(crate) async fn run(args: &TailArgs) -> Result<Exit, Fault> {
    let (reader, found) = store::find(&args.store, args.run.as_str())?;
    let trail = Arc::new(Trail { reader, read: Mutex::default() });
    let after = args.from.saturating_sub(1);
    let stored = Arc::clone(&trail) as Arc<dyn Stored>;
    let mut follow = Follow::open(stored, &args.run, after, LOOK).await.map_err(|e| failed(&e))?;
    while let Some(event) = follow.next().await {
        let event = event.map_err(|error| failed(&error))?;
        if let Some(seq) = event.id {
            let Some(record) = trail.read.lock().await.remove(&seq) else { continue };
            output::result(&if args.json {
                of_type("record", json::record(&record))
            } else {
                explain::line(found.started_at, &record, None)
            })?;
            continue;
        }
        let summary = trail.reader.run(&args.run).map_err(|error| store::not_read(&error))?;
        if summary.closed {
            return end(args, &summary);
        }
        tell_interrupted(args, &summary)?;
        if args.no_wait {
            return end_of(&summary);
        }
    }
    let summary = trail.reader.run(&args.run).map_err(|error| store::not_read(&error))?;
    end(args, &summary)
}

/// The last line.
fn end(args: &TailArgs, summary: &RunSummary) -> Result<Exit, Fault> {
    let Some(outcome) = store::outcome(summary) else { return Ok(Exit::Ok) };
    if args.json {
        output::line(&json::finished(&outcome).to_string())?;
    } else {
        let why = outcome.error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        output::line(&format!("{}{why}", outcome.status))?;
    }
    Ok(Exit::of(&outcome))
}

fn end_of(summary: &RunSummary) -> Result<Exit, Fault> {
    Ok(store::outcome(summary).map_or(Exit::Ok, |outcome| Exit::of(&outcome)))
}

/// That the life is over, and the run is not.
fn tell_interrupted(args: &TailArgs, summary: &RunSummary) -> Result<(), Fault> {
    let error = summary.error.as_ref();
    if args.json {
        let fields = json!({"run_id": args.run, "error": error.map(json::error)});
        return output::result(&of_type("run.interrupted", fields));
    }
    let why = error.map_or(String::new(), |error| format!(": {error}"));
    let advice = if args.no_wait { "" } else { "; waiting for its next life" };
    output::note(&format!("interrupted{why}{advice}"));
    Ok(())
}

/// A line of JSON, the type first.
fn of_type(kind: &str, fields: Value) -> String {
    let mut line = Map::from_iter([("type".to_owned(), json!(kind))]);
    if let Value::Object(fields) = fields {
        line.extend(fields);
    }
    format!("{}\n", Value::Object(line))
}

fn failed(error: &FeedError) -> Fault {
    Fault::error(chain(error))
}

/// The trail of runs in the audit, with what was read of it and not yet shown.
struct Trail {
    reader: AuditReader,
    read: Mutex<BTreeMap<u64, AuditRecord>>,
}

#[async_trait]
impl Stored for Trail {
    async fn run(&self, run: &RunId) -> Result<Option<StoredRun>, StoredError> {
        match self.reader.run(run) {
            Ok(found) => Ok(Some(StoredRun { status: found.status, closed: found.closed })),
            Err(QueryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoredError::new(chain(&error))),
        }
    }

    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoredError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let records = self.reader.records_after(run, after, limit);
        let records = records.map_err(|error| StoredError::new(chain(&error)))?;
        let events = records.iter().map(|record| StoredEvent {
            seq: record.seq,
            at: record.at,
            step: record.key.step,
            call: record.key.call,
            kind: record.kind.clone(),
            body: record.body.clone(),
        });
        let events = events.collect();
        let mut read = self.read.lock().await;
        read.extend(records.into_iter().map(|record| (record.seq, record)));
        Ok(events)
    }
}
