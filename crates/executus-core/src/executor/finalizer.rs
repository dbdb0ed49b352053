//! What a host or a tool registers to be done when a run ends.

use std::future::Future;

use crate::isolate::Foreign;

/// When a finalizer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalizerPhase {
    /// Undoing, the newest first.
    CleanUp,
    /// Persisting, the oldest first.
    Persist,
}

type Action = Box<dyn FnOnce() -> Foreign<'static, Result<(), String>> + Send>;

/// Something to do when the run ends.
pub(crate) struct Finalizer {
    pub(crate) phase: FinalizerPhase,
    pub(crate) name: String,
    pub(crate) action: Action,
}

impl Finalizer {
    pub(crate) fn new<F>(
        phase: FinalizerPhase,
        name: &str,
        action: impl FnOnce() -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { phase, name: name.to_owned(), action: Box::new(move || Box::pin(action())) }
    }
}
