//! Replay: feeding a log through the machine again, and comparing every state.

use std::sync::Arc;

use thiserror::Error;

use super::{Digester, FoldError, Run};
use crate::digest::Digest;
use crate::record::{Fact, Record};

/// Why a log does not replay.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The records are not the log of a run.
    #[error("the records are not the log of a run")]
    Log(#[source] FoldError),
    /// A fact leads to another state than it did.
    #[error("record {seq} leads to state {reached:.16}, recorded was {recorded:.16}")]
    Differs {
        /// The first record that does.
        seq: u64,
        /// The digest in the record.
        recorded: Digest,
        /// The digest reached now.
        reached: Digest,
    },
}

/// Feeds the log of a run through the machine, all its lives, and compares the digest of the state
/// after each fact with the recorded one.
///
/// # Errors
/// [`ReplayError`] names the first record that does not fit or leads elsewhere.
pub fn replay(records: &[Record]) -> Result<Run, ReplayError> {
    let Some(Fact::Opened(spec)) = records.first().map(|record| &record.fact) else {
        return Err(ReplayError::Log(FoldError::NotOpened));
    };
    let mut run = Run::new(Arc::clone(spec));
    let mut digester = Digester::new();
    let mut last = 0;
    for (at, record) in records.iter().enumerate() {
        let seq = record.seq;
        if let Fact::Resumed { from_seq, .. } = &record.fact {
            if *from_seq < last {
                // The life that was resumed knew no more than this; the rest was void.
                let known = records[..at].iter().filter(|record| record.seq <= *from_seq);
                run = Run::fold(known).map_err(ReplayError::Log)?;
                digester = Digester::new();
            }
        } else if seq != last + 1 {
            return Err(ReplayError::Log(FoldError::Gap { after: last, found: seq }));
        }
        if at > 0 {
            run.apply(record.at, &record.fact)
                .map_err(|misuse| ReplayError::Log(FoldError::Misuse { seq, misuse }))?;
        }
        let reached = digester.digest(&run);
        if reached != record.state {
            return Err(ReplayError::Differs { seq, recorded: record.state, reached });
        }
        last = seq;
    }
    Ok(run)
}
