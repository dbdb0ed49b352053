//! The drivers of a plan, tried in order.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::action::Action;
use super::admit::Admitted;
use super::error::InvokeError;
use super::wait::Unanswered;
use super::{Inner, Invocation};
use crate::capability::CapabilityId;
use crate::driver::{Driver, DriverError, DriverRequest};

/// A driver, and the name that it is registered under.
pub(super) type Named<'k> = (&'k Arc<str>, &'k Arc<dyn Driver>);

/// The attempts of one invocation so far.
pub(super) struct Attempts<'a> {
    kernel: &'a Inner,
    invocation: &'a Invocation,
    pub(super) admitted: &'a Admitted<'a>,
    tried: u64,
    last: Option<DriverError>,
}

impl<'a> Attempts<'a> {
    pub(super) const fn new(
        kernel: &'a Inner,
        invocation: &'a Invocation,
        admitted: &'a Admitted<'a>,
    ) -> Self {
        Self { kernel, invocation, admitted, tried: 0, last: None }
    }

    /// The drivers of the plan that there are, in its order, by the names they are registered under.
    pub(super) fn drivers(&self) -> Vec<Named<'a>> {
        let known = |id: &Arc<str>| {
            let driver = self.kernel.drivers.get_key_value(id);
            if driver.is_none() {
                let capability = &self.admitted.capability.id;
                tracing::warn!(%capability, driver = %id, "a driver of the route is not registered");
            }
            driver
        };
        self.admitted.plan.drivers().filter_map(known).collect()
    }

    /// One attempt. `None` when it failed, and the next driver may be tried.
    ///
    /// What it is asked with goes to `perform`, together with the longest it may take.
    pub(super) async fn attempt<T, F>(
        &mut self,
        action: &mut Action,
        id: &str,
        perform: impl FnOnce(Arc<DriverRequest>, Duration) -> F,
    ) -> Result<Option<T>, InvokeError>
    where
        F: Future<Output = Result<Result<T, DriverError>, Unanswered>>,
    {
        let Admitted { capability, limit, until, .. } = self.admitted;
        let limit = match self.kernel.capped(*limit, *until) {
            Ok(limit) => limit,
            // With no time left no attempt starts; what went wrong before says more.
            Err(over) => {
                let last = self.last.take();
                return Err(last.map_or(over, |error| self.failed(action, error)));
            }
        };
        let draft = action.draft();
        id.clone_into(&mut draft.record.driver_id);
        if self.tried > 0 {
            draft.record.counts.fallback_count += 1;
            self.kernel.stats.fallback();
        }
        self.tried += 1;
        let request = Arc::new(self.request(action, limit));
        let error = match perform(request, limit).await {
            Ok(Ok(result)) => return Ok(Some(result)),
            Ok(Err(error)) => error,
            Err(why) => unanswered(id, &capability.id, why),
        };
        let error = self.kernel.clean(self.invocation, error);
        tracing::warn!(capability = %capability.id, driver = %id, %error, "an attempt failed");
        self.last = Some(error);
        Ok(None)
    }

    /// What the invocation ends with when every attempt has failed.
    pub(super) fn exhausted(mut self, action: &mut Action) -> InvokeError {
        let error = self.last.take().unwrap_or_else(|| {
            let names: Vec<&str> = self.admitted.plan.drivers().map(|id| &**id).collect();
            DriverError::NoDriver { drivers: names.join(", ") }
        });
        self.failed(action, error)
    }

    /// The error of an invocation whose last attempt failed like this.
    pub(super) fn failed(&self, action: &mut Action, error: DriverError) -> InvokeError {
        let capability = self.admitted.capability.id.clone();
        let driver_id = action.draft().record.driver_id.clone();
        InvokeError::Driver { capability, driver_id, error }
    }

    fn request(&self, action: &Action, limit: Duration) -> DriverRequest {
        let Invocation { args, principal, context, .. } = self.invocation;
        let Admitted { capability, constraints, .. } = self.admitted;
        DriverRequest {
            operation: DriverRequest::operation_of(capability, args),
            capability: Arc::clone(capability),
            args: Arc::clone(args),
            constraints: Arc::clone(constraints),
            principal: Arc::clone(principal),
            deadline: self.kernel.clock.now().after(limit),
            idempotency_key: self
                .invocation
                .action_id
                .as_deref()
                .unwrap_or_else(|| action.id())
                .into(),
            context: context.clone(),
        }
    }
}

/// A driver that panicked, or was cut, as a failed attempt.
pub(super) fn unanswered(driver: &str, capability: &CapabilityId, why: Unanswered) -> DriverError {
    match why {
        Unanswered::Panicked(panicked) => DriverError::Panicked { message: panicked.0 },
        Unanswered::Late(limit) => {
            DriverError::Late { driver: driver.to_owned(), capability: capability.clone(), limit }
        }
    }
}
