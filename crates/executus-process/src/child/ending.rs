//! What the end of a child means.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use super::Over;
use super::input::is_drop;
use crate::capture::Captured;
use crate::complaint::complaint;
use crate::error::{ProcessError, ended_by};

/// How a child ended, and what it left.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: Result<ExitStatus, ProcessError>,
    pub(crate) stdout: Captured,
    pub(crate) stderr: Captured,
    /// Another process still held the pipes when reading stopped.
    pub(crate) pipe_held: bool,
}

/// What is known of a child that is over.
pub(super) struct Known {
    pub(super) program: String,
    pub(super) over: Option<Over>,
    pub(super) status: Option<ExitStatus>,
    /// Why not all of its input was written.
    pub(super) unread: Option<io::Error>,
    pub(super) timeout: Option<Duration>,
}

impl Known {
    /// What came first is what counts: a limit that passed while the input was being written is a
    /// timeout, an input that was not read before the limit is a drop. A signal by others says more
    /// than the pipe that broke with it.
    pub(super) fn outcome(
        self,
        stdout: &Captured,
        stderr: &Captured,
    ) -> Result<ExitStatus, ProcessError> {
        let Self { program, over, status, unread, timeout } = self;
        let status = match over {
            Some(Over::Exited) => status,
            Some(Over::Unread) => None,
            Some(Over::Late) => {
                return Err(ProcessError::Timeout { program, limit: timeout.unwrap_or_default() });
            }
            Some(Over::Lost(source)) => return Err(ProcessError::Wait { program, source }),
            Some(Over::Stopped) | None => return Err(ProcessError::Cancelled { program }),
        };
        let signalled = status.filter(|&status| ended_by(status).is_some());
        match (signalled, unread, status) {
            (None, Some(error), _) if is_drop(&error) => Err(ProcessError::Dropped { program }),
            (None, Some(source), _) => Err(ProcessError::Input { program, source }),
            (None, None, Some(status)) if status.success() => Ok(status),
            (Some(status), _, _) | (None, None, Some(status)) => {
                let complaint = match complaint(&stderr.kept) {
                    silent if silent.is_empty() => complaint(&stdout.kept),
                    said => said,
                };
                Err(ProcessError::Exit { program, status, complaint })
            }
            // Not reached: who did not read its input has an error that says so.
            (None, None, None) => Err(ProcessError::Cancelled { program }),
        }
    }
}
