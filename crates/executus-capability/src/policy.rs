//! Who may do what, and within which constraints.

use std::borrow::Cow;
use std::fmt;

use executus_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::constraint::Constraints;
use crate::principal::Principal;

mod all_of;
mod default;
mod rate;
mod rule;

pub use all_of::AllOf;
pub use default::DefaultPolicy;
pub use rate::{RateConfigError, RateLimit, RateLimited, RateLimiter, RateLimits};
pub use rule::{MAX_RULES_BYTES, RulePolicy, RulesError};

/// What is asked of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// For what.
    pub capability: &'a Capability,
    /// Why, in words.
    pub justification: &'a str,
    /// What the asker narrows it to.
    pub constraints: &'a Constraints,
    /// When.
    pub now: Timestamp,
}

/// A condition that is not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// The reason as a name that stays, of lower-case letters, digits and `_`.
    pub code: Cow<'static, str>,
    /// What is not met, and what would meet it. It quotes nothing that was asked for.
    pub message: String,
}

impl Denial {
    /// A role is missing.
    pub const MISSING_ROLE: &'static str = "missing_role";
    /// The justification is too short.
    pub const INSUFFICIENT_JUSTIFICATION: &'static str = "insufficient_justification";
    /// The principal has no tenant.
    pub const MISSING_TENANT: &'static str = "missing_tenant_attribute";
    /// A constraint means nothing, or contradicts one that is imposed.
    pub const INVALID_CONSTRAINT: &'static str = "invalid_constraint";
    /// It was granted too often.
    pub const RATE_LIMITED: &'static str = "rate_limited";
    /// A rule denies it.
    pub const RULE_DENIED: &'static str = "rule_denied";
    /// No rule allows it.
    pub const NO_RULE: &'static str = "no_rule";

    /// A condition that is not met.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: executus_core::text::bounded(message.into()) }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Denial {}

/// Decides whether a token is granted.
///
/// **Called** by the kernel at every grant, for many at once, on the thread that asks: it answers
/// from memory and does not wait. **Guarantee**: the constraints it gives are never wider than those
/// that were asked for. **Panics** are a denial.
pub trait Policy: Send + Sync {
    /// The constraints under which it is allowed. A decision counts: where there is a rate limit, it
    /// has used up one.
    ///
    /// # Errors
    /// The first condition that is not met.
    fn decide(&self, ask: &Ask<'_>) -> Result<Constraints, Denial>;

    /// What [`decide`](Self::decide) would answer now, with all its reasons. It counts for nothing.
    ///
    /// # Errors
    /// Every condition that is not met, at least one; the first is that of `decide`.
    fn explain(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>>;
}
