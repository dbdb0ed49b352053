//! What goes wrong, where and when; and what was called.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use executus_core::RunId;
use parking_lot::Mutex;

use super::Fault;

/// A call of a port, a model or a tool. What else is done with claims (renewing, releasing,
/// parking) is of `Claim`, and listing the parked of `List`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named like the call it stands for")]
pub enum Site {
    AuditStart,
    AuditRecord,
    AuditFlush,
    AuditClose,
    AuditSuspend,
    Reserve,
    Charge,
    Settle,
    Release,
    Monitor,
    WatcherStep,
    WatcherTool,
    WatcherSteer,
    WatcherDirective,
    WatcherStop,
    Append,
    Complete,
    Fail,
    List,
    Claim,
    Load,
    Resolve,
    Invoke,
    Deliver,
    Decide,
    ToolCall,
}

impl Site {
    /// Every site.
    pub const ALL: [Self; 26] = [
        Self::AuditStart,
        Self::AuditRecord,
        Self::AuditFlush,
        Self::AuditClose,
        Self::AuditSuspend,
        Self::Reserve,
        Self::Charge,
        Self::Settle,
        Self::Release,
        Self::Monitor,
        Self::WatcherStep,
        Self::WatcherTool,
        Self::WatcherSteer,
        Self::WatcherDirective,
        Self::WatcherStop,
        Self::Append,
        Self::Complete,
        Self::Fail,
        Self::List,
        Self::Claim,
        Self::Load,
        Self::Resolve,
        Self::Invoke,
        Self::Deliver,
        Self::Decide,
        Self::ToolCall,
    ];

    /// Whether calls there return a future.
    #[must_use]
    pub const fn waits(self) -> bool {
        !matches!(
            self,
            Self::AuditRecord
                | Self::WatcherStep
                | Self::WatcherTool
                | Self::WatcherSteer
                | Self::WatcherDirective
        )
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Where.
    pub site: Site,
    /// For which run, where the call says so.
    pub run: Option<RunId>,
    /// What went wrong with it, as planned.
    pub fault: Option<Fault>,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    /// The call with this number, from 1.
    Nth(u64),
    /// Every call from this number on.
    From(u64),
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<(Site, Which, Fault)>,
    counts: HashMap<Site, u64>,
    alive: HashMap<Site, u64>,
    log: Vec<Called>,
}

/// What goes wrong, and what was called. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Plan(Arc<Mutex<State>>);

impl Plan {
    /// Nothing goes wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The `nth` call at this site, from 1, goes wrong. The first fault that fits a call counts.
    #[must_use]
    pub fn with(self, site: Site, nth: u64, fault: Fault) -> Self {
        self.0.lock().faults.push((site, Which::Nth(nth), fault));
        self
    }

    /// The `nth` call at this site, from 1, and all after it go wrong.
    #[must_use]
    pub fn from(self, site: Site, nth: u64, fault: Fault) -> Self {
        self.0.lock().faults.push((site, Which::From(nth), fault));
        self
    }

    /// Every call at this site goes wrong.
    #[must_use]
    pub fn always(self, site: Site, fault: Fault) -> Self {
        self.from(site, 1, fault)
    }

    /// Whether nothing goes wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.0.lock().faults.is_empty()
    }

    /// Whether something is planned to go wrong at one of these sites.
    #[must_use]
    pub fn breaks(&self, sites: &[Site]) -> bool {
        self.0.lock().faults.iter().any(|(site, ..)| sites.contains(site))
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.0.lock().faults.clear();
    }

    /// How many calls were made at this site.
    #[must_use]
    pub fn count(&self, site: Site) -> u64 {
        self.0.lock().counts.get(&site).copied().unwrap_or(0)
    }

    /// How many futures of this site are alive.
    #[must_use]
    pub fn alive(&self, site: Site) -> u64 {
        self.0.lock().alive.get(&site).copied().unwrap_or(0)
    }

    /// Every call so far, in order.
    #[must_use]
    pub fn log(&self) -> Vec<Called> {
        self.0.lock().log.clone()
    }

    /// The sites called so far for a run, in order; calls that name no run are left out.
    #[must_use]
    pub fn sites(&self, run: &RunId) -> Vec<Site> {
        let state = self.0.lock();
        let of_run = state.log.iter().filter(|called| called.run.as_ref() == Some(run));
        of_run.map(|called| called.site).collect()
    }

    pub(super) fn enter(&self, site: Site, run: Option<&RunId>) -> Option<Fault> {
        let mut state = self.0.lock();
        let count = state.counts.entry(site).or_insert(0);
        *count += 1;
        let nth = *count;
        let fault = state.faults.iter().find_map(|(at, which, fault)| {
            let fits = match which {
                Which::Nth(n) => *n == nth,
                Which::From(n) => *n <= nth,
            };
            (*at == site && fits).then_some(*fault)
        });
        state.log.push(Called { site, run: run.cloned(), fault });
        fault
    }

    pub(super) fn alive_guard(&self, site: Site) -> Alive {
        *self.0.lock().alive.entry(site).or_insert(0) += 1;
        Alive { plan: self.clone(), site }
    }
}

/// Counts a future as long as it lives.
pub(super) struct Alive {
    plan: Plan,
    site: Site,
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Some(alive) = self.plan.0.lock().alive.get_mut(&self.site) {
            *alive -= 1;
        }
    }
}
