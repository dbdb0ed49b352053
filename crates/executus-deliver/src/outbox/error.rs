//! How an outbox fails.

use std::sync::Arc;

use executus_core::port::{Cause, DeliveryError};
use executus_sqlite::rusqlite;
use executus_sqlite::{OpenError, StoreError};
use thiserror::Error;

/// Why an outbox did not do what it was asked.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The file cannot be read or written for now; the same call may succeed later.
    #[error("the outbox is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
    /// The outbox was closed, or its file can no longer be written: open it again.
    #[error("the outbox is closed: {message}")]
    Closed {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl OutboxError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Closed { .. } => false,
        }
    }

    pub(super) fn of_delivery(self) -> DeliveryError {
        match self {
            Self::Unavailable { message, source } | Self::Closed { message, source } => {
                DeliveryError::Unavailable { message, source }
            }
        }
    }
}

pub(super) fn of_store(error: StoreError) -> OutboxError {
    let message = error.to_string();
    match error.retry() {
        true => OutboxError::Unavailable { message, source: Some(Arc::new(error)) },
        false => OutboxError::Closed { message, source: Some(Arc::new(error)) },
    }
}

pub(super) fn of_open(error: OpenError) -> OutboxError {
    OutboxError::Unavailable { message: error.to_string(), source: Some(Arc::new(error)) }
}

pub(super) fn of_query(error: rusqlite::Error) -> OutboxError {
    let message = format!("it cannot be read: {error}");
    OutboxError::Unavailable { message, source: Some(Arc::new(error)) }
}

pub(super) fn gone(message: impl Into<String>) -> OutboxError {
    OutboxError::Unavailable { message: message.into(), source: None }
}
