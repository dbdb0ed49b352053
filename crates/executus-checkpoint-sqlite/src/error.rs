//! What the errors of the store mean for a run.

use std::sync::Arc;

use executus_core::RunId;
use executus_core::port::CheckpointError;
use executus_sqlite::rusqlite;
use executus_sqlite::{OpenError, StoreError};

pub(crate) fn of_store(error: StoreError) -> CheckpointError {
    CheckpointError::Unavailable { message: error.to_string(), source: Some(Arc::new(error)) }
}

pub(crate) fn of_open(error: OpenError) -> CheckpointError {
    CheckpointError::Unavailable { message: error.to_string(), source: Some(Arc::new(error)) }
}

pub(crate) fn of_query(error: rusqlite::Error) -> CheckpointError {
    let message = format!("the checkpoints cannot be read: {error}");
    CheckpointError::Unavailable { message, source: Some(Arc::new(error)) }
}

pub(crate) fn gone(message: impl Into<String>) -> CheckpointError {
    CheckpointError::Unavailable { message: message.into(), source: None }
}

pub(crate) fn corrupt(run: &RunId, what: &str, why: impl std::fmt::Display) -> CheckpointError {
    CheckpointError::Corrupt { run: run.clone(), message: format!("{what}: {why}") }
}
