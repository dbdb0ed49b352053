//! The run machine: a run as the fold of its facts. Pure: no await, no clock, no I/O.
//!
//! [`Run::plan`] says what must happen next, [`Run::apply`] takes in what did. Any executor that
//! performs the plans and feeds back facts drives a run to [`Next::Done`]; feeding recorded facts
//! reaches the same state, which [`Digester`] proves. This module knows no port, no model and no
//! time but the timestamps in facts.

use std::num::NonZeroUsize;
use std::sync::Arc;

use thiserror::Error;

use crate::id::HoldId;
use crate::record::{Fact, Gate, Phase, Record, Stop};
use crate::spec::RunSpec;
use crate::status::{ErrorKind, RunError, RunStatus, Tally};
use crate::time::Timestamp;
use crate::tool::Effect;
use crate::transcript::{Acted, Entry, Reply, Transcript};

mod apply;
mod approval;
mod digester;
mod replay;

use approval::Approvals;
pub use approval::{Approval, Verdict};
pub use digester::Digester;
pub use replay::{ReplayError, replay};

/// What must happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask a gate; the answer is [`Fact::Admitted`] or [`Fact::Refused`].
    Admit(Gate),
    /// Ask the model for this step; the answer is [`Fact::Decided`] or [`Fact::Undecided`].
    /// Steering and failed attempts may come before it.
    Decide {
        /// The step, from 1.
        step: u32,
    },
    /// Perform the open calls of this step, but for those that await approval; each is answered by
    /// [`Fact::Acted`], or may have to be [`Fact::Asked`] for first.
    Act {
        /// The step, from 1.
        step: u32,
    },
    /// Nothing can be done before somebody approves a call of this step, or its time is over, see
    /// [`Run::waits`]; the answer is [`Fact::Answered`].
    Wait {
        /// The step, from 1.
        step: u32,
    },
    /// Perform a phase of settling; the answer is [`Fact::Settled`].
    Settle(Phase),
    /// Nothing: the run is over.
    Done,
}

/// A call of the current step.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenCall {
    /// What performing it twice would do.
    pub effect: Effect,
    /// Whether a [`Fact::Started`] says that it may have begun.
    pub started: bool,
    /// How it ended, once it did.
    pub answer: Option<Arc<Acted>>,
}

/// How a run ends, as far as the facts say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The status and the error.
    pub stop: Stop,
    /// When.
    pub at: Timestamp,
}

/// A run: its spec and the fold of its facts so far.
#[derive(Debug, Clone)]
pub struct Run {
    spec: Arc<RunSpec>,
    state: State,
}

#[derive(Debug, Clone)]
struct State {
    /// The next gate; `None` when all let the run pass.
    gate: Option<Gate>,
    /// Whether the loop was ever entered.
    entered: bool,
    /// Whether the critic watches this life.
    watched: bool,
    /// The hold that is to be settled, with the tally when it was taken.
    hold: Option<Box<(HoldId, Tally)>>,
    attempt: u32,
    deadline: Timestamp,
    step: u32,
    /// Where the newest reply stands in the transcript, counted from 1.
    reply: Option<NonZeroUsize>,
    open: Vec<OpenCall>,
    /// What calls of the step were asked for, in call order.
    approvals: Approvals,
    transcript: Transcript,
    tally: Tally,
    /// The size of the transcript in bytes, as [`Limits`](crate::Limits) count it.
    history: u64,
    end: Option<End>,
    /// The phases of settling that are over, as bits in the order of [`Phase::ALL`].
    settled: u16,
    last_at: Timestamp,
}

/// A fact that cannot follow the facts so far. The executor ends such a run with an error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a fact `{fact}` cannot come now: the run would {next:?}")]
pub struct Misuse {
    /// The kind of the fact.
    pub fact: &'static str,
    /// What the machine had planned.
    pub next: Next,
}

/// Why records are not the log of a run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FoldError {
    /// The first record must open the run.
    #[error("the log does not begin with the opening of a run")]
    NotOpened,
    /// Records are missing.
    #[error("record {found} follows record {after}: the log has a gap")]
    Gap {
        /// The last good sequence number.
        after: u64,
        /// The one that follows.
        found: u64,
    },
    /// A fact cannot follow those before it.
    #[error("record {seq}: {misuse}")]
    Misuse {
        /// Which record.
        seq: u64,
        /// Why.
        #[source]
        misuse: Misuse,
    },
}

impl Run {
    /// A run that nothing has happened to.
    #[must_use]
    pub fn new(spec: Arc<RunSpec>) -> Self {
        let state = State {
            gate: first_gate(&spec, None),
            entered: false,
            watched: false,
            hold: None,
            attempt: 1,
            deadline: spec.deadline,
            step: 0,
            reply: None,
            open: Vec::new(),
            approvals: Approvals::default(),
            transcript: Transcript::default(),
            tally: Tally::default(),
            history: 0,
            end: None,
            settled: 0,
            last_at: spec.started_at,
        };
        let mut run = Self { spec, state };
        run.pass();
        run
    }

    /// The run whose log this is. Records that a [`Fact::Resumed`] makes void are left out.
    ///
    /// # Errors
    /// [`FoldError`] names the first record that does not fit.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, FoldError> {
        let mut records = records.into_iter();
        let opening = records.next().ok_or(FoldError::NotOpened)?;
        let Fact::Opened(spec) = &opening.fact else { return Err(FoldError::NotOpened) };
        let mut valid: Vec<&Record> = Vec::new();
        let mut seq = opening.seq;
        for record in records {
            if let Fact::Resumed { from_seq, .. } = &record.fact {
                // The life that was resumed knew no more than this.
                valid.retain(|record| record.seq <= *from_seq);
            } else if record.seq != seq + 1 {
                return Err(FoldError::Gap { after: seq, found: record.seq });
            }
            seq = record.seq;
            valid.push(record);
        }
        let mut run = Self::new(Arc::clone(spec));
        for record in valid {
            let seq = record.seq;
            run.apply(record.at, &record.fact)
                .map_err(|misuse| FoldError::Misuse { seq, misuse })?;
        }
        Ok(run)
    }

    /// What must happen next.
    #[must_use]
    pub fn plan(&self) -> Next {
        if let Some(end) = &self.state.end {
            let left = self.phases(end) & !self.state.settled;
            return first_phase(left).map_or(Next::Done, Next::Settle);
        }
        match self.state.gate {
            Some(gate) => Next::Admit(gate),
            None if self.state.open.is_empty() => Next::Decide { step: self.state.step + 1 },
            None if self.state.approvals.is_empty() => Next::Act { step: self.state.step },
            None => self.act_or_wait(),
        }
    }

    /// What the run was asked to be.
    #[must_use]
    pub const fn spec(&self) -> &Arc<RunSpec> {
        &self.spec
    }

    /// What was said and done.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        &self.state.transcript
    }

    /// The counts so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.state.tally
    }

    /// The calls of the current step, in call order.
    #[must_use]
    pub fn open(&self) -> &[OpenCall] {
        &self.state.open
    }

    /// The newest reply.
    #[must_use]
    pub fn reply(&self) -> Option<&Arc<Reply>> {
        match self.state.transcript.entries().get(self.state.reply?.get() - 1)? {
            Entry::Reply(reply) => Some(reply),
            Entry::Result(_) | Entry::Steer(_) => None,
        }
    }

    /// The number of the newest decided step; 0 before the first.
    #[must_use]
    pub const fn step(&self) -> u32 {
        self.state.step
    }

    /// Which life this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.state.attempt
    }

    /// When this life times out.
    #[must_use]
    pub const fn deadline(&self) -> Timestamp {
        self.state.deadline
    }

    /// When the newest fact happened.
    #[must_use]
    pub const fn last_at(&self) -> Timestamp {
        self.state.last_at
    }

    /// How the run ends, once it does.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.state.end.as_ref()
    }

    /// The gate that has not let the run pass; `None` when all have.
    #[must_use]
    pub const fn gate(&self) -> Option<Gate> {
        self.state.gate
    }

    /// Whether the loop was ever entered: only then is there something to deliver.
    #[must_use]
    pub const fn entered(&self) -> bool {
        self.state.entered
    }

    /// The hold to settle and what was spent under it; `None` when nothing is held.
    #[must_use]
    pub fn hold(&self) -> Option<(&HoldId, Tally)> {
        let (hold, from) = &**self.state.hold.as_ref()?;
        let now = &self.state.tally;
        let spent = Tally {
            steps: now.steps - from.steps,
            tool_calls: now.tool_calls - from.tool_calls,
            input_tokens: now.input_tokens - from.input_tokens,
            output_tokens: now.output_tokens - from.output_tokens,
            thinking_tokens: now.thinking_tokens - from.thinking_tokens,
            cached_tokens: now.cached_tokens - from.cached_tokens,
            cost_micros: now.cost_micros - from.cost_micros,
        };
        Some((hold, spent))
    }

    /// The hold id of this life, fit to be asked for.
    #[must_use]
    pub fn hold_id(&self) -> HoldId {
        HoldId { run: self.spec.run_id.clone(), attempt: self.state.attempt }
    }

    /// The final text, or the last one there was.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.state.transcript.entries().iter().rev().find_map(|entry| match entry {
            Entry::Reply(reply) if !reply.text.is_empty() || reply.calls.is_empty() => {
                Some(reply.text.as_str())
            }
            Entry::Reply(_) | Entry::Result(_) | Entry::Steer(_) => None,
        })
    }

    /// The phases that settling this run has, as bits.
    fn phases(&self, end: &End) -> u16 {
        const ALWAYS: u16 = bit(Phase::Finishing)
            | bit(Phase::CleanUp)
            | bit(Phase::Children)
            | bit(Phase::Persist)
            | bit(Phase::Finished);
        let ports = self.spec.ports;
        let for_good = end.stop.status.is_terminal();
        // Whoever was resumed is kept, even if it never entered its loop.
        let kept = self.state.entered || self.state.attempt > 1;
        let only = |phase: Phase, has: bool| if has { bit(phase) } else { 0 };
        ALWAYS
            | only(Phase::StopCritic, self.state.watched)
            | only(Phase::SettleBudget, self.state.hold.is_some())
            | only(Phase::CloseAudit, ports.audit)
            | only(Phase::Deliver, ports.delivery && for_good && self.state.entered)
            | only(Phase::Checkpoint, ports.checkpoint && for_good && kept)
    }

    /// Enters the loop when all gates are passed; a dry run ends there.
    fn pass(&mut self) {
        if self.state.gate.is_some() || self.state.end.is_some() {
            return;
        }
        if self.spec.dry_run {
            let stop = Stop { status: RunStatus::DryRun, error: None };
            self.state.end = Some(End { stop, at: self.state.last_at });
        } else {
            self.state.entered = true;
        }
    }
}

/// The first of these phases.
fn first_phase(left: u16) -> Option<Phase> {
    // What the simulator must find: built so by `cargo xtask soak broken-order` alone.
    #[cfg(executus_broken_order)]
    if left & bit(Phase::Deliver) != 0 {
        return Some(Phase::Deliver);
    }
    Phase::ALL.get(left.trailing_zeros() as usize).copied()
}

const fn bit(phase: Phase) -> u16 {
    1 << phase as u16
}

/// The first gate after `passed` that this run has.
fn first_gate(spec: &RunSpec, passed: Option<Gate>) -> Option<Gate> {
    Gate::ALL.into_iter().filter(|gate| passed.is_none_or(|passed| *gate > passed)).find(|gate| {
        match gate {
            Gate::Record => spec.ports.audit,
            Gate::Resolve => spec.ports.palette && !spec.dry_run,
            Gate::Reserve => spec.ports.budget && !spec.dry_run,
            Gate::Watch => spec.ports.critic && !spec.dry_run,
        }
    })
}

fn limit_error(kind: ErrorKind, message: String) -> Stop {
    let status = match kind {
        ErrorKind::TokenLimit | ErrorKind::CostLimit => RunStatus::BudgetExceeded,
        ErrorKind::Timeout => RunStatus::Timeout,
        _ => RunStatus::Error,
    };
    Stop { status, error: Some(RunError::new(kind, message)) }
}
