//! What a failed request is to the kernel.

use executus_capability::DriverError;

use crate::error::HttpError;

/// An error, before its text has been looked at.
pub(super) struct Failed {
    kind: Kind,
    message: String,
}

enum Kind {
    Dropped,
    Timeout,
    Other { retryable: bool },
}

impl Failed {
    pub(super) fn of(error: &HttpError) -> Self {
        let innermost = match error {
            HttpError::Redirected { error, .. } => error,
            own => own,
        };
        let kind = match innermost {
            // What is no HTTP is no sign of a lost connection to whoever reads the record.
            HttpError::Protocol { .. } => Kind::Other { retryable: false },
            HttpError::Timeout { .. } => Kind::Timeout,
            error if error.is_dropped() => Kind::Dropped,
            error => Kind::Other { retryable: error.retry() },
        };
        Self { kind, message: error.to_string() }
    }

    pub(super) fn clean(self, clean: impl FnOnce(String) -> String) -> DriverError {
        let message = clean(self.message);
        match self.kind {
            Kind::Dropped => DriverError::Dropped { message },
            Kind::Timeout => DriverError::Timeout { message },
            Kind::Other { retryable: false } => DriverError::failed(message),
            Kind::Other { retryable: true } => DriverError::Failed { message, retryable: true },
        }
    }
}
