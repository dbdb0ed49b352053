//! What a kernel is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Clock;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stats::Stats;
use super::{Inner, Kernel};
use crate::budget::{SessionBudget, SizeCounter, TokenCounter};
use crate::driver::Driver;
use crate::firewall::{Firewall, Screen};
use crate::handle::{HandleStore, MemoryHandles};
use crate::policy::{DefaultPolicy, Policy, RateLimiter};
use crate::record::{ActionLog, MemoryActions};
use crate::registry::Registry;
use crate::route::Router;
use crate::token::TokenAuthority;

/// How long the kernel waits, and how much it keeps of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelLimits {
    /// The longest one attempt of a driver may take, and the gap between two pieces of a stream,
    /// whatever the token says: 60 s.
    pub attempt: Duration,
    /// The longest the store of handles may take: 10 s.
    pub handle: Duration,
    /// The longest the log may take to write or read a record: 5 s.
    pub log: Duration,
    /// The longest the reader of a stream may leave a frame unread: 10 minutes.
    pub reader: Duration,
    /// How many bytes of a stream are kept to lie behind a handle, roughly: 8 MiB. A longer one has
    /// no handle, and its last frame says so.
    pub kept: usize,
}

impl Default for KernelLimits {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(60),
            handle: Duration::from_secs(10),
            log: Duration::from_secs(5),
            reader: Duration::from_secs(600),
            kept: 8 << 20,
        }
    }
}

/// What cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two drivers have one name.
    #[error("two drivers are called `{driver}`; give one of them another name")]
    DuplicateDriver {
        /// The name.
        driver: String,
    },
    /// A limit is zero.
    #[error("the limit `{field}` is 0; give it a value above 0")]
    ZeroLimit {
        /// Which.
        field: &'static str,
    },
}

/// Makes a [`Kernel`]. Everything but registry, authority, routes and drivers has a default that
/// works in memory: [`DefaultPolicy`], [`Firewall`], [`MemoryHandles`], [`MemoryActions`]; there is
/// no budget and no rate unless one is given.
pub struct KernelBuilder {
    registry: Registry,
    authority: Arc<TokenAuthority>,
    policy: Option<Arc<dyn Policy>>,
    router: Router,
    drivers: Vec<Arc<dyn Driver>>,
    screen: Arc<dyn Screen>,
    handles: Option<Arc<dyn HandleStore>>,
    budget: Option<SessionBudget>,
    counter: Arc<dyn TokenCounter>,
    log: Arc<dyn ActionLog>,
    clock: Option<Clock>,
    limits: KernelLimits,
    rate: Option<RateLimiter>,
}

impl fmt::Debug for KernelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelBuilder").field("router", &self.router).finish_non_exhaustive()
    }
}

impl KernelBuilder {
    pub(super) fn new(registry: Registry, authority: Arc<TokenAuthority>) -> Self {
        Self {
            registry,
            authority,
            policy: None,
            router: Router::new(),
            drivers: Vec::new(),
            screen: Arc::new(Firewall::default()),
            handles: None,
            budget: None,
            counter: Arc::new(SizeCounter),
            log: Arc::new(MemoryActions::default()),
            clock: None,
            limits: KernelLimits::default(),
            rate: None,
        }
    }

    /// Who is granted what.
    #[must_use]
    pub fn policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Which drivers perform which capability.
    #[must_use]
    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// With this driver.
    #[must_use]
    pub fn driver(mut self, driver: Arc<dyn Driver>) -> Self {
        self.drivers.push(driver);
        self
    }

    /// What looks through every result.
    #[must_use]
    pub fn screen(mut self, screen: Arc<dyn Screen>) -> Self {
        self.screen = screen;
        self
    }

    /// Where whole results lie.
    #[must_use]
    pub fn handles(mut self, handles: Arc<dyn HandleStore>) -> Self {
        self.handles = Some(handles);
        self
    }

    /// What the session may show.
    #[must_use]
    pub fn budget(mut self, budget: SessionBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// What counts the cost of a frame.
    #[must_use]
    pub fn counter(mut self, counter: Arc<dyn TokenCounter>) -> Self {
        self.counter = counter;
        self
    }

    /// Where records go.
    #[must_use]
    pub fn log(mut self, log: Arc<dyn ActionLog>) -> Self {
        self.log = log;
        self
    }

    /// What time it is. Give authority and policy the same clock.
    #[must_use]
    pub const fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long it waits.
    #[must_use]
    pub const fn limits(mut self, limits: KernelLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How often a principal may invoke one capability, beside how often it is granted.
    #[must_use]
    pub fn rate(mut self, rate: RateLimiter) -> Self {
        self.rate = Some(rate);
        self
    }

    /// The kernel.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Kernel, BuildError> {
        let KernelLimits { attempt, handle, log, reader, .. } = self.limits;
        let limits = [("attempt", attempt), ("handle", handle), ("log", log), ("reader", reader)];
        if let Some((field, _)) = limits.into_iter().find(|(_, limit)| limit.is_zero()) {
            return Err(BuildError::ZeroLimit { field });
        }
        let mut drivers = BTreeMap::new();
        for driver in self.drivers {
            let id: Arc<str> = driver.id().into();
            if drivers.insert(Arc::clone(&id), driver).is_some() {
                return Err(BuildError::DuplicateDriver { driver: id.to_string() });
            }
        }
        let clock = self.clock.unwrap_or_else(Clock::system);
        Ok(Kernel(Arc::new(Inner {
            registry: self.registry,
            authority: self.authority,
            policy: self.policy.unwrap_or_else(|| Arc::new(DefaultPolicy::default())),
            router: self.router,
            drivers,
            screen: self.screen,
            handles: self.handles.unwrap_or_else(|| Arc::new(MemoryHandles::default())),
            budget: self.budget,
            counter: self.counter,
            log: self.log,
            clock,
            limits: self.limits,
            rate: self.rate,
            stats: Stats::default(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        })))
    }
}
