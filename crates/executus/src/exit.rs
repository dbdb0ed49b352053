//! How the process ends, as scripts see it.

use std::process::ExitCode;

use executus_core::{ErrorKind, Outcome, RunStatus};

/// The exit codes of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It went well.
    Ok = 0,
    /// The run failed, or a replay differs.
    Error = 1,
    /// The command, the run file or the run id is wrong.
    Usage = 2,
    /// A denial ended the run.
    Denied = 3,
    /// The budget or a limit of tokens or cost ended the run.
    BudgetExceeded = 4,
    /// A deadline passed.
    Timeout = 124,
    /// Ctrl-C.
    Cancelled = 130,
    /// `SIGTERM`.
    Interrupted = 143,
}

impl Exit {
    /// How a run's end shows.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        match outcome.status {
            RunStatus::Ok | RunStatus::DryRun => Self::Ok,
            RunStatus::Error => match &outcome.error {
                Some(error) if error.kind == ErrorKind::Denied => Self::Denied,
                _ => Self::Error,
            },
            RunStatus::Timeout => Self::Timeout,
            RunStatus::BudgetExceeded => Self::BudgetExceeded,
            RunStatus::Cancelled => Self::Cancelled,
            RunStatus::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
