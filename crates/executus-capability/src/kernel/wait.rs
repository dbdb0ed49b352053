//! Waiting for foreign code: isolated, and for so long.

use std::time::Duration;

use executus_core::isolate::{Foreign, Panicked, isolate};

/// How a wait for foreign code ended without its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It panicked.
    Panicked(Panicked),
    /// It took longer than it may.
    Late(Duration),
}

/// Waits for foreign code, isolated, for so long.
pub(crate) async fn within<'a, T>(
    limit: Duration,
    make: impl FnOnce() -> Foreign<'a, T>,
) -> Result<T, Unanswered> {
    match tokio::time::timeout(limit, isolate(make)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(panicked)) => Err(Unanswered::Panicked(panicked)),
        Err(_) => Err(Unanswered::Late(limit)),
    }
}
