//! Why a command of xtask stops, and with which exit code.

use std::fmt;
use std::io;

use crate::fault::Fault;

/// The reasons a command ends without its verdict being "fine".
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line makes no sense; the text says how it would.
    Usage(String),
    /// A file could not be read.
    Io { path: String, source: io::Error },
    /// A program could not be started.
    Start { command: String, source: io::Error },
    /// A program ran and failed.
    Failed { command: String, detail: String },
    /// A file or a program's output has not the expected form.
    Form { place: String, what: String },
    /// A check did its work and found faults.
    Faults { check: &'static str, faults: Vec<Fault> },
    /// Something must be installed by hand.
    Missing(String),
}

impl Error {
    /// 2 for a wrong command line, 1 for everything else.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Io { .. }
            | Self::Start { .. }
            | Self::Failed { .. }
            | Self::Form { .. }
            | Self::Faults { .. }
            | Self::Missing(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) => f.write_str(text),
            Self::Io { path, source } => write!(f, "{path}: {source}"),
            Self::Start { command, source } => write!(f, "cannot start `{command}`: {source}"),
            Self::Failed { command, detail } => write!(f, "`{command}` failed: {detail}"),
            Self::Form { place, what } => write!(f, "{place}: {what}"),
            Self::Faults { check, faults } => {
                for fault in faults {
                    writeln!(f, "{fault}")?;
                }
                let s = if faults.len() == 1 { "" } else { "s" };
                write!(f, "{check}: {} fault{s}", faults.len())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Start { source, .. } => Some(source),
            Self::Usage(_)
            | Self::Failed { .. }
            | Self::Form { .. }
            | Self::Faults { .. }
            | Self::Missing(_) => None,
        }
    }
}
