//! The kernel: verifies, routes, bounds, screens, settles and records every invocation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Clock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::budget::{BudgetState, SessionBudget, TokenCounter};
use crate::driver::Driver;
use crate::firewall::Screen;
use crate::handle::HandleStore;
use crate::policy::{Policy, RateLimiter};
use crate::record::{ActionLog, ActionLogError, ActionQuery, ActionRecord};
use crate::registry::Registry;
use crate::route::Router;
use crate::token::TokenAuthority;

mod action;
mod admit;
mod attempt;
mod build;
mod dry_run;
mod error;
mod expand;
mod grant;
mod invoke;
mod request;
mod stats;
mod stream;
mod wait;

pub use build::{BuildError, KernelBuilder, KernelLimits};
pub use dry_run::{CostClass, DryRun};
pub use error::{CANCELLED, ExpandError, GrantError, InvokeError, Stage, StageError};
pub use request::{ExpandRequest, GrantRequest, Invocation};
pub use stats::KernelStats;
pub use stream::FrameStream;

use action::unread;
use stats::Stats;
use wait::within;

/// Performs capabilities under tokens. Clones share it.
///
/// **Guarantees.** K1: no driver is asked without a token that is valid for this principal and
/// this capability. K2: nothing of a result is shown that the firewall has not seen. K3: whatever
/// way an action ends, by success, refusal, error, panic, deadline, cancellation or because its
/// future was dropped, there is one record of it. K4: what an invocation reserves is settled when it
/// is served, and given back on every other exit, once. K5: what was performed and could not be
/// recorded is not shown.
///
/// **Cancellation.** Dropping a future of the kernel's gives the action up: what it holds is given
/// back at once, and a task that [`close`](Self::close) waits for writes the record. An action
/// begins when its future is polled for the first time. **Panics** of policy, drivers, stores,
/// screen, counter and log are errors of the action. **Runtime**: every method that waits must be
/// called within a tokio runtime with time.
#[derive(Clone)]
pub struct Kernel(Arc<Inner>);

struct Inner {
    registry: Registry,
    authority: Arc<TokenAuthority>,
    policy: Arc<dyn Policy>,
    router: Router,
    drivers: BTreeMap<Arc<str>, Arc<dyn Driver>>,
    screen: Arc<dyn Screen>,
    handles: Arc<dyn HandleStore>,
    budget: Option<SessionBudget>,
    counter: Arc<dyn TokenCounter>,
    log: Arc<dyn ActionLog>,
    clock: Clock,
    limits: KernelLimits,
    rate: Option<RateLimiter>,
    stats: Stats,
    /// Actions under way, and the writing of their records.
    tracker: TaskTracker,
    /// Cancelled when what is under way has to end.
    stop: CancellationToken,
}

/// What a closed kernel leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Actions that were given up because the grace was over.
    pub cancelled: usize,
    /// Actions that have not ended all the same: nobody polls or drops them.
    pub left: usize,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("router", &self.0.router).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Begins to make a kernel.
    #[must_use]
    pub fn builder(registry: Registry, authority: Arc<TokenAuthority>) -> KernelBuilder {
        KernelBuilder::new(registry, authority)
    }

    /// What there is to perform.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The clock that deadlines are told by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// What it did so far.
    #[must_use]
    pub fn stats(&self) -> KernelStats {
        self.0.stats.read()
    }

    /// What the session's budget stands at; `None` without one.
    #[must_use]
    pub fn budget(&self) -> Option<BudgetState> {
        self.0.budget.as_ref().map(SessionBudget::state)
    }

    /// The record of an action; `None` when there is none. Of what a run repeated after a crash,
    /// the first has the call's key as its id, the second has `~2` behind it, and so on.
    ///
    /// # Errors
    /// [`ActionLogError`]: the log failed, panicked or took too long.
    pub async fn explain(&self, action_id: &str) -> Result<Option<ActionRecord>, ActionLogError> {
        within(self.0.limits.log, || self.0.log.get(action_id))
            .await
            .unwrap_or_else(|why| Err(unread(why)))
    }

    /// The records that a query asks for, by time and action id.
    ///
    /// # Errors
    /// [`ActionLogError`]: the query means nothing, or the log failed, panicked or took too long.
    pub async fn actions(&self, query: &ActionQuery) -> Result<Vec<ActionRecord>, ActionLogError> {
        query.page()?;
        within(self.0.limits.log, || self.0.log.query(query))
            .await
            .unwrap_or_else(|why| Err(unread(why)))
    }

    /// Refuses what is new from now on, waits so long for what is under way, gives the rest up,
    /// and waits until all of it is recorded.
    pub async fn close(&self, grace: Duration) -> Closed {
        let Inner { tracker, stop, limits, .. } = &*self.0;
        tracker.close();
        let waited = tokio::time::timeout(grace, tracker.wait()).await;
        let cancelled = if waited.is_ok() { 0 } else { tracker.len() };
        stop.cancel();
        // What is given up has only its record to write.
        let recording = limits.log.saturating_add(Duration::from_secs(1));
        let _ = tokio::time::timeout(recording, tracker.wait()).await;
        Closed { cancelled, left: tracker.len() }
    }
}
