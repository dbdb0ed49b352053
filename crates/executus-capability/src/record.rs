//! One record per invocation, whatever way it ended.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{RunId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::frame::Mode;

mod args;
mod memory;

pub(crate) use args::recorded;
pub use memory::MemoryActions;

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionKind {
    /// A token was granted.
    Grant,
    /// A token was refused by the policy.
    Deny,
    /// A capability was performed, or should have been.
    Invoke,
    /// Rows behind a handle were read.
    Expand,
    /// Tokens were revoked.
    Revoke,
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionError {
    /// A stable reason code: `token_expired`, `driver`, `budget_exhausted`, `cancelled`, …
    pub code: String,
    /// What happened, bounded and scrubbed.
    pub message: String,
}

/// The record of one action. It never holds what a driver answered, only counts of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRecord {
    /// The id: that of the frame.
    pub action_id: String,
    /// What it is a record of.
    pub kind: ActionKind,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Who asked.
    pub principal_id: Arc<str>,
    /// The capability, as it was asked for.
    pub capability_id: String,
    /// The token, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The run that asked, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The driver that served, or the last that was tried; empty when none was.
    #[serde(default)]
    pub driver_id: String,
    /// The mode that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The arguments, scrubbed.
    #[serde(default)]
    pub args: Value,
    /// Counts of what was shown: `fact_count`, `row_count`, `warning_count`, `has_handle`, …
    #[serde(default)]
    pub counts: Counts,
    /// Why it failed; `None` when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ActionError>,
}

/// What was shown, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Facts of the summary.
    pub fact_count: u64,
    /// Rows of the table.
    pub row_count: u64,
    /// Warnings.
    pub warning_count: u64,
    /// Whether the whole lies behind a handle.
    pub has_handle: bool,
    /// Frames of a stream.
    pub frame_count: u64,
    /// Drivers that were tried after another one had failed.
    pub fallback_count: u64,
    /// Tokens that the answer cost.
    pub cost_tokens: u64,
    /// Those of them that the session had not left.
    pub overrun_tokens: u64,
}

/// Why a record could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ActionLogError {
    /// The store cannot write.
    #[error("the action was not recorded: {message}")]
    Unwritten {
        /// Why.
        message: String,
    },
    /// The store cannot read.
    #[error("the actions cannot be read: {message}")]
    Unread {
        /// Why.
        message: String,
    },
    /// There is a record of this action: it stays as it is.
    #[error("there is a record of the action `{action_id}`; give each action an id of its own")]
    Duplicate {
        /// The action.
        action_id: String,
    },
    /// A query means nothing.
    #[error("`{field}` means nothing: {message}")]
    Query {
        /// Which part of it.
        field: &'static str,
        /// Why.
        message: String,
    },
}

/// Which records to read, by time and action id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionQuery {
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Of this principal.
    pub principal_id: Option<Arc<str>>,
    /// Of this capability.
    pub capability_id: Option<String>,
    /// Of this run.
    pub run_id: Option<RunId>,
    /// After so many; a negative one is refused.
    pub offset: i64,
    /// At most so many; `None` for all, a negative one is refused.
    pub limit: Option<i64>,
}

impl ActionQuery {
    /// Where a page begins, and how many it may hold.
    ///
    /// # Errors
    /// [`ActionLogError::Query`] for a negative number, by its name.
    pub fn page(&self) -> Result<(usize, Option<usize>), ActionLogError> {
        let count = |field, number: i64| {
            usize::try_from(number).map_err(|_| ActionLogError::Query {
                field,
                message: format!("it is {number}; expected a number of at least 0"),
            })
        };
        let limit = self.limit.map(|limit| count("limit", limit)).transpose()?;
        Ok((count("offset", self.offset)?, limit))
    }

    /// Whether it asks for this record, whatever the page.
    #[must_use]
    pub fn asks_for(&self, record: &ActionRecord) -> bool {
        let is = |asked: Option<&str>, found: &str| asked.is_none_or(|asked| asked == found);
        self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
            && is(self.principal_id.as_deref(), &record.principal_id)
            && is(self.capability_id.as_deref(), &record.capability_id)
            && self.run_id.as_ref().is_none_or(|run| record.run_id.as_ref() == Some(run))
    }
}

/// Keeps the records of actions.
///
/// **Guarantees.** A1: when `record` returns `Ok`, the record is kept and `get` finds it. A2: one
/// record per action id; a second one with the same id is [`Duplicate`](ActionLogError::Duplicate)
/// and the first stays. A3: `query`
/// orders by time, then action id; `since` is inclusive, `until` exclusive. **Cancellation**: a
/// `record` that is dropped may have been kept or not. **Errors** of `record` mean that what was done
/// is not shown.
#[async_trait]
pub trait ActionLog: Send + Sync {
    /// Keeps a record.
    ///
    /// # Errors
    /// [`ActionLogError::Unwritten`], [`ActionLogError::Duplicate`].
    async fn record(&self, record: &ActionRecord) -> Result<(), ActionLogError>;

    /// The record with this action id.
    ///
    /// # Errors
    /// [`ActionLogError::Unread`].
    async fn get(&self, action_id: &str) -> Result<Option<ActionRecord>, ActionLogError>;

    /// The records that a query asks for.
    ///
    /// # Errors
    /// [`ActionLogError::Unread`], [`ActionLogError::Query`].
    async fn query(&self, query: &ActionQuery) -> Result<Vec<ActionRecord>, ActionLogError>;
}
