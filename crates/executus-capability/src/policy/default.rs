//! The rules that hold where no others are given.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Ask, Denial, Policy, RateConfigError, RateLimiter, RateLimits};
use crate::capability::{Safety, Sensitivity};
use crate::constraint::{Constraints, TightenError};
use crate::principal::PrincipalKind;

/// The rules that hold where no others are given:
///
/// | what | needs |
/// |---|---|
/// | `write` | role `writer` or `admin`, a justification of 15 characters |
/// | `destructive` | role `admin`, a justification of 15 characters |
/// | `pii`, `pci` | attribute `tenant`; fields are those of the capability, unless role `pii-reader` |
/// | `secrets` | role `secrets-reader` or `admin`, a justification of 15 characters |
/// | `memory`, written | role `memory-writer` or `admin` |
/// | `memory`, a sensitive scope read | role `memory-sensitive-reader` or `admin` |
///
/// All that apply must be met. A justification's characters are counted without space around it.
///
/// **A memory read is of a sensitive scope** when the constraint `scope` asks for one in its field
/// `memory` ([`SENSITIVE_SCOPES`](Self::SENSITIVE_SCOPES)), or when it asks for none and the
/// capability has the tag `sensitive-scope`.
///
/// **Constraints**: at most 50 rows, 500 for a service. What is asked for can only be tighter; what
/// means nothing is denied.
///
/// **Rate**: 60 reads, 10 writes, 2 destructive per 60 s, principal and capability; ten times as many
/// for a service. Only what is granted counts.
///
/// **Reason codes**: `missing_role`, `insufficient_justification`, `missing_tenant_attribute`,
/// `invalid_constraint`, `rate_limited`.
#[derive(Debug)]
pub struct DefaultPolicy {
    limiter: RateLimiter,
    sensitive_scopes: BTreeSet<String>,
}

impl Default for DefaultPolicy {
    fn default() -> Self {
        Self {
            limiter: RateLimiter::of(RateLimits::default()),
            sensitive_scopes: Self::SENSITIVE_SCOPES.map(str::to_owned).into(),
        }
    }
}

impl DefaultPolicy {
    /// The fewest characters of a justification.
    pub const JUSTIFICATION: usize = 15;
    /// The most rows for a user.
    pub const USER_ROWS: u64 = 50;
    /// The most rows for a service.
    pub const SERVICE_ROWS: u64 = 500;
    /// The memory scopes that are sensitive unless told otherwise.
    pub const SENSITIVE_SCOPES: [&'static str; 3] = ["personal", "private", "sensitive"];
    /// The field of the constraint `scope` that names a memory scope.
    const MEMORY_SCOPE: &'static str = "memory";
    /// The tag of a capability that reads sensitive scopes unless told which.
    const SENSITIVE_TAG: &'static str = "sensitive-scope";

    /// With these rate limits.
    ///
    /// # Errors
    /// [`RateConfigError`] for a limit that means nothing.
    pub fn rate_limits(mut self, limits: RateLimits) -> Result<Self, RateConfigError> {
        self.limiter = RateLimiter::new(limits)?;
        Ok(self)
    }

    /// With these memory scopes being sensitive.
    #[must_use]
    pub fn sensitive_scopes<S: Into<String>>(
        mut self,
        scopes: impl IntoIterator<Item = S>,
    ) -> Self {
        self.sensitive_scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Every condition but the rate that is not met, and the constraints if all are.
    fn judge(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>> {
        let capability = ask.capability;
        let mut denials = Vec::new();
        match capability.safety {
            Safety::Read => {}
            Safety::Write => denials.extend(role(ask, "a write", &["writer", "admin"])),
            Safety::Destructive => {
                denials.extend(role(ask, "what cannot be undone", &["admin"]));
            }
        }
        match capability.sensitivity {
            Sensitivity::None => {}
            Sensitivity::Pii | Sensitivity::Pci => denials.extend(tenant(ask)),
            Sensitivity::Secrets => {
                denials.extend(role(ask, "a secret", &["secrets-reader", "admin"]));
            }
            Sensitivity::Memory => denials.extend(self.memory(ask)),
        }
        if capability.safety != Safety::Read || capability.sensitivity == Sensitivity::Secrets {
            denials.extend(justification(ask));
        }
        let constraints = ask.constraints.tightened(&imposed(ask));
        let constraints = constraints.map_err(|error| denials.push(invalid(&error)));
        match constraints {
            Ok(constraints) if denials.is_empty() => Ok(constraints),
            Ok(_) | Err(()) => Err(denials),
        }
    }

    fn memory(&self, ask: &Ask<'_>) -> Option<Denial> {
        if ask.capability.safety != Safety::Read {
            return role(ask, "writing memory", &["memory-writer", "admin"]);
        }
        // A scope that means nothing is denied as a constraint.
        let scope = ask.constraints.scope().unwrap_or_default();
        let sensitive = match scope.get(Self::MEMORY_SCOPE) {
            Some(Value::String(scope)) => self.sensitive_scopes.contains(scope),
            Some(_) => true,
            None => ask.capability.tags.iter().any(|tag| tag == Self::SENSITIVE_TAG),
        };
        if !sensitive {
            return None;
        }
        role(ask, "reading a sensitive scope of memory", &["memory-sensitive-reader", "admin"])
    }
}

impl Policy for DefaultPolicy {
    fn decide(&self, ask: &Ask<'_>) -> Result<Constraints, Denial> {
        let constraints = self.judge(ask).map_err(|denials| {
            let none = || Denial::new(Denial::MISSING_ROLE, "it is not allowed");
            denials.into_iter().next().unwrap_or_else(none)
        })?;
        self.limiter.admit(ask.principal, ask.capability, ask.now).map_err(limited)?;
        Ok(constraints)
    }

    fn explain(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>> {
        let judged = self.judge(ask);
        match self.limiter.check(ask.principal, ask.capability, ask.now) {
            Ok(()) => judged,
            Err(rate) => {
                let mut denials = judged.err().unwrap_or_default();
                denials.push(limited(rate));
                Err(denials)
            }
        }
    }
}

/// What is imposed on everybody of this kind.
fn imposed(ask: &Ask<'_>) -> Constraints {
    let rows = match ask.principal.kind {
        PrincipalKind::User => DefaultPolicy::USER_ROWS,
        PrincipalKind::Service => DefaultPolicy::SERVICE_ROWS,
    };
    let constraints = Constraints::default().with(Constraints::MAX_ROWS, rows);
    let personal = matches!(ask.capability.sensitivity, Sensitivity::Pii | Sensitivity::Pci);
    let fields = &ask.capability.allowed_fields;
    if personal && !fields.is_empty() && !ask.principal.has("pii-reader") {
        return constraints.with(Constraints::ALLOWED_FIELDS, fields.as_slice());
    }
    constraints
}

fn role(ask: &Ask<'_>, what: &str, any: &[&str]) -> Option<Denial> {
    if any.iter().any(|role| ask.principal.has(role)) {
        return None;
    }
    let roles: Vec<_> = any.iter().map(|role| format!("`{role}`")).collect();
    let message = format!("{what} needs the role {}", roles.join(" or "));
    Some(Denial::new(Denial::MISSING_ROLE, message))
}

/// That the reason is too short, if it is.
pub(super) fn too_short(justification: &str, least: usize) -> Option<Denial> {
    let found = justification.trim().chars().count();
    (found < least).then(|| {
        let message =
            format!("it needs a justification of {least} characters, this one has {found}");
        Denial::new(Denial::INSUFFICIENT_JUSTIFICATION, message)
    })
}

fn justification(ask: &Ask<'_>) -> Option<Denial> {
    too_short(ask.justification, DefaultPolicy::JUSTIFICATION)
}

fn tenant(ask: &Ask<'_>) -> Option<Denial> {
    let known = ask.principal.attributes.get("tenant");
    known.is_none_or(|tenant| tenant.trim().is_empty()).then(|| {
        let message = "what is told of persons or payments needs the attribute `tenant`";
        Denial::new(Denial::MISSING_TENANT, message)
    })
}

/// That a constraint means nothing.
pub(super) fn invalid(error: &TightenError) -> Denial {
    Denial::new(Denial::INVALID_CONSTRAINT, error.to_string())
}

fn limited(error: super::RateLimited) -> Denial {
    Denial::new(Denial::RATE_LIMITED, error.to_string())
}
