//! Rules that are written in a file.

use serde_json::Value;

use super::default::{invalid, too_short};
use super::{Ask, Denial, Policy};
use crate::capability::{Safety, Sensitivity};
use crate::constraint::{Constraints, TightenError};
use crate::principal::PrincipalKind;

mod error;
mod file;
mod pattern;

pub use error::RulesError;
pub use file::MAX_RULES_BYTES;
use pattern::Pattern;

/// A policy that is written as rules in TOML.
///
/// ```toml
/// version = 1
///
/// [[rule]]
/// name = "support closes tickets"
/// effect = "allow"                    # or "deny"
/// capability = ["tickets.*"]          # `*` is one segment, `**` at the end is all that follow
/// safety = ["read", "write"]
/// sensitivity = ["none", "pii"]
/// kind = ["user"]                     # or "service"
/// principal = ["alice"]
/// roles = ["support", "admin"]        # one of them
/// attributes = { tenant = "acme" }    # all of them
/// justification = 15                  # of an `allow`: its fewest characters
/// constraints = { max_rows = 10, scope = { tenant = "acme" } }
///
/// [[rule]]
/// name = "nobody deletes"
/// effect = "deny"
/// safety = ["destructive"]
/// unless_roles = ["admin"]
/// code = "deletion_frozen"            # the reason code; `rule_denied` when left out
/// message = "nothing is deleted in this quarter"
/// ```
///
/// A rule matches when all that it names does; one that names nothing matches everything. **A `deny`
/// that matches wins**, wherever it stands. Else the first `allow` that matches decides, with its
/// constraints imposed on those that were asked for. **What no rule allows is denied** (`no_rule`).
///
/// It knows no default rules and no rate limits: [`AllOf`](super::AllOf) puts it before a
/// [`DefaultPolicy`](super::DefaultPolicy).
#[derive(Debug, Clone)]
pub struct RulePolicy {
    rules: Vec<Rule>,
}

/// One rule. What is empty does not matter.
#[derive(Debug, Clone)]
struct Rule {
    name: String,
    effect: Effect,
    capability: Vec<Pattern>,
    safety: Vec<Safety>,
    sensitivity: Vec<Sensitivity>,
    kind: Vec<PrincipalKind>,
    principal: Vec<String>,
    roles: Vec<String>,
    unless_roles: Vec<String>,
    attributes: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
enum Effect {
    Deny(Denial),
    Allow { justification: usize, constraints: Constraints },
}

impl Rule {
    fn matches(&self, ask: &Ask<'_>) -> bool {
        let (principal, capability) = (ask.principal, ask.capability);
        let has = |role: &String| principal.has(role);
        names(&self.safety, |safety| *safety == capability.safety)
            && names(&self.sensitivity, |sensitivity| *sensitivity == capability.sensitivity)
            && names(&self.kind, |kind| *kind == principal.kind)
            && names(&self.principal, |id| **id == *principal.id)
            && names(&self.roles, has)
            && !self.unless_roles.iter().any(has)
            && self.attributes.iter().all(|(name, value)| {
                principal.attributes.get(name).is_some_and(|found| found == value)
            })
            && names(&self.capability, |pattern| pattern.matches(&capability.id))
    }
}

fn names<T>(of: &[T], matches: impl Fn(&T) -> bool) -> bool {
    of.is_empty() || of.iter().any(matches)
}

impl RulePolicy {
    /// Reads rules. The reading is strict: a key, a value or a pattern that means nothing is an
    /// error, with its place.
    ///
    /// # Errors
    /// [`RulesError`], the first mistake.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        file::read(text).map(|rules| Self { rules })
    }

    fn judge(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>> {
        let mut denials = Vec::new();
        let mut allowed = None;
        for rule in self.rules.iter().filter(|rule| rule.matches(ask)) {
            match &rule.effect {
                Effect::Deny(denial) => denials.push(denial.clone()),
                Effect::Allow { justification, constraints } if allowed.is_none() => {
                    allowed = Some((&rule.name, *justification, constraints));
                }
                Effect::Allow { .. } => {}
            }
        }
        let Some((name, justification, imposed)) = allowed else {
            let nothing = format!("no rule allows `{}` to this principal", ask.capability.id);
            denials.push(Denial::new(Denial::NO_RULE, nothing));
            return Err(denials);
        };
        denials.extend(too_short(ask.justification, justification));
        match ask.constraints.tightened(imposed) {
            Ok(constraints) if denials.is_empty() => return Ok(constraints),
            Ok(_) => {}
            Err(error @ TightenError::Scope { .. }) => {
                let message = format!("{error} by the rule `{name}`");
                denials.push(Denial::new(Denial::INVALID_CONSTRAINT, message));
            }
            Err(error) => denials.push(invalid(&error)),
        }
        Err(denials)
    }
}

impl Policy for RulePolicy {
    fn decide(&self, ask: &Ask<'_>) -> Result<Constraints, Denial> {
        self.judge(ask).map_err(|denials| {
            let none = || Denial::new(Denial::NO_RULE, "no rule allows it");
            denials.into_iter().next().unwrap_or_else(none)
        })
    }

    fn explain(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>> {
        self.judge(ask)
    }
}

/// Whether a value holds one that TOML has and JSON has not: a number that is none is read as null, a
/// date as an object with a name of its own.
fn is_foreign(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(is_foreign),
        Value::Object(fields) => {
            fields.iter().any(|(name, item)| name == "$__toml_private_datetime" || is_foreign(item))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
