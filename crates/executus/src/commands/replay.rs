//! `executus replay`: the journal fed through the machine, state by state.

use executus_audit_sqlite::QueryError;
use executus_core::machine::Digester;
use executus_core::{Fact, Record, Run};

use crate::cli::ReplayArgs;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::{output, store};

/// Replays a run and says whether it is the one that was recorded.
///
/// # Errors
/// When there is no such run, or nothing is left to replay.
pub(crate) fn run(args: &ReplayArgs) -> Result<Exit, Fault> {
    let (reader, found) = store::find(&args.store, &args.run)?;
    let verdict = match reader.journal(&found.run_id) {
        Ok(records) if records.is_empty() => Err(Difference::at(1, "nothing is recorded")),
        Ok(records) => replay(&records),
        Err(QueryError::Damaged { what, seq, .. }) => {
            Err(Difference::at(seq.unwrap_or(1), format!("the {what} cannot be read")))
        }
        Err(error @ QueryError::Purged { .. }) => {
            return Err(Fault::error(error.to_string())
                .help("`executus explain` shows what is left of the run"));
        }
        Err(error) => return Err(store::not_read(&error)),
    };
    match verdict {
        Ok(count) => {
            output::line(&format!("same: {count} records lead to the recorded states"))?;
            Ok(Exit::Ok)
        }
        Err(Difference { seq, what }) => {
            output::line(&format!("differs at record {seq}: {what}"))?;
            Ok(Exit::Error)
        }
    }
}

/// Where a journal first departs from the run that it tells of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The record, from 1.
    pub(crate) seq: u64,
    /// How.
    pub(crate) what: String,
}

impl Difference {
    fn at(seq: u64, what: impl Into<String>) -> Self {
        Self { seq, what: what.into() }
    }
}

/// Feeds records through the machine; the number of states that agree.
fn replay(records: &[Record]) -> Result<usize, Difference> {
    let Some(Record { seq: 1, fact: Fact::Opened(spec), .. }) = records.first() else {
        return Err(Difference::at(1, "the journal does not begin with the opening of a run"));
    };
    let mut run = Run::new(spec.clone());
    let mut digester = Digester::new();
    // What counts so far: a later life forgets what its start did not know.
    let mut valid: Vec<&Record> = Vec::new();
    for (expected, record) in (1..).zip(records) {
        let seq = record.seq;
        if seq != expected {
            return Err(Difference::at(expected, format!("it is missing; record {seq} follows")));
        }
        if let Fact::Resumed { from_seq, .. } = &record.fact {
            valid.retain(|record| record.seq <= *from_seq);
            run = Run::fold(valid.iter().copied()).map_err(|error| {
                Difference::at(seq, format!("its life cannot be resumed: {error}"))
            })?;
            digester = Digester::new();
        }
        // The opening is the run itself; every other fact is applied to it.
        if !matches!(record.fact, Fact::Opened(_)) {
            run.apply(record.at, &record.fact)
                .map_err(|misuse| Difference::at(seq, misuse.to_string()))?;
        }
        valid.push(record);
        let state = digester.digest(&run);
        if state != record.state {
            return Err(Difference::at(
                seq,
                format!(
                    "`{}` leads to state {state}, recorded is {}",
                    record.fact.kind(),
                    record.state
                ),
            ));
        }
    }
    Ok(records.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use executus_core::event::Event;
    use executus_core::memory::{MemoryAudit, MemoryCheckpointer};
    use executus_core::{Executor, Model, ModelError, Reply, RunRequest, Turn};
    use serde_json::json;

    use super::*;

    /// Two calls, then it waits for ever in its first life and ends in the second.
    #[derive(Debug, Default)]
    struct TwoLives {
        is_second: AtomicBool,
    }

    #[async_trait]
    impl Model for TwoLives {
        async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
            match turn.step() {
                1 | 2 => Ok(Reply::call("nothing", json!({"step": turn.step()}))),
                _ if self.is_second.load(Ordering::SeqCst) => Ok(Reply::text("done")),
                _ => std::future::pending().await,
            }
        }
    }

    async fn records_of_two_lives() -> Vec<Record> {
        let audit = Arc::new(MemoryAudit::default());
        let kept = Arc::new(MemoryCheckpointer::default());
        let executor =
            || Executor::builder().audit(audit.clone()).checkpointer(kept.clone()).build();
        let model = Arc::new(TwoLives::default());
        let mut request = RunRequest::new(model.clone());
        let mut events = request.watch(64);
        let first = executor();
        let handle = first.start(request).unwrap();
        while !matches!(events.next().await, Some(Event::StepStarted { step: 3 })) {}
        first.shutdown(Duration::from_secs(5)).await;
        model.is_second.store(true, Ordering::SeqCst);
        let run = handle.run_id();
        let resumed = executor().resume(run, |_| RunRequest::new(model)).await.unwrap();
        resumed.settled().await;
        audit.records(run)
    }

    #[tokio::test]
    async fn both_lives_of_a_run_replay() {
        let records = records_of_two_lives().await;
        assert!(records.iter().any(|record| matches!(record.fact, Fact::Resumed { .. })));
        assert_eq!(replay(&records), Ok(records.len()));
    }

    #[tokio::test]
    async fn whatever_is_changed_is_found_where_it_stands() {
        let records = records_of_two_lives().await;
        for at in 0..records.len() {
            let mut changed = records.clone();
            changed[at].state = executus_core::digest::Digest::default();
            assert_eq!(replay(&changed).unwrap_err().seq, records[at].seq);
            let mut cut = records.clone();
            cut.remove(at);
            let found = replay(&cut).map_err(|difference| difference.seq);
            let is_last = at + 1 == records.len();
            let expected = if is_last { Ok(at) } else { Err(records[at].seq) };
            assert_eq!(found, expected, "without record {}", records[at].seq);
        }
        assert_eq!(replay(&[]).unwrap_err().seq, 1);
    }
}
