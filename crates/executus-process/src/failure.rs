//! How a task failed, for whoever runs it in the name of others.

use std::error::Error;
use std::fmt;

use executus_core::secret::Secrets;
use executus_core::text::{bounded, scrub};

use crate::error::{ProcessError, ended_by, named};
use crate::report::Report;

mod class;

pub use class::FailureClass;

/// The failed end of a [`Task`](crate::Task).
///
/// The status is the one that a caller who speaks HTTP gets, the detail is bounded, scrubbed and
/// safe to show; what the child could still report until then, its cost and its transcript, is kept.
#[derive(Debug)]
pub struct TaskFailure {
    error: ProcessError,
    detail: String,
    complaint: String,
    report: Option<Box<Report>>,
    suspects_credential: bool,
}

/// What happened to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// It exited with another code than 0.
    Exit,
    /// A signal ended it.
    Signal,
    /// It was late, and was ended.
    Timeout,
    /// It stopped reading its input.
    Dropped,
    /// The program, or the folder to run it in, is not there.
    NotFound,
    /// The program may not be executed.
    Permission,
    /// It ended well and what it wrote is not what was asked for.
    Output,
    /// It reported a failure.
    Reported,
    /// Whoever asked for it, or the host, ended it.
    Cancelled,
    /// It cannot be asked so.
    Arguments,
    /// The system did not play along.
    System,
}

impl TaskFailure {
    pub(crate) fn new(error: ProcessError, secrets: &Secrets) -> Self {
        let detail = match &error {
            ProcessError::Exit { status, .. } if let Some(signal) = ended_by(*status) => {
                format!("the program was ended by {}", named(signal))
            }
            other => other.to_string(),
        };
        let detail = clean(detail, secrets);
        Self { error, detail, complaint: String::new(), report: None, suspects_credential: false }
    }

    /// With what the child said on standard error.
    pub(crate) fn complaint(mut self, complaint: String, secrets: &Secrets) -> Self {
        self.complaint = clean(complaint, secrets);
        self
    }

    /// With what the child could still report.
    pub(crate) fn reported(mut self, report: Option<Report>) -> Self {
        self.report = report.map(Box::new);
        self
    }

    /// Takes a failed child that used no tokens for one with a bad credential.
    pub(crate) const fn suspecting(mut self, suspects: bool) -> Self {
        self.suspects_credential = suspects;
        self
    }

    /// What a caller who speaks HTTP gets: 502 the program stopped reading its input, 503 it is not
    /// available, 504 it was late or ended, the status it reported itself, 500 for anything else.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.error.status()
    }

    /// What happened, bounded and scrubbed. For a program that stopped reading always
    /// [`DROPPED`](crate::DROPPED).
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What happened, to be told apart.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match &self.error {
            ProcessError::Exit { status, .. } if ended_by(*status).is_some() => FailureKind::Signal,
            ProcessError::Exit { .. } => FailureKind::Exit,
            ProcessError::Ended { .. } => FailureKind::Signal,
            ProcessError::Timeout { .. } => FailureKind::Timeout,
            ProcessError::Dropped { .. } => FailureKind::Dropped,
            ProcessError::NotFound { .. } => FailureKind::NotFound,
            ProcessError::Permission { .. } => FailureKind::Permission,
            ProcessError::Output { .. } => FailureKind::Output,
            ProcessError::Reported { .. } => FailureKind::Reported,
            ProcessError::Cancelled { .. } | ProcessError::Closed { .. } => FailureKind::Cancelled,
            ProcessError::Arguments { .. }
            | ProcessError::Nul { .. }
            | ProcessError::TooLong { .. } => FailureKind::Arguments,
            ProcessError::Spawn { .. } | ProcessError::Input { .. } | ProcessError::Wait { .. } => {
                FailureKind::System
            }
        }
    }

    /// What it says of the credential in use; `None` when another one would not help.
    ///
    /// A program that stopped reading, was late, or was ended says nothing of its credential, however
    /// little it had done until then.
    #[must_use]
    pub fn class(&self) -> Option<FailureClass> {
        match self.kind() {
            FailureKind::Dropped
            | FailureKind::Signal
            | FailureKind::Timeout
            | FailureKind::Cancelled => return None,
            FailureKind::Exit if self.suspects_credential && self.used_nothing() => {
                return Some(FailureClass::Auth);
            }
            _ => {}
        }
        FailureClass::of(self.status(), &self.detail)
    }

    /// What the child reported before it failed: its cost and transcript, say.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.report.as_deref()
    }

    /// The end of what the child said on standard error, bounded and scrubbed.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.complaint
    }

    /// Whether the same task may succeed later.
    #[must_use]
    pub fn retry(&self) -> bool {
        self.error.retry()
    }

    /// The error beneath.
    #[must_use]
    pub fn error(&self) -> &ProcessError {
        &self.error
    }

    /// The error beneath.
    #[must_use]
    pub fn into_error(self) -> ProcessError {
        self.error
    }

    fn used_nothing(&self) -> bool {
        self.report().is_some_and(|report| report.tokens == Some(0))
    }

    /// Writes the one line that a failed task has in the log.
    pub(crate) fn log(self) -> Self {
        let (status, detail) = (self.status(), self.detail());
        match (self.kind(), status) {
            // Nobody's fault, and seen every day.
            (FailureKind::Dropped, _) => tracing::info!(status, "{detail}"),
            (_, 500) => tracing::error!(status, "a task failed: {detail}"),
            _ => tracing::warn!(status, "a task failed: {detail}"),
        }
        self
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for TaskFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// A text without secrets, and not longer than an error may be.
pub(crate) fn clean(text: String, secrets: &Secrets) -> String {
    bounded(scrub(&secrets.redact(text)).into_owned())
}
