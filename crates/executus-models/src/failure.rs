//! How an attempt fails, and what that means for the next one.

use std::time::Duration;

use executus_core::ModelError;
use executus_core::text::{bounded_to, scrub};
use executus_http::{HttpError, Phase};

/// How much of an error body is told, in bytes.
pub(crate) const SNIPPET_BYTES: usize = 1024;

/// Why one attempt failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) error: ModelError,
    /// Whether the same request may be sent again now.
    pub(crate) again: bool,
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
    /// A stream that ended before the answer did.
    pub(crate) fn truncated() -> Self {
        Self::malformed("it ended before it was complete")
    }

    /// An answer that cannot be read; another one may be.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        let message = bounded_to(message.into(), SNIPPET_BYTES);
        Self { error: ModelError::Malformed { message }, again: true }
    }

    /// A request that is wrong however often it is sent.
    pub(crate) fn rejected(message: impl Into<String>) -> Self {
        let message = bounded_to(message.into(), SNIPPET_BYTES);
        Self { error: ModelError::Rejected { message }, again: false }
    }

    /// An answer that takes more room than it may.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("it is longer than {limit} bytes");
        Self { error: ModelError::Malformed { message }, again: false }
    }

    /// Nothing came in time.
    pub(crate) fn late(what: &str, limit: Duration) -> Self {
        Self {
            error: ModelError::Unavailable { message: format!("{what} within {limit:?}") },
            again: true,
        }
    }

    /// What went wrong on the way.
    pub(crate) fn of_http(error: &HttpError) -> Self {
        let message = error.to_string();
        match error {
            HttpError::Request { .. } | HttpError::Tls { .. } => Self::rejected(message),
            HttpError::TooLarge { limit, .. } => Self::too_large(*limit),
            HttpError::Timeout { phase: Phase::Headers, limit, .. } => {
                Self::late("the model said nothing", *limit)
            }
            HttpError::Timeout { phase: Phase::Idle, limit, .. } => {
                Self::late("the model said nothing more", *limit)
            }
            HttpError::Dropped { before_head: false, .. } => Self::truncated(),
            HttpError::Protocol { .. } => Self::malformed(message),
            _ => Self { error: ModelError::Unavailable { message }, again: true },
        }
    }

    /// What a status other than success means.
    pub(crate) fn of_status(
        status: u16,
        complaint: Complaint,
        retry_after: Option<Duration>,
    ) -> Self {
        let Complaint { message, code, retry_after: in_body } = complaint;
        let named = if code.is_empty() { String::new() } else { format!(" ({code})") };
        let told = scrub(&message).into_owned();
        let separator = if told.is_empty() { "" } else { ": " };
        let message = bounded_to(format!("status {status}{named}{separator}{told}"), SNIPPET_BYTES);
        if is_overflow(&code, &told) && (400..500).contains(&status) {
            return Self { error: ModelError::ContextOverflow { message }, again: false };
        }
        match status {
            // A quota that is used up does not come back in seconds.
            429 if code == "insufficient_quota" => Self::rejected(message),
            429 => {
                let retry_after = retry_after.or(in_body);
                Self { error: ModelError::RateLimited { message, retry_after }, again: true }
            }
            408 | 409 | 425 | 500..=599 => {
                Self { error: ModelError::Unavailable { message }, again: true }
            }
            413 => Self { error: ModelError::ContextOverflow { message }, again: false },
            _ => Self::rejected(message),
        }
    }

    /// An error that came in the middle of an answer whose status was good.
    pub(crate) fn in_stream(complaint: Complaint) -> Self {
        let Complaint { message, code, retry_after } = complaint;
        let named = if code.is_empty() { String::new() } else { format!(" ({code})") };
        let told = scrub(&message).into_owned();
        let message = bounded_to(format!("it broke off{named}: {told}"), SNIPPET_BYTES);
        if is_overflow(&code, &told) {
            return Self { error: ModelError::ContextOverflow { message }, again: false };
        }
        let error = match &*code {
            "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" | "429" => {
                ModelError::RateLimited { message, retry_after }
            }
            _ => ModelError::Unavailable { message },
        };
        Self { error, again: true }
    }

    /// How long the provider asks to be left alone.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match &self.error {
            ModelError::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
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

/// What a `retry-after` field says: seconds, whole or not. A date is not used by any of the
/// providers and reads as nothing.
pub(crate) fn retry_after(seconds: Option<&str>, millis: Option<&str>) -> Option<Duration> {
    let read = |text: Option<&str>, unit: f64| {
        let number: f64 = text?.trim().parse().ok()?;
        Duration::try_from_secs_f64((number * unit).clamp(0.0, 86_400.0)).ok()
    };
    read(millis, 0.001).or_else(|| read(seconds, 1.0))
}
