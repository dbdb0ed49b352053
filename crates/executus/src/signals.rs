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
    heard: u32,
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
                heard: 0,
            })
        };
        catch().map_err(|error| Fault::error(format!("cannot listen for signals: {error}")))
    }

    /// The next request. Cancel safe.
    pub(crate) async fn next(&mut self) -> Asked {
        let asked = tokio::select! {
            biased;
            _ = self.terminate.recv() => Asked::ShutDown,
            _ = self.hang_up.recv() => Asked::ShutDown,
            _ = self.interrupt.recv() => Asked::Cancel,
        };
        self.heard = self.heard.saturating_add(1);
        asked
    }

    /// How many requests there were.
    pub(crate) const fn heard(&self) -> u32 {
        self.heard
    }
}
