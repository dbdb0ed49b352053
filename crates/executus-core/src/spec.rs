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
        }
    }
}

impl Limits {
    /// The soft timeout of a run that names none.
    pub const SOFT_TIMEOUT: Duration = Duration::from_secs(90);

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
}
