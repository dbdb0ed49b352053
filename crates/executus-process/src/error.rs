//! How a process tool is refused, and how a child fails.

use std::process::ExitStatus;
use std::time::Duration;

use executus_core::ToolError;
use thiserror::Error;

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
            | Self::Cancelled { .. }
            | Self::Wait { .. } => false,
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

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;

    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match crate::group::signal_name(signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        },
        (None, None) => "no exit code".to_owned(),
    }
}
