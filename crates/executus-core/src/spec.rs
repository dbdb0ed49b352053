//! What a run is asked to be, before anything happened: immutable data.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::RunId;
use crate::status::{ErrorKind, RunError};
use crate::time::Timestamp;

/// The version of the persisted form of facts and specs.
pub const FORMAT: u32 = 1;

/// What ends every run by itself. All limits are finite by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// When a critic begins to look: 90 s. Zero reads as 90 s, with a warning.
    pub soft_timeout: Duration,
    /// The longest a run may be active: 10 minutes.
    pub hard_timeout: Duration,
    /// Model calls: 20. The last one must be the final answer: calls that it asks for are not
    /// made, since no model would read their results.
    pub max_steps: u32,
    /// Tokens of all model calls: 200,000.
    pub max_tokens: u64,
    /// Money, in millionths of the host's unit; `None` for no limit.
    pub max_cost_micros: Option<u64>,
    /// Tool calls that one step may ask for: 64. Those beyond are answered with an error.
    pub max_calls_per_step: u32,
    /// Tool calls of one step that run at once: 8.
    pub concurrency: u32,
    /// Bytes of one tool result: 256 KiB. A longer one is cut, with a note of its length.
    pub max_result_bytes: u64,
    /// Bytes of one model reply: of its text, and of the arguments of all its calls: 1 MiB each. A
    /// longer text is cut, with a note, and is no good final answer; a call whose arguments do not
    /// fit any more is answered with an error.
    #[serde(default = "Limits::reply_bytes")]
    pub max_reply_bytes: u64,
    /// Bytes of the transcript that a further step may begin with: 16 MiB. A longer one ends the
    /// run with an error of kind `context_overflow`.
    #[serde(default = "Limits::history_bytes")]
    pub max_history_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            soft_timeout: Self::SOFT_TIMEOUT,
            hard_timeout: Duration::from_secs(600),
            max_steps: 20,
            max_tokens: 200_000,
            max_cost_micros: None,
            max_calls_per_step: 64,
            concurrency: 8,
            max_result_bytes: 256 * 1024,
            max_reply_bytes: Self::reply_bytes(),
            max_history_bytes: Self::history_bytes(),
        }
    }
}

impl Limits {
    /// The soft timeout of a run that names none.
    pub const SOFT_TIMEOUT: Duration = Duration::from_secs(90);

    const fn reply_bytes() -> u64 {
        1 << 20
    }

    const fn history_bytes() -> u64 {
        16 << 20
    }

    /// Refuses limits that mean nothing, by name.
    ///
    /// # Errors
    /// An error of kind `invalid` that names the field.
    pub fn check(&self) -> Result<(), RunError> {
        let field = if self.hard_timeout.is_zero() {
            "hard_timeout"
        } else if self.max_steps == 0 {
            "max_steps"
        } else if self.max_tokens == 0 {
            "max_tokens"
        } else if self.max_cost_micros == Some(0) {
            "max_cost_micros"
        } else if self.max_calls_per_step == 0 {
            "max_calls_per_step"
        } else if self.concurrency == 0 {
            "concurrency"
        } else if self.max_result_bytes == 0 {
            "max_result_bytes"
        } else if self.max_reply_bytes == 0 {
            "max_reply_bytes"
        } else if self.max_history_bytes == 0 {
            "max_history_bytes"
        } else {
            return Ok(());
        };
        let message = format!("limits.{field} is 0; give it a value above 0");
        Err(RunError::new(ErrorKind::Invalid, message))
    }
}

/// Which concerns a run has. The machine plans only the gates and phases of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "six independent switches, not a state")]
pub struct PortSet {
    /// An audit port is there.
    pub audit: bool,
    /// A budget port is there.
    pub budget: bool,
    /// A critic port is there.
    pub critic: bool,
    /// A checkpointer is there.
    pub checkpoint: bool,
    /// A palette is there and the run names skills or agents.
    pub palette: bool,
    /// A delivery port is there.
    pub delivery: bool,
}

/// What a language model is asked: what it is told first, and the task.
///
/// It is recorded, so it never holds a sensitive value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brief {
    /// What the model is told first: who it is, how it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The task.
    pub prompt: String,
}

impl Brief {
    /// A task.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { system: None, prompt: prompt.into() }
    }

    /// With what the model is told first.
    #[must_use]
    pub fn system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }
}

/// A run as data: who asked, for what, within which limits. It never holds a sensitive value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// The version of the persisted form: [`FORMAT`].
    pub format: u32,
    /// The run.
    pub run_id: RunId,
    /// What runs: an agent's or a skill's id.
    pub subject_id: Arc<str>,
    /// Its name for people.
    pub name: Arc<str>,
    /// Who asked.
    pub caller_id: Arc<str>,
    /// Where the request came from: a chat channel, a job.
    pub channel_id: Arc<str>,
    /// The run that delegated this one; `None` for a root run.
    pub parent_run_id: Option<RunId>,
    /// How many delegations lie above this run; 0 for a root run.
    pub depth: u32,
    /// The inputs, without sensitive values.
    pub inputs: Arc<Value>,
    /// What a language model is asked; `None` for a deciding part that needs no words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brief: Option<Arc<Brief>>,
    /// What the host wants to find again: the run file's digest, its own version.
    pub labels: Arc<Value>,
    /// The limits.
    pub limits: Limits,
    /// When the run was started.
    pub started_at: Timestamp,
    /// When the run times out.
    pub deadline: Timestamp,
    /// Which concerns the run has.
    pub ports: PortSet,
    /// Admit and record, execute nothing.
    pub dry_run: bool,
    /// Calls of tools that are not [`ReadOnly`](crate::Effect::ReadOnly) are denied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}
