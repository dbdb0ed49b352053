//! Why a connection has ended: told once, and seen by every call on it.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::error::McpError;

/// Why a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// The server ended, or its end of the connection.
    Gone(String),
    /// It sent more than a message may have.
    TooLarge(usize),
    /// It does not speak the protocol.
    Protocol(String),
    /// It knows nothing of the session any more: it was started anew. What was asked was not done.
    SessionExpired,
}

impl Why {
    /// The same as the error of a call.
    pub(crate) fn of_call(&self, server: &str, sent: bool) -> McpError {
        let server = server.to_owned();
        match self {
            Self::Gone(message) => McpError::Lost { server, sent, message: message.clone() },
            Self::TooLarge(limit) => McpError::TooLarge { server, limit: *limit, sent },
            Self::Protocol(message) => {
                McpError::Protocol { server, message: message.clone(), sent }
            }
            Self::SessionExpired => {
                let message = "it knows nothing of the session any more".to_owned();
                McpError::Lost { server, sent, message }
            }
        }
    }
}

/// The end of one connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    why: OnceLock<Why>,
    ended: CancellationToken,
}

impl Fault {
    /// The connection has ended for this reason; the first one counts.
    pub(crate) fn set(&self, why: Why) {
        let _first = self.0.why.set(why);
        self.0.ended.cancel();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.ended.is_cancelled()
    }

    /// Answers once the connection has ended.
    pub(crate) fn ended(&self) -> WaitForCancellationFuture<'_> {
        self.0.ended.cancelled()
    }

    pub(crate) fn why(&self) -> Option<&Why> {
        self.0.why.get()
    }
}
