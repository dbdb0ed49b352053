//! Several policies, all of which must allow.

use std::fmt;
use std::sync::Arc;

use super::{Ask, Denial, Policy};
use crate::constraint::Constraints;

/// Several policies: allowed is what each of them allows, within what the ones before it imposed.
///
/// They are asked in order until one denies. One that counts, such as
/// [`DefaultPolicy`](super::DefaultPolicy) with its rate limits, goes last, so that it does not count
/// what another one denies. Without any policy everything is denied.
#[derive(Clone)]
pub struct AllOf(Vec<Arc<dyn Policy>>);

impl AllOf {
    /// These policies, in the order in which they are asked.
    #[must_use]
    pub fn new(policies: Vec<Arc<dyn Policy>>) -> Self {
        Self(policies)
    }

    fn nobody() -> Denial {
        Denial::new(Denial::NO_RULE, "there is no policy that could allow it")
    }
}

impl fmt::Debug for AllOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AllOf({} policies)", self.0.len())
    }
}

impl Policy for AllOf {
    fn decide(&self, ask: &Ask<'_>) -> Result<Constraints, Denial> {
        let mut policies = self.0.iter();
        let first = policies.next().ok_or_else(Self::nobody)?;
        policies.try_fold(first.decide(ask)?, |constraints, policy| {
            policy.decide(&Ask { constraints: &constraints, ..*ask })
        })
    }

    fn explain(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>> {
        if self.0.is_empty() {
            return Err(vec![Self::nobody()]);
        }
        let mut constraints = ask.constraints.clone();
        let mut denials = Vec::new();
        for policy in &self.0 {
            match policy.explain(&Ask { constraints: &constraints, ..*ask }) {
                Ok(narrower) => constraints = narrower,
                // What it would have imposed is not known: the next one is asked as it was.
                Err(more) => denials.extend(more),
            }
        }
        if denials.is_empty() { Ok(constraints) } else { Err(denials) }
    }
}
