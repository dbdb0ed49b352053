//! Facts: everything that happens to a run, in order. A run's state is the fold of its facts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::Key;
use crate::spec::RunSpec;
use crate::status::{RunError, RunStatus};
use crate::time::Timestamp;
use crate::tool::Effect;
use crate::transcript::{Acted, Reply, Steer, Usage};

/// A step of admission, in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Start the audit record.
    Record,
    /// Resolve the names of skills and agents.
    Resolve,
    /// Reserve budget.
    Reserve,
    /// Start the critic.
    Watch,
}

impl Gate {
    /// All gates in order.
    pub const ALL: [Self; 4] = [Self::Record, Self::Resolve, Self::Reserve, Self::Watch];
}

/// A step of settling, in the order of the variants. Each may be repeated after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Stop the critic.
    StopCritic,
    /// Tell the watchers that the run is finishing.
    Finishing,
    /// Undo what the host registered, in reverse order.
    CleanUp,
    /// End the child runs.
    Children,
    /// Settle or release the budget hold.
    SettleBudget,
    /// Persist what the host registered, in order.
    Persist,
    /// Close the audit record, or suspend it.
    CloseAudit,
    /// Tell the watchers how the run ended.
    Finished,
    /// Hand the result to the delivery port.
    Deliver,
    /// Complete or fail the checkpoint.
    Checkpoint,
}

impl Phase {
    /// All phases in order.
    pub const ALL: [Self; 10] = [
        Self::StopCritic,
        Self::Finishing,
        Self::CleanUp,
        Self::Children,
        Self::SettleBudget,
        Self::Persist,
        Self::CloseAudit,
        Self::Finished,
        Self::Deliver,
        Self::Checkpoint,
    ];

    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopCritic => "stop_critic",
            Self::Finishing => "finishing",
            Self::CleanUp => "clean_up",
            Self::Children => "children",
            Self::SettleBudget => "settle_budget",
            Self::Persist => "persist",
            Self::CloseAudit => "close_audit",
            Self::Finished => "finished",
            Self::Deliver => "deliver",
            Self::Checkpoint => "checkpoint",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An end, as a fact: the status and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The status the run ends with.
    pub status: RunStatus,
    /// Why; `None` for `dry_run`.
    pub error: Option<RunError>,
}

/// What the model decided, with what the executor knows of the calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decided {
    /// The step, from 1.
    pub step: u32,
    /// The reply.
    pub reply: Arc<Reply>,
    /// The declared effect of each call, in call order.
    pub effects: Vec<Effect>,
}

/// An attempt to decide a step that failed: it was made again, by this or another model, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The step that was to be decided.
    pub step: u32,
    /// The model that was asked.
    pub model: Arc<str>,
    /// Why it failed, bounded and scrubbed.
    pub error: String,
    /// What it used all the same.
    pub usage: Usage,
}

/// What somebody says to a call that awaits approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The step of the call, from 1.
    pub step: u32,
    /// The call within the step, from 0.
    pub call: u32,
    /// Whether it may be made.
    pub approved: bool,
    /// Who says so; empty when nobody did in time.
    pub by: Arc<str>,
    /// Why, for the model and the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was said. Later than the time limit it denies, whatever it says.
    pub given_at: Timestamp,
}

impl Answer {
    /// Yes, said now.
    pub fn yes(step: u32, call: u32, by: impl Into<Arc<str>>) -> Self {
        let (by, given_at) = (by.into(), Timestamp::now());
        Self { step, call, approved: true, by, reason: None, given_at }
    }

    /// No, said now.
    pub fn no(step: u32, call: u32, by: impl Into<Arc<str>>) -> Self {
        Self { approved: false, ..Self::yes(step, call, by) }
    }

    /// For this reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Said at this time.
    #[must_use]
    pub const fn at(mut self, given_at: Timestamp) -> Self {
        self.given_at = given_at;
        self
    }
}

/// Something that happened to a run. Facts of one step commute: calls are answered in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// The run was asked for. Always the first fact of a log.
    Opened(Arc<RunSpec>),
    /// A gate let the run pass.
    Admitted(Gate),
    /// A gate refused the run, or failed.
    Refused {
        /// Which one.
        gate: Gate,
        /// How the run ends.
        stop: Stop,
        /// Whether something may be held all the same: the answer is not known.
        unknown: bool,
    },
    /// An attempt to decide failed. It counts for the tally, and changes nothing else.
    Attempted(Arc<Attempt>),
    /// The model decided.
    Decided(Decided),
    /// The model failed.
    Undecided {
        /// The step that was not decided.
        step: u32,
        /// Why.
        error: RunError,
    },
    /// A call is not made before somebody approves it.
    Asked {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
        /// Until when an answer counts.
        until: Timestamp,
    },
    /// Somebody answered, or nobody did in time.
    Answered(Arc<Answer>),
    /// A call that may be made only once is about to be made.
    Started {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
    },
    /// A call ended.
    Acted(Arc<Acted>),
    /// Somebody steered.
    Steered(Arc<Steer>),
    /// The run was stopped. Replaces an earlier end until settling begins.
    Stopped(Stop),
    /// A phase of settling is over, well or badly.
    Settled {
        /// Which one.
        phase: Phase,
        /// What went wrong, if something did.
        error: Option<String>,
    },
    /// Another life of the run begins.
    Resumed {
        /// The sequence number of the last fact of the earlier lives that is known.
        from_seq: u64,
        /// The number of this life; the first one is 1.
        attempt: u32,
        /// The deadline of this life.
        deadline: Timestamp,
    },
}

impl Fact {
    /// The name of the kind of fact, as in the serialized form.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Admitted(_) => "admitted",
            Self::Refused { .. } => "refused",
            Self::Attempted(_) => "attempted",
            Self::Decided(_) => "decided",
            Self::Undecided { .. } => "undecided",
            Self::Asked { .. } => "asked",
            Self::Answered(_) => "answered",
            Self::Started { .. } => "started",
            Self::Acted(_) => "acted",
            Self::Steered(_) => "steered",
            Self::Stopped(_) => "stopped",
            Self::Settled { .. } => "settled",
            Self::Resumed { .. } => "resumed",
        }
    }
}

/// One entry of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its place in the log of the run, from 1, without gaps over all lives.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Where in the run.
    pub key: Key,
    /// What happened.
    pub fact: Fact,
    /// The digest of the state after it; see [`crate::machine::Digester`].
    pub state: Digest,
}
