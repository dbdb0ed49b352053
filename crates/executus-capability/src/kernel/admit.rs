//! What is decided before a driver is asked: verify, look up, route, deadline, mode, reserve.

use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;

use super::action::Action;
use super::error::InvokeError;
use super::{Inner, Invocation};
use crate::capability::Capability;
use crate::constraint::Constraints;
use crate::driver::DriverError;
use crate::firewall::allowed_mode;
use crate::frame::Mode;
use crate::route::RoutePlan;

/// What an invocation may do, before anything is reserved.
pub(super) struct Examined<'k> {
    pub(super) capability: Arc<Capability>,
    pub(super) plan: &'k RoutePlan,
    /// The longest one attempt may take.
    pub(super) limit: Duration,
    /// How much this principal may be shown.
    pub(super) allowed: Mode,
    /// How much of that fits the budget.
    pub(super) mode: Mode,
}

/// What an invocation may do, now that it holds what it needs.
pub(super) struct Admitted<'k> {
    pub(super) capability: Arc<Capability>,
    pub(super) plan: &'k RoutePlan,
    pub(super) limit: Duration,
    pub(super) mode: Mode,
    pub(super) constraints: Arc<Constraints>,
    /// When all of it is over.
    pub(super) until: Option<Timestamp>,
}

impl Inner {
    /// Decides everything that takes nothing.
    pub(super) fn examine(&self, invocation: &Invocation) -> Result<Examined<'_>, InvokeError> {
        let Invocation { token, principal, capability: id, .. } = invocation;
        self.authority.verify(token, principal, id)?;
        let capability = self.registry.get(id);
        let capability = capability.ok_or_else(|| InvokeError::UnknownCapability(id.clone()))?;
        let plan = self.router.plan(id).ok_or_else(|| InvokeError::NoRoute(id.clone()))?;
        let limit = self.attempt_limit(invocation)?;
        // The gate of the admin comes first, so that the budget bears on what would be shown; and
        // the budget is asked before this invocation takes from it.
        let allowed = allowed_mode(principal, invocation.mode);
        let mode = self.budget.as_ref().map_or(allowed, |budget| budget.suggest(allowed));
        Ok(Examined { capability: Arc::clone(capability), plan, limit, allowed, mode })
    }

    /// Lets an invocation in, with what it needs reserved.
    pub(super) fn admit(
        &self,
        action: &mut Action,
        invocation: &Invocation,
    ) -> Result<Admitted<'_>, InvokeError> {
        let Examined { capability, plan, limit, allowed, mut mode } = self.examine(invocation)?;
        action.draft().record.mode = Some(mode);
        let until = self.until(invocation);
        self.left(until)?;
        if let Some(rate) = &self.rate {
            rate.admit(&invocation.principal, &capability, self.clock.now())?;
        }
        if let Some(budget) = &self.budget {
            let tokens = invocation.reserve.unwrap_or_else(|| budget.default_reservation());
            // The mode once more, since others may have reserved in between.
            let (fits, reservation) = budget.admit(allowed, tokens)?;
            mode = fits;
            action.draft().record.mode = Some(mode);
            action.draft().reservation = Some(reservation);
        }
        action.draft().admitted = true;
        let constraints = Arc::new(invocation.token.constraints.clone());
        Ok(Admitted { capability, plan, limit, mode, constraints, until })
    }

    /// The time that is left of an invocation; `None` when nobody limits it.
    pub(super) fn left(&self, until: Option<Timestamp>) -> Result<Option<Duration>, InvokeError> {
        let Some(at) = until else { return Ok(None) };
        let left = at.since(self.clock.now());
        if left.is_zero() { Err(InvokeError::Deadline { at }) } else { Ok(Some(left)) }
    }

    /// The shorter one of a limit and the time that is left.
    pub(super) fn capped(
        &self,
        limit: Duration,
        until: Option<Timestamp>,
    ) -> Result<Duration, InvokeError> {
        Ok(self.left(until)?.map_or(limit, |left| left.min(limit)))
    }

    /// When the invocation is over, by the kernel's clock.
    fn until(&self, invocation: &Invocation) -> Option<Timestamp> {
        // The clock of a run is another one: what it has left is the same by both.
        let of_run =
            invocation.context.as_ref().map(|context| self.clock.now().after(context.time_left()));
        match (invocation.deadline, of_run) {
            (Some(own), Some(of_run)) => Some(own.min(of_run)),
            (own, of_run) => own.or(of_run),
        }
    }

    /// The longest one attempt may take; what means nothing in the constraints is found here,
    /// before any driver is asked and anything is reserved.
    fn attempt_limit(&self, invocation: &Invocation) -> Result<Duration, InvokeError> {
        let constraints = &invocation.token.constraints;
        let read = constraints.check().and_then(|()| constraints.invoke_timeout());
        match read {
            Ok(asked) => {
                Ok(asked.map_or(self.limits.attempt, |asked| asked.min(self.limits.attempt)))
            }
            Err(error) => Err(InvokeError::Driver {
                capability: invocation.capability.clone(),
                driver_id: String::new(),
                error: DriverError::Constraint(error),
            }),
        }
    }
}
