//! Which drivers perform a capability, and in which order they are tried.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::capability::CapabilityId;

/// The drivers of one capability, the first choice first.
///
/// The next one is tried when an attempt has failed. A driver that the kernel does not know is
/// passed over, which is no failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePlan(Arc<[Arc<str>]>);

/// A plan without a driver, or with one twice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// It names no driver.
    #[error("the route of `{capability}` names no driver; name at least one")]
    Empty {
        /// The capability.
        capability: CapabilityId,
    },
    /// It names a driver twice.
    #[error(
        "the route of `{capability}` names the driver `{driver}` twice; a driver is tried once"
    )]
    Twice {
        /// The capability.
        capability: CapabilityId,
        /// The driver.
        driver: String,
    },
}

impl RoutePlan {
    /// The drivers, in order.
    pub fn drivers(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.iter()
    }

    /// The first choice.
    #[must_use]
    pub fn first(&self) -> Option<&Arc<str>> {
        self.0.first()
    }
}

/// The plans of all capabilities.
#[derive(Debug, Clone, Default)]
pub struct Router {
    plans: BTreeMap<CapabilityId, RoutePlan>,
    otherwise: Option<RoutePlan>,
}

impl Router {
    /// No plans.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With these drivers for a capability, in the order in which they are tried.
    ///
    /// # Errors
    /// [`RouteError`].
    pub fn route<D: Into<Arc<str>>>(
        mut self,
        capability: CapabilityId,
        drivers: impl IntoIterator<Item = D>,
    ) -> Result<Self, RouteError> {
        let drivers: Vec<Arc<str>> = drivers.into_iter().map(Into::into).collect();
        if drivers.is_empty() {
            return Err(RouteError::Empty { capability });
        }
        let twice = drivers.iter().enumerate().find(|(at, driver)| drivers[..*at].contains(driver));
        if let Some((_, driver)) = twice {
            return Err(RouteError::Twice { driver: driver.to_string(), capability });
        }
        self.plans.insert(capability, RoutePlan(drivers.into()));
        Ok(self)
    }

    /// With this driver for every capability that has no plan of its own.
    #[must_use]
    pub fn otherwise(mut self, driver: impl Into<Arc<str>>) -> Self {
        self.otherwise = Some(RoutePlan(Arc::new([driver.into()])));
        self
    }

    /// The plan of a capability; `None` when it has none.
    #[must_use]
    pub fn plan(&self, capability: &CapabilityId) -> Option<&RoutePlan> {
        self.plans.get(capability).or(self.otherwise.as_ref())
    }
}
