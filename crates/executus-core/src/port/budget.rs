//! Budget: what runs may spend.
//!
//! **For** never spending more than a limit, whoever races. **Called** by the executor: `reserve`
//! once per life at admission, `charge` after each model call with usage, then exactly one of
//! `settle` and `release`.
//!
//! # Guarantees
//! - **B1** The sum of what is held and spent MUST never pass a limit, however many callers race: a
//!   reservation is granted whole or refused.
//! - **B2** One hold id is one hold: reserving it again MUST NOT take more, and renews it.
//! - **B3** Settling returns what was not spent and MUST count once: a second `settle` or `release`
//!   of the hold returns `Ok` and changes nothing. A run settles with its own tally, and its
//!   children charge lines of their own (B5): what is counted in all is the greater of the hold's
//!   own line and what is settled, plus every other line as it was charged. A release counts the
//!   lines alone.
//! - **B4** Releasing an unknown id is legal and leaves a tombstone: a `reserve` of that id which
//!   arrives late MUST be refused with [`BudgetError::Closed`].
//! - **B5** `charge` sets the total of a line of the hold (a line is a run's id; the hold's own line
//!   is that of `hold.run`): the same charge twice MUST count once. A total above what is held MUST
//!   be covered from what is left of the limit, or refused with [`BudgetError::Exceeded`].
//! - **B6** What is counted at the settling is recorded in full, also above what is held or left of
//!   the limit: what was spent was spent. Less than was charged is never counted.
//! - **B7** The unspent part of a dead holder's hold MUST come back (a lease, where holders can die
//!   alone).
//!
//! # Cancellation
//! A dropped call MAY have taken effect. The executor makes the hold id before it asks, and releases
//! it when it does not know whether it was granted.
//!
//! # Errors and panics
//! No answer is a refusal: any error or panic of `reserve` refuses the run, before a model is
//! asked; one of `charge` ends it. [`BudgetError::Exceeded`] ends it as `budget_exceeded`. Errors of
//! `settle` and `release` are retried within the settling's limit, then logged.
//!
//! Proved by `executus_testkit::conformance::budget`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Cause;
use crate::id::{HoldId, RunId};

/// Amounts in every dimension. Integers only, below 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amounts {
    /// Tokens.
    pub tokens: u64,
    /// Milliseconds of run time.
    pub runtime_ms: u64,
    /// Money, in millionths of the host's unit.
    pub cost_micros: u64,
    /// Runs at once: 1 while held, nothing when settled.
    pub runs: u64,
}

impl Amounts {
    /// The greatest amount of one dimension: what a double can count.
    pub const MAX: u64 = (1 << 53) - 1;

    /// The sum, or the name of the dimension that passes [`Self::MAX`].
    ///
    /// # Errors
    /// The dimension's name.
    pub fn checked_add(self, other: Self) -> Result<Self, &'static str> {
        let add =
            |a: u64, b: u64, name| a.checked_add(b).filter(|sum| *sum <= Self::MAX).ok_or(name);
        Ok(Self {
            tokens: add(self.tokens, other.tokens, "tokens")?,
            runtime_ms: add(self.runtime_ms, other.runtime_ms, "runtime_ms")?,
            cost_micros: add(self.cost_micros, other.cost_micros, "cost_micros")?,
            runs: add(self.runs, other.runs, "runs")?,
        })
    }

    /// The difference, no dimension below 0.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            runtime_ms: self.runtime_ms.saturating_sub(other.runtime_ms),
            cost_micros: self.cost_micros.saturating_sub(other.cost_micros),
            runs: self.runs.saturating_sub(other.runs),
        }
    }

    /// The greater of both, dimension by dimension.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            runtime_ms: self.runtime_ms.max(other.runtime_ms),
            cost_micros: self.cost_micros.max(other.cost_micros),
            runs: self.runs.max(other.runs),
        }
    }
}

/// Grants and accounts.
#[async_trait]
pub trait Budget: Send + Sync {
    /// Holds `ask` for a caller, or refuses.
    ///
    /// # Errors
    /// Any error refuses the run; only [`BudgetError::Exceeded`] and [`BudgetError::Closed`] say
    /// for certain that nothing is held.
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError>;

    /// Sets what a line of the hold has spent so far, in all.
    ///
    /// # Errors
    /// Any error ends the run.
    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError>;

    /// Ends the hold: `spent`, the run's own tally, is counted beside what other lines were charged
    /// (B3); the rest comes back.
    ///
    /// # Errors
    /// An error is retried, then logged.
    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError>;

    /// Ends the hold with nothing spent beyond what was charged.
    ///
    /// # Errors
    /// An error is retried, then logged.
    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError>;
}

/// Why a budget did not grant.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// There is not enough left.
    #[error("the budget of `{caller}` does not cover {asked} {dimension}: {left} left{}", reset.as_deref().map(|at| format!(", again at {at}")).unwrap_or_default())]
    Exceeded {
        /// Whose budget.
        caller: String,
        /// Which dimension.
        dimension: &'static str,
        /// How much was asked.
        asked: u64,
        /// How much is left.
        left: u64,
        /// When more will be there, where the limit resets.
        reset: Option<String>,
    },
    /// The hold was settled or released before.
    #[error("the hold {hold} is closed")]
    Closed {
        /// Which hold.
        hold: String,
    },
    /// There is no such hold.
    #[error("the hold {hold} is not known: it was never granted, or its lease ran out")]
    Unknown {
        /// Which hold.
        hold: String,
    },
    /// An amount is out of range.
    #[error("{field} is out of range: at most {} fits", Amounts::MAX)]
    Invalid {
        /// Which amount.
        field: &'static str,
    },
    /// The store cannot be reached.
    #[error("the budget is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl BudgetError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Exceeded { reset, .. } => reset.is_some(),
            Self::Closed { .. } | Self::Unknown { .. } | Self::Invalid { .. } => false,
        }
    }

    /// Whether it is certain that nothing is held after this answer to `reserve`.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Exceeded { .. } | Self::Closed { .. } | Self::Invalid { .. } => true,
            Self::Unknown { .. } | Self::Unavailable { .. } => false,
        }
    }
}
