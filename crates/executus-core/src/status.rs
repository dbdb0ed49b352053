//! How a run ended: status, typed error, counts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::transcript::{Artifact, Usage};

/// How a run ended. All but [`Interrupted`](Self::Interrupted) are terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// The model gave its final answer.
    Ok,
    /// The run failed; the error says how.
    Error,
    /// A deadline passed.
    Timeout,
    /// The budget refused the run or ran out, or a token or cost limit was passed.
    BudgetExceeded,
    /// The caller stopped the run, or dropped its handle.
    Cancelled,
    /// Nothing was to be executed, and nothing was.
    DryRun,
    /// The process was shut down or died; the run can be resumed.
    Interrupted,
}

impl RunStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Error,
        Self::Timeout,
        Self::BudgetExceeded,
        Self::Cancelled,
        Self::DryRun,
        Self::Interrupted,
    ];

    /// The name used in records and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::BudgetExceeded => "budget_exceeded",
            Self::Cancelled => "cancelled",
            Self::DryRun => "dry_run",
            Self::Interrupted => "interrupted",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether the run is over for good.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Interrupted)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of failure ended a run, as a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself was refused: a limit of zero, a duplicate tool name.
    Invalid,
    /// The model failed.
    Model,
    /// The transcript no longer fits the model's context.
    ContextOverflow,
    /// A playbook or another deciding part ended the run as failed.
    Failed,
    /// More model calls were needed than allowed.
    StepLimit,
    /// More tokens were used than allowed.
    TokenLimit,
    /// More money was spent than allowed.
    CostLimit,
    /// The audit could not record.
    Audit,
    /// The budget refused, or did not answer.
    Budget,
    /// The critic could not be set up.
    Critic,
    /// The palette could not be resolved.
    Palette,
    /// A save that had to be durable was not.
    Checkpoint,
    /// A critic or a guard stopped the run.
    Stopped,
    /// A denial ended the run.
    Denied,
    /// A deadline passed.
    Timeout,
    /// The caller stopped the run.
    Cancelled,
    /// The process was shut down.
    Interrupted,
    /// A call awaits somebody's approval: the run is kept and goes on when there is an answer.
    AwaitingApproval,
    /// The run killed its worker again and again: it is kept, and resumed only by hand.
    Parked,
    /// A fault of the executor itself; please report it.
    Kernel,
}

impl ErrorKind {
    /// The name used in records and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Model => "model",
            Self::ContextOverflow => "context_overflow",
            Self::Failed => "failed",
            Self::StepLimit => "step_limit",
            Self::TokenLimit => "token_limit",
            Self::CostLimit => "cost_limit",
            Self::Audit => "audit",
            Self::Budget => "budget",
            Self::Critic => "critic",
            Self::Palette => "palette",
            Self::Checkpoint => "checkpoint",
            Self::Stopped => "stopped",
            Self::Denied => "denied",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Parked => "parked",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Kernel => "kernel",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a run did not end `ok`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunError {
    /// What kind of failure.
    pub kind: ErrorKind,
    /// What happened, bounded and scrubbed.
    pub message: String,
    /// Whether the same run may succeed when it is tried again unchanged.
    pub retryable: bool,
}

impl RunError {
    /// An error that will not go away by itself.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: crate::text::bounded(message.into()), retryable: false }
    }

    /// The same, marked as worth another try.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl std::error::Error for RunError {}

/// Counts of a run so far. Sums saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Model replies.
    pub steps: u64,
    /// Executed tool calls, failed ones included.
    pub tool_calls: u64,
    /// Tokens the model read.
    pub input_tokens: u64,
    /// Tokens the model wrote.
    pub output_tokens: u64,
    /// Tokens the model thought; not part of the output tokens.
    pub thinking_tokens: u64,
    /// Tokens the model read from a cache; part of the input tokens.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Money, in millionths of the host's unit.
    pub cost_micros: u64,
}

impl Tally {
    /// All tokens.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens).saturating_add(self.thinking_tokens)
    }

    /// Adds what one model call used.
    pub const fn add(&mut self, usage: &Usage) {
        self.input_tokens = self.input_tokens.saturating_add(usage.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(usage.output_tokens);
        self.thinking_tokens = self.thinking_tokens.saturating_add(usage.thinking_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(usage.cached_tokens);
        self.cost_micros = self.cost_micros.saturating_add(usage.cost_micros);
    }
}

/// The counts of a run and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// The counts.
    pub tally: Tally,
    /// Milliseconds from the start of the run to its end.
    pub runtime_ms: u64,
}

/// The result of a run: what caller, record and delivery all read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The run.
    pub run_id: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// The final text; after a failure, the last text there was.
    pub output: Option<String>,
    /// Why the status is not `ok`; `None` for `ok` and `dry_run`.
    pub error: Option<RunError>,
    /// The counts.
    pub stats: Stats,
    /// What tools produced beside text.
    pub artifacts: Vec<Arc<Artifact>>,
}
