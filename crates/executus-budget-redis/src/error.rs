//! Why a budget does not open, and what Redis's errors mean to the port.

use std::sync::Arc;

use executus_core::port::BudgetError;
use executus_redis::RedisError;
use thiserror::Error;

/// Why a budget or caps did not open, or an administrator's call failed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The server cannot be used, or does not answer.
    #[error("the budget's server")]
    Server(#[source] RedisError),
    /// The budget was never set up, or lost its data.
    #[error(
        "the budget in `{namespace}` was never set up, or lost its data: reseed it to say from where to go on"
    )]
    Unseeded {
        /// Where its keys should be.
        namespace: String,
    },
    /// What was asked for is out of range.
    #[error("the limits cannot be set")]
    Limits(#[source] BudgetError),
}

/// What a failed call to Redis means to the port.
pub(crate) fn unavailable(error: RedisError) -> BudgetError {
    BudgetError::Unavailable { message: error.to_string(), source: Some(Arc::new(error)) }
}

/// The refusal of a budget that may have forgotten what was spent.
pub(crate) fn lost() -> BudgetError {
    BudgetError::Unavailable {
        message: "its data was lost, or it was never set up: nothing is granted until it is \
                  reseeded"
            .into(),
        source: None,
    }
}
