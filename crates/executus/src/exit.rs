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
    /// The budget refused or ended the run, or a limit of tokens or cost did.
    BudgetExceeded = 4,
    /// The run awaits somebody's approval: as `EX_TEMPFAIL`, nothing failed, and it goes on later.
    Waiting = 75,
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
                // A budget that does not answer has refused.
                Some(error) if error.kind == ErrorKind::Budget => Self::BudgetExceeded,
                _ => Self::Error,
            },
            RunStatus::Timeout => Self::Timeout,
            RunStatus::BudgetExceeded => Self::BudgetExceeded,
            RunStatus::Cancelled => Self::Cancelled,
            RunStatus::Interrupted => match &outcome.error {
                Some(error) if error.kind == ErrorKind::AwaitingApproval => Self::Waiting,
                _ => Self::Interrupted,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use executus_core::{RunError, RunId, Stats};

    use super::*;

    /// FN-05: each end has the exit code that scripts rely on.
    #[test]
    fn every_end_has_its_code() {
        for (status, kind, code) in [
            (RunStatus::Ok, None, 0),
            (RunStatus::DryRun, None, 0),
            (RunStatus::Error, Some(ErrorKind::Failed), 1),
            (RunStatus::Error, Some(ErrorKind::Denied), 3),
            (RunStatus::Error, Some(ErrorKind::Budget), 4),
            (RunStatus::BudgetExceeded, Some(ErrorKind::Budget), 4),
            (RunStatus::BudgetExceeded, Some(ErrorKind::TokenLimit), 4),
            (RunStatus::Timeout, Some(ErrorKind::Timeout), 124),
            (RunStatus::Cancelled, Some(ErrorKind::Cancelled), 130),
            (RunStatus::Interrupted, Some(ErrorKind::Interrupted), 143),
            (RunStatus::Interrupted, Some(ErrorKind::AwaitingApproval), 75),
        ] {
            let outcome = Outcome {
                run_id: RunId::random(),
                status,
                output: None,
                error: kind.map(|kind| RunError::new(kind, "why")),
                stats: Stats::default(),
                artifacts: Vec::new(),
            };
            assert_eq!(Exit::of(&outcome) as u8, code, "{status} {kind:?}");
        }
    }
}
