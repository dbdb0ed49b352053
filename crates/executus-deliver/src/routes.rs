//! Which targets get what.

use std::fmt;
use std::sync::Arc;

use executus_core::RunStatus;

use crate::error::RouteError;
use crate::target::Target;

/// The longest name of a target, in bytes.
const LONGEST: usize = 64;

/// Which results a target gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum When {
    /// Every one.
    #[default]
    Always,
    /// Those of runs that ended `ok`, or that were to execute nothing.
    Ok,
    /// Those of all others: `error`, `timeout`, `budget_exceeded`, `cancelled`.
    Error,
}

impl When {
    /// Whether the result of a run that ended so is meant.
    #[must_use]
    pub const fn is_for(self, status: RunStatus) -> bool {
        let good = matches!(status, RunStatus::Ok | RunStatus::DryRun);
        match self {
            Self::Always => true,
            Self::Ok => good,
            Self::Error => !good,
        }
    }
}

/// The targets by name, and which results each one gets. Clones share the targets.
///
/// An outbox keeps names, not settings: a name should mean the same target after a restart.
///
/// ```
/// use executus_deliver::{Folder, Lines, Routes, When};
///
/// # fn main() -> Result<(), executus_deliver::RouteError> {
/// let routes = Routes::new()
///     .to("archive", When::Always, Folder::new("results"))?
///     .to("failures", When::Error, Lines::stdout())?;
/// assert_eq!(routes.names().collect::<Vec<_>>(), ["archive", "failures"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Routes {
    routes: Vec<Route>,
}

#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) when: When,
    pub(crate) target: Arc<dyn Target>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A target says of itself what may be seen.
        write!(f, "{} ({:?}): {:?}", self.name, self.when, self.target)
    }
}

impl Routes {
    /// No target: everything is delivered by doing nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this target.
    ///
    /// # Errors
    /// [`RouteError`] for a name that cannot be one, or that another target has.
    pub fn to(
        mut self,
        name: &str,
        when: When,
        target: impl Target + 'static,
    ) -> Result<Self, RouteError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > LONGEST || !name.chars().all(is_plain) {
            let name = executus_core::text::bounded_to(name.escape_debug().to_string(), 80);
            return Err(RouteError::Name { name });
        }
        if self.get(name).is_some() {
            return Err(RouteError::Twice { name: name.to_owned() });
        }
        self.routes.push(Route { name: name.into(), when, target: Arc::new(target) });
        Ok(self)
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().map(|route| &*route.name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| &*route.name == name)
    }

    pub(crate) fn of(&self, status: RunStatus) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(move |route| route.when.is_for(status))
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn all(&self) -> &[Route] {
        &self.routes
    }
}
