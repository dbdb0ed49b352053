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
    let (reader, found) = store::find(args.store.db.as_deref(), &args.run)?;
    let verdict = match reader.journal(&found.run_id) {
        Ok(records) if records.is_empty() => Err(Difference::at(1, "nothing is recorded")),
        Ok(records) => replay(&records),
        Err(QueryError::Damaged { what, .. }) => {
            let seq = what.rsplit(' ').next().and_then(|seq| seq.parse().ok());
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
