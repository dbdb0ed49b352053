//! What performs a capability.

use std::sync::Arc;

use std::time::Duration;

use async_trait::async_trait;
use executus_core::text::{bounded, scrub};
use executus_core::{Timestamp, ToolContext};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::capability::{Capability, CapabilityId};
use crate::constraint::{ConstraintError, Constraints};
use crate::principal::Principal;

mod tool;

pub use tool::ToolDriver;

/// What a driver is asked to do.
#[derive(Debug, Clone)]
pub struct DriverRequest {
    /// The capability.
    pub capability: Arc<Capability>,
    /// Which operation of the driver: the argument `operation` where it is a text, else the
    /// capability's id.
    pub operation: Arc<str>,
    /// The arguments.
    pub args: Arc<Map<String, Value>>,
    /// What the token narrows the invocation to.
    pub constraints: Arc<Constraints>,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// When the attempt is over at the latest. Of a stream: when the next piece must be there,
    /// counted from when it is asked for.
    pub deadline: Timestamp,
    /// The same for every attempt of one invocation, and when a run repeats it.
    pub idempotency_key: Arc<str>,
    /// The call of the run that asked, where one did.
    pub context: Option<ToolContext>,
}

impl DriverRequest {
    /// The operation that these arguments ask of a capability's driver: the argument `operation`
    /// where it is a text, else the capability's id.
    #[must_use]
    pub fn operation_of(capability: &Capability, args: &Map<String, Value>) -> Arc<str> {
        let named = args.get("operation").and_then(Value::as_str);
        named.unwrap_or_else(|| capability.id.as_str()).into()
    }
}

/// Why a driver did not do it. The attempt has failed, and the next driver of the plan is tried.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DriverError {
    /// It failed.
    #[error("{message}")]
    Failed {
        /// What happened, bounded.
        message: String,
        /// Whether the same request may succeed later.
        retryable: bool,
    },
    /// It gave up waiting, by a limit of its own.
    #[error("timed out: {message}")]
    Timeout {
        /// What it waited for.
        message: String,
    },
    /// The connection to whatever serves it was lost: nothing is known of the peer's health.
    #[error("the connection was dropped: {message}")]
    Dropped {
        /// What happened.
        message: String,
    },
    /// It was cut: it gave nothing within the time of the attempt.
    #[error("driver `{driver}` gave no result for `{capability}` within {} s", limit.as_secs_f64())]
    Late {
        /// The driver.
        driver: String,
        /// The capability.
        capability: CapabilityId,
        /// How long it had.
        limit: Duration,
    },
    /// It panicked.
    #[error("the driver panicked: {message}")]
    Panicked {
        /// What it said, bounded and scrubbed.
        message: String,
    },
    /// A constraint of the token means nothing, so that no driver is asked.
    #[error("{0}")]
    Constraint(ConstraintError),
    /// There is no driver to ask.
    #[error("the route names no driver that is registered: {drivers}")]
    NoDriver {
        /// What it names.
        drivers: String,
    },
    /// It has no such operation.
    #[error("driver `{driver}` has no operation `{operation}`")]
    NoOperation {
        /// The driver.
        driver: String,
        /// The operation.
        operation: String,
    },
}

impl DriverError {
    /// A failure that the same request would meet again.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: bounded(message.into()), retryable: false }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Failed { retryable, .. } => *retryable,
            Self::Timeout { .. } | Self::Dropped { .. } | Self::Late { .. } => true,
            Self::NoOperation { .. }
            | Self::Panicked { .. }
            | Self::Constraint(_)
            | Self::NoDriver { .. } => false,
        }
    }

    /// The same without what looks like a credential, and not longer than an error may be.
    pub(crate) fn scrubbed(self, redact: impl Fn(String) -> String) -> Self {
        let clean = |text: String| bounded(scrub(&redact(text)).into_owned());
        match self {
            Self::Failed { message, retryable } => {
                Self::Failed { message: clean(message), retryable }
            }
            Self::Timeout { message } => Self::Timeout { message: clean(message) },
            Self::Dropped { message } => Self::Dropped { message: clean(message) },
            Self::Panicked { message } => Self::Panicked { message: clean(message) },
            Self::NoOperation { driver, operation } => {
                Self::NoOperation { driver: clean(driver), operation: clean(operation) }
            }
            own @ (Self::Late { .. } | Self::Constraint(_) | Self::NoDriver { .. }) => own,
        }
    }
}

/// Performs operations.
///
/// **Called** by the kernel, for many invocations at once. **Cancellation**: the future is dropped
/// when the attempt's time is over or the invocation is given up; work that outlives it must end in
/// its `Drop`. A driver must not block its
/// thread: what blocks cannot be cut. **Panics** are a failed attempt like an error. A driver sees arguments with their
/// secrets bound, and nothing it answers is shown before the firewall has seen it.
#[async_trait]
pub trait Driver: Send + Sync {
    /// Its name in routes and records.
    fn id(&self) -> &str;

    /// Performs one operation and gives its whole result.
    ///
    /// # Errors
    /// [`DriverError`]: the attempt has failed.
    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError>;

    /// The same as something that streams, if it can.
    fn streaming(&self) -> Option<&dyn StreamingDriver>;
}

/// Performs operations whose results come in pieces.
#[async_trait]
pub trait StreamingDriver: Send + Sync {
    /// Begins one operation.
    ///
    /// # Errors
    /// [`DriverError`]: the attempt has failed before its first piece.
    async fn open(&self, request: &DriverRequest) -> Result<Box<dyn ChunkStream>, DriverError>;
}

/// The pieces of one result.
#[async_trait]
pub trait ChunkStream: Send {
    /// The next piece; `None` at the end. Dropping the stream ends the operation.
    ///
    /// # Errors
    /// [`DriverError`]: the stream has ended badly.
    async fn next(&mut self) -> Result<Option<Chunk>, DriverError>;
}

/// One piece of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// What it holds.
    pub data: Value,
    /// Whether the driver says that it is the last one.
    pub is_final: bool,
}
