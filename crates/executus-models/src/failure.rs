//! How an attempt fails, and what that means for the next one.

use std::time::Duration;

use executus_core::ModelError;
use executus_core::text::{bounded_to, scrub};
use executus_http::events::TooLong;
use executus_http::{HttpError, Phase};

/// How much of an error body is told, in bytes.
pub(crate) const SNIPPET_BYTES: usize = 1024;

/// Why one attempt failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: ModelError,
    /// Whether the same request may be sent again.
    pub(crate) again: bool,
    /// When, where the provider says so.
    pub(crate) after: Option<Duration>,
}

/// What a provider's error body says.
#[derive(Debug, Default)]
pub(crate) struct Complaint {
    /// In words.
    pub(crate) message: String,
    /// The provider's code or type of it, where it has one.
    pub(crate) code: String,
    /// When to come back, where the body says so.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// What asking again may get over.
    const fn passing(error: ModelError) -> Self {
        Self { error, again: true, after: None }
    }

    /// What it does not.
    const fn lasting(error: ModelError) -> Self {
        Self { error, again: false, after: None }
    }

    /// A stream that ended before the answer did.
    pub(crate) fn truncated() -> Self {
        Self::malformed("it ended before it was complete")
    }

    /// An answer that cannot be read; another one may be.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        let message = bounded_to(message.into(), SNIPPET_BYTES);
        Self::passing(ModelError::Malformed { message })
    }

    /// A request that is wrong however often it is sent.
    pub(crate) fn rejected(message: impl Into<String>) -> Self {
        let message = bounded_to(message.into(), SNIPPET_BYTES);
        Self::lasting(ModelError::Rejected { message })
    }

    /// An answer that takes more room than it may.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("it is longer than {limit} bytes");
        Self::lasting(ModelError::Malformed { message })
    }

    /// Nothing came in time.
    pub(crate) fn late(what: &str, limit: Duration) -> Self {
        Self::passing(ModelError::Unavailable { message: format!("{what} within {limit:?}") })
    }

    /// What went wrong on the way.
    pub(crate) fn of_http(error: &HttpError) -> Self {
        let message = error.to_string();
        match error {
            HttpError::Request { .. } | HttpError::Address { .. } | HttpError::Tls { .. } => {
                Self::rejected(message)
            }
            HttpError::TooLarge { limit, .. } => Self::too_large(*limit),
            HttpError::Timeout { phase: Phase::Headers, limit, .. } => {
                Self::late("the model said nothing", *limit)
            }
            HttpError::Timeout { phase: Phase::Idle, limit, .. } => {
                Self::late("the model said nothing more", *limit)
            }
            HttpError::Dropped { before_head: false, .. } => Self::truncated(),
            HttpError::Protocol { .. } | HttpError::Encoding { .. } => Self::malformed(message),
            _ => Self::passing(ModelError::Unavailable { message }),
        }
    }

    /// What a status other than success means.
    pub(crate) fn of_status(
        status: u16,
        complaint: Complaint,
        retry_after: Option<Duration>,
    ) -> Self {
        let after = retry_after.or(complaint.retry_after);
        Self::of_complaint(Some(status), &complaint, &format!("status {status}"), after)
    }

    /// An error that came in the middle of an answer whose status was good.
    pub(crate) fn in_stream(complaint: Complaint) -> Self {
        // Some give the status that they would have answered with as the code.
        let status = complaint.code.parse().ok().filter(|code| (400..600).contains(code));
        Self::of_complaint(status, &complaint, "it broke off", complaint.retry_after)
    }

    fn of_complaint(
        status: Option<u16>,
        complaint: &Complaint,
        what: &str,
        after: Option<Duration>,
    ) -> Self {
        let Complaint { message, code, .. } = complaint;
        let named = if code.is_empty() { String::new() } else { format!(" ({code})") };
        let told = scrub(message);
        let separator = if told.is_empty() { "" } else { ": " };
        let message = bounded_to(format!("{what}{named}{separator}{told}"), SNIPPET_BYTES);
        let meaning = match status {
            _ if is_overflow(code, &told) && status.is_none_or(|status| status < 500) => {
                Meaning::Overflow
            }
            // A quota that is used up does not come back in seconds.
            Some(429) if code == "insufficient_quota" => Meaning::Refused,
            Some(status) => Meaning::of_status(status),
            None => Meaning::of_code(code),
        };
        match meaning {
            Meaning::Overflow => Self::lasting(ModelError::ContextOverflow { message }),
            Meaning::Refused => Self::lasting(ModelError::Rejected { message }),
            Meaning::TooFast => {
                let error = ModelError::RateLimited { message, retry_after: after };
                Self { after, ..Self::passing(error) }
            }
            Meaning::Away => Self { after, ..Self::passing(ModelError::Unavailable { message }) },
        }
    }
}

impl From<TooLong> for Failure {
    fn from(error: TooLong) -> Self {
        Self::too_large(error.limit)
    }
}

/// What a provider means by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The prompt is too long.
    Overflow,
    /// The request is wrong, the key, the name of the model, or the account.
    Refused,
    /// Too many requests.
    TooFast,
    /// Something on its side.
    Away,
}

impl Meaning {
    const fn of_status(status: u16) -> Self {
        match status {
            413 => Self::Overflow,
            429 => Self::TooFast,
            408 | 409 | 425 | 500..=599 => Self::Away,
            _ => Self::Refused,
        }
    }

    /// What a code means that comes without a status.
    fn of_code(code: &str) -> Self {
        match code {
            "request_too_large" => Self::Overflow,
            "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => Self::TooFast,
            "insufficient_quota"
            | "invalid_api_key"
            | "invalid_request_error"
            | "model_not_found"
            | "authentication_error"
            | "billing_error"
            | "permission_error"
            | "not_found_error"
            | "INVALID_ARGUMENT"
            | "FAILED_PRECONDITION"
            | "UNAUTHENTICATED"
            | "PERMISSION_DENIED"
            | "NOT_FOUND" => Self::Refused,
            _ => Self::Away,
        }
    }
}

/// Whether the words of a complaint mean that the prompt is too long. Providers have no common
/// code for it.
fn is_overflow(code: &str, message: &str) -> bool {
    if matches!(code, "context_length_exceeded" | "exceed_context_size_error") {
        return true;
    }
    let message = message.to_ascii_lowercase();
    [
        "maximum context length",
        "context length",
        "context window",
        "context size",
        "prompt is too long",
        "input is too long",
        "exceeds the maximum number of tokens",
        "exceed context limit",
    ]
    .iter()
    .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests;
