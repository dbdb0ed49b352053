//! Why Redis did not answer as asked.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};
use thiserror::Error;

/// The cause, kept for `source()`: the client's own error.
pub(crate) type Cause = Arc<dyn Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RedisError {
    /// The configuration cannot work.
    #[error("{what}")]
    Config {
        /// What is wrong with it, and what to write instead.
        what: String,
    },
    /// The server is one that must not be used.
    #[error("the Redis server {server} cannot be used: {what}")]
    Unfit {
        /// Which server.
        server: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// There was no answer within the deadline. Whether the call was applied is not known.
    #[error("Redis at {server} did not answer within {} ms", .after.as_millis())]
    Silent {
        /// Which server.
        server: String,
        /// How long it had.
        after: Duration,
        /// The last thing that failed, where something did.
        #[source]
        source: Option<Cause>,
    },
    /// The connection failed or was lost. Whether the call was applied is not known.
    #[error("Redis at {server} is not reachable")]
    Unreachable {
        /// Which server.
        server: String,
        /// What happened.
        #[source]
        source: Cause,
    },
    /// The server has no memory left for what would be written. Nothing was.
    #[error("Redis at {server} has no memory left: raise maxmemory or delete something")]
    OutOfMemory {
        /// Which server.
        server: String,
    },
    /// The server refused the call, or the script failed. Nothing says what a script wrote before.
    #[error("Redis at {server} refused: {message}")]
    Refused {
        /// Which server.
        server: String,
        /// Its message.
        message: String,
    },
}

impl RedisError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Silent { .. } | Self::Unreachable { .. } | Self::OutOfMemory { .. } => true,
            Self::Config { .. } | Self::Unfit { .. } | Self::Refused { .. } => false,
        }
    }

    /// Whether the call may have been applied all the same.
    #[must_use]
    pub const fn maybe_applied(&self) -> bool {
        match self {
            Self::Silent { .. } | Self::Unreachable { .. } | Self::Refused { .. } => true,
            Self::Config { .. } | Self::Unfit { .. } | Self::OutOfMemory { .. } => false,
        }
    }
}

/// What a client's error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The script is not in the server's cache.
    Load,
    /// The connection is of no use any more: another one, then again.
    Reconnect,
    /// The server is there and not ready: a pause, then again.
    Pause,
    /// The answer is final.
    Fail,
}

/// What to do about an error of the client.
pub(crate) fn remedy(error: &redis::RedisError) -> Remedy {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::NoScript) => Remedy::Load,
        // A replica that used to be the master, or a master that lost its place.
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => {
            Remedy::Reconnect
        }
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask,
        ) => Remedy::Pause,
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::ClusterConnectionNotFound => {
            Remedy::Reconnect
        }
        // A script of somebody's runs for longer than `busy-reply-threshold`.
        _ if error.code() == Some("BUSY") => Remedy::Pause,
        _ => Remedy::Fail,
    }
}

/// A final answer, typed.
pub(crate) fn refused(server: &str, error: &redis::RedisError) -> RedisError {
    let server = server.to_owned();
    let message = error.to_string();
    if error.code() == Some("OOM") || message.contains("OOM command not allowed") {
        return RedisError::OutOfMemory { server };
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => RedisError::Unfit {
            server,
            what: "it does not accept the user and the password of the address".into(),
        },
        ErrorKind::InvalidClientConfig => RedisError::Config { what: message },
        _ => RedisError::Refused { server, message },
    }
}
