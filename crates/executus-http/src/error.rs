//! How a request fails.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;

use crate::address::AddressKind;

/// How a request failed. An `address` is `scheme://host:port/path`, without the query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request cannot be made. Nothing was sent.
    #[error("{message}")]
    Request {
        /// What is wrong with it.
        message: String,
    },
    /// The host is at an address where requests of this client may not go. Nothing was sent.
    #[error(
        "{address} is at {ip}, {kind}, where requests may not go; if it is meant, allow its \
             network in the address policy"
    )]
    Address {
        /// Where to.
        address: String,
        /// What was refused, one of the host's addresses.
        ip: IpAddr,
        /// What kind of address it is.
        kind: AddressKind,
    },
    /// The server answered with a redirect that was not followed.
    #[error("{address} answered with status {status} and leads to {target}: {reason}")]
    Redirect {
        /// What was asked.
        address: String,
        /// The status of its answer.
        status: u16,
        /// Where it leads, without the query.
        target: String,
        /// Why it was not followed.
        reason: NotFollowed,
    },
    /// A request failed that a redirect led to. Those before it were answered.
    #[error("after {hops} redirects of {address}: {error}")]
    Redirected {
        /// Where the first request went.
        address: String,
        /// How many redirects were followed.
        hops: u32,
        /// How the last request failed.
        error: Box<Self>,
    },
    /// The status of the answer is no success.
    #[error("{address} answered with status {status}{}{}", lead(" ", reason), lead(": ", said))]
    Status {
        /// What was asked.
        address: String,
        /// The status.
        status: u16,
        /// What the status is called; empty for one without a name.
        reason: &'static str,
        /// The beginning of the body, printable.
        said: String,
    },
    /// The body is not what was expected, and is not said to be.
    #[error(
        "{address} sent {} where {expected} was expected: {message}{}",
        content_type.as_deref().unwrap_or("a body of unknown type"), lead(": ", said)
    )]
    ContentType {
        /// What was asked.
        address: String,
        /// What was expected.
        expected: &'static str,
        /// The media type that it is said to have.
        content_type: Option<String>,
        /// What is wrong with it.
        message: String,
        /// The beginning of the body, printable.
        said: String,
    },
    /// The body is not what it is said to be.
    #[error("{address} sent {content_type} that cannot be read: {message}{}", lead(": ", said))]
    Parse {
        /// What was asked.
        address: String,
        /// The media type that it is said to have.
        content_type: String,
        /// What is wrong with it.
        message: String,
        /// The beginning of the body, printable.
        said: String,
    },
    /// The compression of the body cannot be undone.
    #[error("{address} sent a body encoded as `{encoding}` that cannot be decoded: {message}")]
    Encoding {
        /// What was asked.
        address: String,
        /// What the server calls it.
        encoding: String,
        /// What is wrong with it.
        message: String,
    },
    /// There is no connection to the server. Nothing was sent.
    #[error("no connection to {address}: {message}")]
    Connect {
        /// Where to.
        address: String,
        /// What kind of failure it was.
        failure: ConnectFailure,
        /// What the system said.
        message: String,
    },
    /// The server's certificate or its way of encrypting was not accepted. Nothing was sent.
    #[error("no secure connection to {address}: {message}")]
    Tls {
        /// Where to.
        address: String,
        /// What was wrong.
        message: String,
    },
    /// A limit in time has passed.
    #[error("{address} {phase} within {limit:?}")]
    Timeout {
        /// What took too long.
        phase: Phase,
        /// How long it may take.
        limit: Duration,
        /// Where to.
        address: String,
    },
    /// The connection was closed or reset before the response was complete.
    #[error("{address} closed the connection {}",
        if *before_head { "without an answer" } else { "in the middle of its answer" })]
    Dropped {
        /// How it ended.
        kind: DropKind,
        /// Whether nothing of the response had come yet.
        before_head: bool,
        /// Whether any of the request can have left.
        sent: bool,
        /// Where to.
        address: String,
    },
    /// The response is larger than it may be.
    #[error("the {part} of the answer of {address} has more than {limit} bytes")]
    TooLarge {
        /// What is too large.
        part: Part,
        /// How large it may be, in bytes.
        limit: usize,
        /// Where from.
        address: String,
    },
    /// The answer is no HTTP.
    #[error("{address} does not speak HTTP as it should: {message}")]
    Protocol {
        /// Where from.
        address: String,
        /// What is wrong with it.
        message: String,
        /// Whether any of the request can have left.
        sent: bool,
    },
    /// The breaker of this base address lets no request through. Nothing was sent.
    #[error("{address} is not asked: its circuit is open{}", again_in(*retry_after))]
    CircuitOpen {
        /// Where to.
        address: String,
        /// How long until a request may be let through, if that is known.
        retry_after: Option<Duration>,
    },
}

fn again_in(retry_after: Option<Duration>) -> String {
    retry_after
        .map_or_else(String::new, |wait| format!("; try again in {:.1} s", wait.as_secs_f64()))
}

/// A text behind what leads to it, or nothing.
fn lead(to: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{to}{text}") }
}

impl HttpError {
    /// Whether the same request may succeed later, if it is one that may be sent twice.
    #[must_use]
    pub fn retry(&self) -> bool {
        match self {
            // A name that does not exist cannot be told from a name service that is away.
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Dropped { .. }
            | Self::CircuitOpen { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Redirected { error, .. } => error.retry(),
            Self::Request { .. }
            | Self::Address { .. }
            | Self::Redirect { .. }
            | Self::Tls { .. }
            | Self::TooLarge { .. }
            | Self::ContentType { .. }
            | Self::Parse { .. }
            | Self::Encoding { .. }
            | Self::Protocol { .. } => false,
        }
    }

    /// Whether the server can have seen any of the request. `false` is certain.
    #[must_use]
    pub const fn was_sent(&self) -> bool {
        match self {
            Self::Request { .. }
            | Self::Address { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::CircuitOpen { .. } => false,
            Self::Timeout { phase, .. } => !matches!(phase, Phase::Connect | Phase::Pool),
            Self::Dropped { sent, .. } | Self::Protocol { sent, .. } => *sent,
            Self::TooLarge { .. }
            | Self::Redirect { .. }
            | Self::Redirected { .. }
            | Self::Status { .. }
            | Self::ContentType { .. }
            | Self::Parse { .. }
            | Self::Encoding { .. } => true,
        }
    }

    /// Whether a connection was lost: closed or reset, or broken by what is no HTTP. The server may
    /// be well, and the next connection may do better.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        match self {
            Self::Dropped { .. }
            | Self::Protocol { .. }
            | Self::Connect { failure: ConnectFailure::Closed, .. } => true,
            Self::Redirected { error, .. } => error.is_dropped(),
            Self::Request { .. }
            | Self::Address { .. }
            | Self::Redirect { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Status { .. }
            | Self::ContentType { .. }
            | Self::Parse { .. }
            | Self::Encoding { .. }
            | Self::CircuitOpen { .. } => false,
        }
    }

    /// Whether the server was not reached, or was lost: all that [`is_dropped`](Self::is_dropped)
    /// tells, no connection, no answer in time, a circuit that is open.
    #[must_use]
    pub fn is_not_reachable(&self) -> bool {
        self.is_dropped()
            || match self {
                Self::Redirected { error, .. } => error.is_not_reachable(),
                Self::Connect { .. } | Self::Timeout { .. } | Self::CircuitOpen { .. } => true,
                _ => false,
            }
    }

    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::Request { message: message.into() }
    }
}

/// How a connection was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropKind {
    /// It was closed.
    Closed,
    /// It was reset.
    Reset,
    /// It was closed for writing.
    BrokenPipe,
    /// Another one to the same server was dropped just before, and this failed in its wake.
    Wake,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// The host's name has no address, or the name service did not answer.
    Name,
    /// Nobody listens there.
    Refused,
    /// There is no way to that host or network.
    Unreachable,
    /// The connection was closed or reset while it was made.
    Closed,
    /// Anything else, such as too many open files.
    Other,
}

/// Why a redirect was not followed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum NotFollowed {
    /// Nobody asked for it.
    #[error("redirects are not followed; ask for the address it leads to, or allow redirects")]
    NotAsked,
    /// More redirects than the request allows.
    #[error("more than {limit} redirects")]
    TooMany {
        /// How many it allows.
        limit: u32,
    },
    /// It leads to a request that was made before.
    #[error("redirects in a circle")]
    Circle,
    /// It leads from `https` to `http`.
    #[error("what was asked over https is not asked again without it")]
    Downgrade,
    /// It asks to send the body to another server.
    #[error(
        "a body is not sent to another server than the one it was meant for; ask for that \
             address"
    )]
    BodyElsewhere,
    /// It names no address that a request can go to.
    #[error("{message}")]
    Target {
        /// What is wrong with it.
        message: String,
    },
}

/// The part of a request that took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for one of the connections that the pool may have to an address.
    Pool,
    /// Finding the address, connecting, and the handshake of TLS.
    Connect,
    /// From the request to the head of the response.
    Headers,
    /// Between two chunks of the body.
    Idle,
    /// From the call to the end of the body, all attempts included.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "had no connection to spare",
            Self::Connect => "took no connection",
            Self::Headers => "sent no answer",
            Self::Idle => "sent nothing more",
            Self::Total => "was not done",
        })
    }
}

/// A part of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The status and the header fields.
    Head,
    /// The body.
    Body,
    /// A line of the body, or an event in it.
    Event,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "head",
            Self::Body => "body",
            Self::Event => "line or event",
        })
    }
}
