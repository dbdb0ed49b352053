//! What a run may spend: the budget that the configuration names, as a port.

use std::sync::Arc;

use async_trait::async_trait;
use executus_budget_redis::{Away, OpenError, RedisBudget};
use executus_core::memory::MemoryBudget;
use executus_core::port::{Amounts, Budget, BudgetError};
use executus_core::{HoldId, Outcome, RunId, RunStatus};

use crate::config::BudgetConfig;
use crate::fault::{Fault, chain};

/// The budget of a process that runs something.
#[derive(Debug)]
pub(crate) enum Spending {
    /// Nothing is limited, and nothing counted.
    Unlimited,
    /// Counted for this process alone.
    Memory(MemoryBudget),
    /// Shared.
    Redis(RedisBudget),
    /// It cannot be asked: no answer is a refusal.
    Refused(Refused),
}

impl Spending {
    /// Connects, and puts the limits of the configuration in force. Takes a few seconds at most.
    ///
    /// A server that does not answer is not an error here: the run is refused, and recorded so.
    ///
    /// # Errors
    /// Limits that mean nothing.
    pub(crate) async fn open(config: &BudgetConfig) -> Result<Self, Fault> {
        let Some(redis) = &config.redis else {
            return match config.limits.as_slice() {
                [] => Ok(Self::Unlimited),
                limits => MemoryBudget::limited(limits)
                    .map(Self::Memory)
                    .map_err(|error| Fault::usage(error.to_string())),
            };
        };
        let opened = async {
            let budget = RedisBudget::connect(redis).await?;
            if !config.limits.is_empty() {
                budget.set_default_limits(&config.limits).await?;
            }
            Ok(budget)
        };
        Ok(match (opened.await, redis.away) {
            (Ok(budget), _) => Self::Redis(budget),
            (Err(OpenError::Server(error)), Away::Allow(_)) if error.retry() => {
                tracing::warn!(error = chain(&error), "the allowance is spent: Redis is away");
                Self::Redis(RedisBudget::open(redis))
            }
            (Err(error), _) => Self::Refused(Refused::from(&error)),
        })
    }

    /// The port, where there is one.
    pub(crate) fn port(&self) -> Option<Arc<dyn Budget>> {
        match self {
            Self::Unlimited => None,
            Self::Memory(budget) => Some(Arc::new(budget.clone())),
            Self::Redis(budget) => Some(Arc::new(budget.clone())),
            Self::Refused(refused) => Some(Arc::new(refused.clone())),
        }
    }

    /// Tells what was not told yet. Returns whether all of it is.
    pub(crate) async fn close(&self) -> bool {
        match self {
            Self::Redis(budget) => budget.close().await,
            Self::Unlimited | Self::Memory(_) | Self::Refused(_) => true,
        }
    }
}

/// A budget that cannot be asked.
#[derive(Debug, Clone)]
pub(crate) struct Refused(Arc<str>);

impl Refused {
    /// Why, and what to do.
    pub(crate) fn why(&self) -> &str {
        &self.0
    }
}

impl From<&OpenError> for Refused {
    fn from(error: &OpenError) -> Self {
        Self(match error {
            OpenError::Server(error) if error.retry() => format!(
                "{}. Start the server that `[budget] store` names, or allow runs without it with \
                 [budget.allowance]",
                chain(error)
            ),
            OpenError::Server(error) => chain(error),
            OpenError::Unseeded { .. } => {
                format!("{error}, with `executus budget reseed`")
            }
            _ => chain(error),
        }
        .into())
    }
}

#[async_trait]
impl Budget for Refused {
    async fn reserve(&self, _: &HoldId, _: &Arc<str>, _: Amounts) -> Result<(), BudgetError> {
        Err(BudgetError::Unavailable { message: self.0.to_string(), source: None })
    }

    async fn charge(&self, _: &HoldId, _: &RunId, _: Amounts) -> Result<(), BudgetError> {
        Err(BudgetError::Unavailable { message: self.0.to_string(), source: None })
    }

    async fn settle(&self, _: &HoldId, _: Amounts) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn release(&self, _: &HoldId) -> Result<(), BudgetError> {
        Ok(())
    }
}

/// When to come back, where the refusal itself has no time: places come back as runs end.
pub(crate) fn advice(outcome: &Outcome) -> Option<&'static str> {
    let error = outcome.error.as_ref()?;
    let waits = outcome.status == RunStatus::BudgetExceeded
        && error.kind == executus_core::ErrorKind::Budget
        && error.retryable
        && !error.message.contains("again at");
    waits.then_some(
        "  help: try again when a run under way has ended; `executus budget holds` lists them",
    )
}
