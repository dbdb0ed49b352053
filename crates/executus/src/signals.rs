//! Ctrl-C and termination.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::fault::Fault;

/// What somebody asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `SIGINT`: stop this run.
    Cancel,
    /// `SIGTERM` or `SIGHUP`: the process has to go; the run may go on another time.
    ShutDown,
}

/// The signals that ask a run to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From here on a signal does not end the process by itself.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn catch() -> Result<Self, Fault> {
        let catch = || -> io::Result<Self> {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: signal(SignalKind::hangup())?,
            })
        };
        catch().map_err(|error| Fault::error(format!("cannot listen for signals: {error}")))
    }

    /// The next request. Cancel safe.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::ShutDown,
            _ = self.hang_up.recv() => Asked::ShutDown,
            _ = self.interrupt.recv() => Asked::Cancel,
        }
    }
}
