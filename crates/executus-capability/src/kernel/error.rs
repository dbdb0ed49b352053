//! Why the kernel did not do what it was asked.

use std::fmt;
use std::time::Duration;

use executus_core::Timestamp;
use thiserror::Error;

use super::wait::Unanswered;
use crate::budget::{BudgetExhausted, CountError};
use crate::capability::CapabilityId;
use crate::driver::DriverError;
use crate::firewall::FirewallError;
use crate::handle::HandleError;
use crate::policy::{Denial, RateLimited};
use crate::record::ActionLogError;
use crate::token::TokenError;

/// The text of the record of an invocation that was given up.
pub const CANCELLED: &str = "invocation cancelled";

/// A part of the host's that the kernel asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The policy.
    Policy,
    /// The store of handles.
    Handle,
    /// The firewall.
    Firewall,
    /// The counter of tokens.
    Count,
    /// The log of actions.
    Log,
    /// Whoever reads a stream.
    Reader,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "policy",
            Self::Handle => "handle store",
            Self::Firewall => "firewall",
            Self::Count => "token counter",
            Self::Log => "action log",
            Self::Reader => "reader of the stream",
        })
    }
}

/// A part of the host's that panicked or did not answer in time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StageError {
    /// It panicked.
    #[error("the {stage} panicked: {message}")]
    Panicked {
        /// Which.
        stage: Stage,
        /// What it said, bounded and scrubbed.
        message: String,
    },
    /// It did not answer in time.
    #[error("the {stage} gave no answer within {} s", limit.as_secs_f64())]
    Late {
        /// Which.
        stage: Stage,
        /// How long it had.
        limit: Duration,
    },
}

impl StageError {
    pub(super) fn new(stage: Stage, why: Unanswered) -> Self {
        match why {
            Unanswered::Panicked(panicked) => Self::Panicked { stage, message: panicked.0 },
            Unanswered::Late(limit) => Self::Late { stage, limit },
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::Panicked { .. } => "panicked",
            Self::Late { .. } => "late",
        }
    }
}

/// Why an invocation gave no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The token is not valid for this.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// There is no such capability.
    #[error("there is no capability `{0}`")]
    UnknownCapability(CapabilityId),
    /// The capability has no route.
    #[error("the capability `{0}` has no route; name its drivers")]
    NoRoute(CapabilityId),
    /// Too many invocations of this capability by this principal.
    #[error(transparent)]
    RateLimited(#[from] RateLimited),
    /// The time of the invocation is over.
    #[error("the deadline of the invocation, {at}, has passed")]
    Deadline {
        /// When it was.
        at: Timestamp,
    },
    /// Nothing is left to reserve.
    #[error(transparent)]
    Budget(#[from] BudgetExhausted),
    /// No driver did it. The error is that of the last attempt.
    #[error("no driver performed `{capability}`, the last one{}: {error}", named(driver_id))]
    Driver {
        /// The capability.
        capability: CapabilityId,
        /// The last driver that was tried; empty when none was.
        driver_id: String,
        /// How its attempt failed.
        error: DriverError,
    },
    /// The result was not kept.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The result cannot be shown.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// What the result costs is not known.
    #[error(transparent)]
    Count(#[from] CountError),
    /// A part of the host's panicked or did not answer in time.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The invocation was given up.
    #[error("{CANCELLED}")]
    Cancelled,
    /// The kernel is closed.
    #[error("the kernel is closed")]
    Closed,
    /// It was done, and there is no record of it, or it was not done since there could be none:
    /// nothing is shown.
    #[error(transparent)]
    Unrecorded(#[from] ActionLogError),
}

fn named(driver_id: &str) -> String {
    if driver_id.is_empty() { String::new() } else { format!(" (`{driver_id}`)") }
}

impl InvokeError {
    /// The reason code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Token(error) => error.code(),
            Self::UnknownCapability(_) => "unknown_capability",
            Self::NoRoute(_) => "no_route",
            Self::RateLimited(_) => "rate_limited",
            Self::Deadline { .. } => "deadline",
            Self::Budget(_) => "budget_exhausted",
            Self::Driver { error: DriverError::Constraint(_), .. } => "invalid_constraint",
            Self::Driver { .. } => "driver",
            Self::Handle(error) => error.code(),
            Self::Firewall(error) => error.code(),
            Self::Count(_) => "count",
            Self::Stage(error) => error.code(),
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
            Self::Unrecorded(_) => "unrecorded",
        }
    }

    /// Whether the same invocation may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::RateLimited(_) | Self::Stage(StageError::Late { .. }) => true,
            Self::Driver { error, .. } => error.retry(),
            Self::Handle(HandleError::Store { .. }) => true,
            Self::Token(_)
            | Self::UnknownCapability(_)
            | Self::NoRoute(_)
            | Self::Deadline { .. }
            | Self::Budget(_)
            | Self::Handle(_)
            | Self::Firewall(_)
            | Self::Count(_)
            | Self::Stage(StageError::Panicked { .. })
            | Self::Cancelled
            | Self::Closed
            | Self::Unrecorded(_) => false,
        }
    }

    /// What the record says.
    pub(super) fn text(&self) -> String {
        match self {
            // The text of a cause stands in the record too: there is one line for both.
            Self::Count(CountError::Driver(error)) => format!("{self}: {error}"),
            _ => self.to_string(),
        }
    }
}

/// Why no token was granted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The policy refused.
    #[error("{}", .0.message)]
    Denied(Denial),
    /// There is no such capability.
    #[error("there is no capability `{0}`")]
    UnknownCapability(CapabilityId),
    /// The token was not made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The policy panicked: nothing is granted.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The kernel is closed.
    #[error("the kernel is closed")]
    Closed,
    /// There is no record of the grant: the token is revoked.
    #[error(transparent)]
    Unrecorded(#[from] ActionLogError),
}

impl GrantError {
    /// The reason code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Denied(denial) => denial.code.as_ref(),
            Self::UnknownCapability(_) => "unknown_capability",
            Self::Token(error) => error.code(),
            Self::Stage(error) => error.code(),
            Self::Closed => "closed",
            Self::Unrecorded(_) => "unrecorded",
        }
    }
}

/// Why no page was read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExpandError {
    /// The store refused or failed.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The page cannot be shown.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// A part of the host's panicked or did not answer in time.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The kernel is closed.
    #[error("the kernel is closed")]
    Closed,
    /// There is no record of it: nothing is shown.
    #[error(transparent)]
    Unrecorded(#[from] ActionLogError),
}

impl ExpandError {
    /// The reason code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Handle(error) => error.code(),
            Self::Firewall(error) => error.code(),
            Self::Stage(error) => error.code(),
            Self::Closed => "closed",
            Self::Unrecorded(_) => "unrecorded",
        }
    }
}
