//! Amounts: how much, in every dimension at once.

use serde::{Deserialize, Serialize};

use super::BudgetError;

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

    /// [`Self::MAX`] in every dimension: a limit that limits nothing.
    pub const UNLIMITED: Self =
        Self { tokens: Self::MAX, runtime_ms: Self::MAX, cost_micros: Self::MAX, runs: Self::MAX };

    /// The dimensions by name, in the order in which they are asked.
    #[must_use]
    pub const fn dimensions(self) -> [(&'static str, u64); 4] {
        [
            ("tokens", self.tokens),
            ("runtime_ms", self.runtime_ms),
            ("cost_micros", self.cost_micros),
            ("runs", self.runs),
        ]
    }

    /// The amounts, if every dimension can be counted.
    ///
    /// # Errors
    /// [`BudgetError::Invalid`] names the first dimension above [`Self::MAX`].
    pub fn check(self) -> Result<Self, BudgetError> {
        match self.dimensions().into_iter().find(|(_, amount)| *amount > Self::MAX) {
            Some((field, _)) => Err(BudgetError::Invalid { field }),
            None => Ok(self),
        }
    }

    /// What stays when a hold ends: a place among the runs at once does not.
    #[must_use]
    pub const fn lasting(self) -> Self {
        Self { runs: 0, ..self }
    }

    /// The sum, each dimension at most [`Self::MAX`].
    #[must_use]
    pub fn capped_add(self, other: Self) -> Self {
        let add = |a: u64, b: u64| a.saturating_add(b).min(Self::MAX);
        Self {
            tokens: add(self.tokens, other.tokens),
            runtime_ms: add(self.runtime_ms, other.runtime_ms),
            cost_micros: add(self.cost_micros, other.cost_micros),
            runs: add(self.runs, other.runs),
        }
    }

    /// What this limit leaves beside what is held and spent; a dimension without a limit leaves
    /// [`Self::MAX`].
    #[must_use]
    pub fn left(self, held: Self, spent: Self) -> Self {
        let left = |limit: u64, held: u64, spent: u64| {
            if limit >= Self::MAX {
                limit
            } else {
                limit.saturating_sub(held.saturating_add(spent))
            }
        };
        Self {
            tokens: left(self.tokens, held.tokens, spent.tokens),
            runtime_ms: left(self.runtime_ms, held.runtime_ms, spent.runtime_ms),
            cost_micros: left(self.cost_micros, held.cost_micros, spent.cost_micros),
            runs: left(self.runs, held.runs, spent.runs),
        }
    }

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
