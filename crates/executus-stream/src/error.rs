//! Why there is no stream, or no more of it.

use executus_core::RunId;
use executus_core::port::Cause;
use thiserror::Error;

/// The live stream of a run cannot be reached, or broke off.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the live stream was lost: {message}")]
pub struct LiveError {
    message: String,
}

impl LiveError {
    /// An error that says what happened.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// What is stored cannot be read.
#[derive(Debug, Clone, Error)]
#[error("what is stored cannot be read: {message}")]
pub struct StoredError {
    message: String,
    #[source]
    source: Option<Cause>,
}

impl StoredError {
    /// An error that says what happened.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same with its cause.
    pub fn caused(message: impl Into<String>, source: Cause) -> Self {
        Self { message: message.into(), source: Some(source) }
    }
}

/// Why there is no stream of events.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The run is not live and nothing of it is stored.
    #[error("nothing is known of run `{run}`; is the id right, and the store the one it ran with?")]
    NotFound {
        /// The run that was asked for.
        run: RunId,
    },
    /// The storage did not answer.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

impl FeedError {
    /// The status of an HTTP response that says so: 404 or 503.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::NotFound { .. } => 404,
            Self::Stored(_) => 503,
        }
    }
}
