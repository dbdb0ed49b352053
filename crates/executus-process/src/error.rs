//! How a process tool is refused, and how a child fails.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use executus_core::ToolError;
use thiserror::Error;

/// What is said of a child that stopped reading: always the same, and nothing of what it said.
pub const DROPPED: &str = "the program stopped reading its input before all of it was written";

/// Why a process tool cannot be made from its description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no program to run.
    #[error("tool `{tool}`: argv is empty; its first element is the program")]
    NoProgram {
        /// The tool.
        tool: String,
    },
    /// A place that nothing can fill.
    #[error("tool `{tool}`: `{{{name}}}` is neither a parameter of the tool nor one of the run")]
    Unbound {
        /// The tool.
        tool: String,
        /// The name.
        name: String,
    },
    /// The caller of the tool would choose the program.
    #[error(
        "tool `{tool}`: argv[0] takes the program from the argument `{name}`; whoever calls the \
         tool must not choose it: write the program down, or take it from a parameter of the run"
    )]
    OpenProgram {
        /// The tool.
        tool: String,
        /// The parameter.
        name: String,
    },
}

/// How one call of a process tool failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The arguments of the call are not what the tool takes.
    #[error("{message}")]
    Arguments {
        /// What is wrong, and what there is.
        message: String,
    },
    /// An argument of a process cannot hold a NUL byte.
    #[error("{}holds a NUL byte, which no argument of a process can hold",
        parameter.as_ref().map_or_else(String::new, |name| format!("`{name}` ")))]
    Nul {
        /// The parameter that holds it; `None` for the fixed text of the tool.
        parameter: Option<String>,
    },
    /// The arguments are longer than the system takes.
    #[error("the arguments of `{program}` are too long ({bytes} bytes); pass less, or a file")]
    TooLong {
        /// The program.
        program: String,
        /// All arguments together.
        bytes: usize,
    },
    /// There is no such program, or no such folder to run it in.
    #[error("cannot start `{program}`: {what} not found; install it, or correct argv[0] or PATH")]
    NotFound {
        /// The program.
        program: String,
        /// What was looked for.
        what: String,
    },
    /// The program may not be executed.
    #[error("cannot start `{program}`: permission denied; is it an executable file?")]
    Permission {
        /// The program.
        program: String,
    },
    /// The system did not start the program.
    #[error("cannot start `{program}`: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The child said that it failed, or a signal ended it.
    #[error("`{program}` ended with {}{}", describe(*status), said(complaint))]
    Exit {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last of what it wrote on standard error.
        complaint: String,
    },
    /// The child ran longer than it may, and was ended.
    #[error("`{program}` gave no result within {limit:?} and was ended")]
    Timeout {
        /// The program.
        program: String,
        /// How long it may run.
        limit: Duration,
    },
    /// It stopped reading its input before all of it was written.
    #[error("{DROPPED}")]
    Dropped {
        /// The program.
        program: String,
    },
    /// Its input cannot be written.
    #[error("cannot write the input of `{program}`: {source}")]
    Input {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended well, but what it wrote is not what was asked for.
    #[error("`{program}` gave no usable output: {message}")]
    Output {
        /// The program.
        program: String,
        /// What is wrong with it.
        message: String,
    },
    /// It reported a failure of its own.
    #[error("`{program}` reported status {status}{}", said(message))]
    Reported {
        /// The program.
        program: String,
        /// The status, 400 or more.
        status: u16,
        /// What it said, bounded.
        message: String,
    },
    /// It reported that a signal had ended what it had started.
    #[error("`{program}` reported an end by {}", named(*signal))]
    Ended {
        /// The program.
        program: String,
        /// The signal.
        signal: i32,
    },
    /// The list of children was closed: the host is ending.
    #[error("`{program}` was not started: the host is ending")]
    Closed {
        /// The program.
        program: String,
    },
    /// The run was stopped, and the child with it.
    #[error("`{program}` was ended: the run was stopped")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// The child cannot be waited for.
    #[error("lost track of `{program}`: {source}")]
    Wait {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ProcessError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retry(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Reported { status, .. } => matches!(status, 408 | 429 | 503),
            // Out of processes, memory or descriptors, or the file is being written.
            Self::Spawn { source, .. } => matches!(
                source.kind(),
                std::io::ErrorKind::WouldBlock
                    | std::io::ErrorKind::OutOfMemory
                    | std::io::ErrorKind::ExecutableFileBusy
                    | std::io::ErrorKind::Interrupted
            ),
            Self::Arguments { .. }
            | Self::Nul { .. }
            | Self::TooLong { .. }
            | Self::NotFound { .. }
            | Self::Permission { .. }
            | Self::Exit { .. }
            // It may have done something with what it had read.
            | Self::Dropped { .. }
            | Self::Ended { .. }
            | Self::Input { .. }
            | Self::Output { .. }
            | Self::Closed { .. }
            | Self::Cancelled { .. }
            | Self::Wait { .. } => false,
        }
    }

    /// The status that the failure has towards a caller who speaks HTTP: 502 the child dropped its
    /// input, 503 it is not available, 504 it was late or ended by a signal, what it reported
    /// itself, 500 for anything else.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Dropped { .. } => 502,
            Self::NotFound { .. } | Self::Permission { .. } => 503,
            Self::Timeout { .. }
            | Self::Ended { .. }
            | Self::Cancelled { .. }
            | Self::Closed { .. } => 504,
            Self::Exit { status, .. } if ended_by(*status).is_some() => 504,
            Self::Reported { status, .. } => *status,
            Self::Arguments { .. }
            | Self::Nul { .. }
            | Self::TooLong { .. }
            | Self::Spawn { .. }
            | Self::Exit { .. }
            | Self::Input { .. }
            | Self::Output { .. }
            | Self::Wait { .. } => 500,
        }
    }
}

impl From<ProcessError> for ToolError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Arguments { .. }
            | ProcessError::Nul { .. }
            | ProcessError::TooLong { .. } => Self::arguments(error.to_string()),
            ProcessError::Timeout { limit, .. } => {
                Self::Timeout { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
            }
            ProcessError::NotFound { .. }
            | ProcessError::Permission { .. }
            | ProcessError::Spawn { .. }
            | ProcessError::Exit { .. }
            | ProcessError::Dropped { .. }
            | ProcessError::Input { .. }
            | ProcessError::Output { .. }
            | ProcessError::Reported { .. }
            | ProcessError::Ended { .. }
            | ProcessError::Closed { .. }
            | ProcessError::Cancelled { .. }
            | ProcessError::Wait { .. } => {
                Self::Failed { message: error.to_string(), retryable: error.retry() }
            }
        }
    }
}

fn said(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!(": {complaint}") }
}

/// The signal that ended a child, or that a shell between us says ended it: by the codes of
/// `SIGINT`, `SIGKILL` and `SIGTERM`.
pub(crate) fn ended_by(status: ExitStatus) -> Option<i32> {
    status.signal().or_else(|| signal_of_code(status.code()?.into()))
}

/// The signal that an exit code tells of: the code is negative, or 130, 137 or 143.
pub(crate) fn signal_of_code(code: i64) -> Option<i32> {
    match code {
        130 | 137 | 143 => i32::try_from(code - 128).ok(),
        ..0 => i32::try_from(code.checked_neg()?).ok(),
        _ => None,
    }
}

/// A signal by number and name.
pub(crate) fn named(signal: i32) -> String {
    match crate::group::signal_name(signal) {
        Some(name) => format!("signal {signal} ({name})"),
        None => format!("signal {signal}"),
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => match ended_by(status) {
            Some(signal) => format!("exit code {code}, {}", named(signal)),
            None => format!("exit code {code}"),
        },
        (None, Some(signal)) => named(signal),
        (None, None) => "no exit code".to_owned(),
    }
}
