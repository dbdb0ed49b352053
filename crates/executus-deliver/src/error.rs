//! How sending fails, and what is wrong with routes and targets.

use std::time::Duration;

use executus_core::port::DeliveryError;
use executus_core::text;
use thiserror::Error;

/// Why a target has not got a message. No text holds a secret of the target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The target refuses the message: sending it again will not help.
    #[error("{message}")]
    Refused {
        /// What it said.
        message: String,
    },
    /// The target cannot be reached, or does not take messages for now.
    #[error("{message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// After which time the target wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
}

impl SendError {
    /// The target refuses the message. The text is bounded and scrubbed.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused { message: told(message.into()) }
    }

    /// The target is away. The text is bounded and scrubbed.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable { message: told(message.into()), retry_after: None }
    }

    /// Whether sending again may help.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Refused { .. } => false,
            Self::Unavailable { .. } => true,
        }
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { .. } => None,
            Self::Unavailable { retry_after, .. } => *retry_after,
        }
    }
}

fn told(message: String) -> String {
    text::bounded_to(text::scrub(&message).into_owned(), 1024)
}

/// What the port says of several targets: that it is refused, when all that failed refuse.
pub(crate) fn of_targets(failed: &[(String, SendError)]) -> DeliveryError {
    let texts: Vec<_> = failed.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    let message = text::bounded(texts.join("; "));
    match failed.iter().any(|(_, error)| error.retry()) {
        true => DeliveryError::Unavailable { message, source: None },
        false => DeliveryError::Rejected { message },
    }
}

/// What is wrong with a route.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The name of the target cannot be one.
    #[error(
        "a target is called by 1 to 64 letters, digits, `-`, `_` and `.`; `{name}` is no such name"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two targets have one name.
    #[error("there are two targets `{name}`; give one another name")]
    Twice {
        /// The name.
        name: String,
    },
}

/// What is wrong with the settings of a webhook.
#[cfg(feature = "webhook")]
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The URL cannot be asked. It is not repeated: it may be a secret.
    #[error("{message}")]
    Url {
        /// What is wrong with it.
        message: String,
    },
    /// A header field cannot be sent. Its value is not repeated.
    #[error("{message}")]
    Header {
        /// What is wrong with it.
        message: String,
    },
}
