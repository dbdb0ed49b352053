//! How a server is refused, and how it fails.

use std::time::Duration;

use executus_core::text::{bounded, scrub};
use executus_core::{Effect, ToolError};
use executus_process::strip_escapes;
use thiserror::Error;

/// Why a server cannot be made from its description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no program to run.
    #[error("server `{server}`: argv is empty; its first element is the program")]
    NoProgram {
        /// The server.
        server: String,
    },
    /// The address or a header field is none.
    #[error("server `{server}`: {message}")]
    Request {
        /// The server.
        server: String,
        /// What is wrong.
        message: String,
    },
    /// A setting that belongs to the other kind of server.
    #[error("server `{server}`: {setting}")]
    Setting {
        /// The server.
        server: String,
        /// Which one, and where it belongs.
        setting: String,
    },
    /// A limit that lets nothing through.
    #[error("server `{server}`: the limit `{limit}` is zero")]
    Limit {
        /// The server.
        server: String,
        /// Which one.
        limit: &'static str,
    },
}

/// How a call to a server failed. Texts of the server are bounded, and without what looks like a
/// credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum McpError {
    /// The server could not be started or connected to. The call was not sent.
    #[error("server `{server}` did not start: {message}")]
    Start {
        /// The server.
        server: String,
        /// Why.
        message: String,
    },
    /// It failed several times in a row, and is left alone for a while. The call was not sent.
    #[error("server `{server}` is left alone for {} s after failing {failures} times: {message}",
        wait.as_secs_f64().ceil())]
    Down {
        /// The server.
        server: String,
        /// How long it is left alone from now on.
        wait: Duration,
        /// How often it failed in a row.
        failures: u32,
        /// The last failure.
        message: String,
    },
    /// The connection ended before the answer.
    #[error("the connection to server `{server}` was lost{}: {message}",
        if *sent { " during the call" } else { " before the call" })]
    Lost {
        /// The server.
        server: String,
        /// Whether any of the call can have reached it.
        sent: bool,
        /// What ended it.
        message: String,
    },
    /// No answer in time. The server was told to stop.
    #[error("server `{server}` gave no answer within {limit:?}")]
    Timeout {
        /// The server.
        server: String,
        /// How long a call may take.
        limit: Duration,
        /// Whether any of the call can have reached it.
        sent: bool,
    },
    /// It sent a message larger than it may, and was ended.
    #[error("server `{server}` sent a message of more than {limit} bytes, and was ended")]
    TooLarge {
        /// The server.
        server: String,
        /// How large a message may be.
        limit: usize,
        /// Whether any of the call can have reached it.
        sent: bool,
    },
    /// It does not speak the protocol as it should.
    #[error("server `{server}` does not speak the protocol as it should: {message}")]
    Protocol {
        /// The server.
        server: String,
        /// What is wrong.
        message: String,
        /// Whether any of the call can have reached it.
        sent: bool,
    },
    /// The request over HTTP failed in another way than by a lost connection.
    #[error("server `{server}`: {message}")]
    Http {
        /// The server.
        server: String,
        /// How: the status that it answered with, say.
        message: String,
        /// Whether any of the call can have reached more than its door.
        sent: bool,
        /// Whether the same call may succeed later.
        retryable: bool,
    },
    /// It answered the call with an error of the protocol.
    #[error("server `{server}` refused the call ({code}): {message}")]
    Refused {
        /// The server.
        server: String,
        /// The code of JSON-RPC.
        code: i32,
        /// What it said.
        message: String,
    },
    /// The tool ran and says that it failed.
    #[error("{message}")]
    Failed {
        /// What it said.
        message: String,
    },
    /// The run was stopped; the server was told to stop too.
    #[error("the call to server `{server}` was cancelled: the run was stopped")]
    Cancelled {
        /// The server.
        server: String,
    },
    /// The host has closed it.
    #[error("server `{server}` is closed")]
    Closed {
        /// The server.
        server: String,
    },
    /// Two of its tools would have one name.
    #[error(
        "server `{server}`: the tools `{first}` and `{second}` would both be called `{name}`; \
             leave one of them out"
    )]
    Names {
        /// The server.
        server: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// Their name in a run.
        name: String,
    },
    /// It has no tool that the host named.
    #[error("server `{server}` has no tool `{tool}`; it has: {known}")]
    NoTool {
        /// The server.
        server: String,
        /// What was named.
        tool: String,
        /// What there is.
        known: String,
    },
}

/// What JSON-RPC calls arguments that do not fit.
const INVALID_PARAMS: i32 = -32602;

impl McpError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Down { .. } | Self::Lost { .. } | Self::Timeout { .. } => {
                true
            }
            Self::Http { retryable, .. } => *retryable,
            Self::TooLarge { .. }
            | Self::Protocol { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. }
            | Self::Closed { .. }
            | Self::Names { .. }
            | Self::NoTool { .. } => false,
        }
    }

    /// Whether the call may have had its effect although there is no answer to it. `false` is
    /// certain.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Lost { sent, .. }
            | Self::Timeout { sent, .. }
            | Self::Http { sent, .. }
            | Self::TooLarge { sent, .. }
            | Self::Protocol { sent, .. } => *sent,
            Self::Cancelled { .. } => true,
            Self::Start { .. }
            | Self::Down { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::Closed { .. }
            | Self::Names { .. }
            | Self::NoTool { .. } => false,
        }
    }

    /// The same as the error of a tool with this effect.
    #[must_use]
    pub fn of_tool(self, effect: Effect) -> ToolError {
        let counts = matches!(effect, Effect::Once);
        match self {
            Self::Refused { code: INVALID_PARAMS, message, .. } => ToolError::arguments(message),
            // Whoever waits longer than a call may take is told so, and of a call that counts that
            // it may have had its effect.
            Self::Timeout { limit, .. } if !(counts && self.is_open()) => ToolError::Timeout {
                limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            },
            error if counts && error.is_open() => {
                let message = format!("{error}; whether it had its effect is not known");
                ToolError::Unknown { message }
            }
            error => ToolError::Failed { message: error.to_string(), retryable: error.retry() },
        }
    }
}

/// A text of a server as an error shows it.
pub(crate) fn told(text: &str) -> String {
    bounded(scrub(strip_escapes(text).trim()).into_owned())
}
