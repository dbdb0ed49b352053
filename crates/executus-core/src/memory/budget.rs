//! A budget in memory: limits per caller, kept under one lock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::id::{HoldId, RunId};
use crate::port::{Amounts, Budget, BudgetError};

mod ledger;

use ledger::Ledger;

/// Grants up to a limit per caller. Clones share it.
///
/// Whatever was charged was spent. What is settled is what the hold's own run spent; the lines of
/// other runs count as they were charged. A line's charges only grow: a smaller one that arrives
/// late, or is settled, changes nothing. A dimension whose limit is [`Amounts::MAX`] has none. With a [lease](Self::with_lease), a hold that is neither
/// renewed nor charged for that long ends as if it had been released; what is settled under it
/// later is recorded all the same.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    ledger: Arc<Mutex<Ledger>>,
}

/// What stands in a caller's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// The most that may be held and spent together.
    pub limit: Amounts,
    /// What is held.
    pub held: Amounts,
    /// What was spent by holds that are over.
    pub spent: Amounts,
    /// The part of `spent` that was settled above what was held.
    pub overrun: Amounts,
}

/// What one hold holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAmounts {
    /// The hold.
    pub id: HoldId,
    /// Whose budget.
    pub caller: Arc<str>,
    /// What is held, the charged part included.
    pub held: Amounts,
    /// What was charged so far, over all lines.
    pub charged: Amounts,
}

impl MemoryBudget {
    /// Every caller may spend this much.
    #[must_use]
    pub fn new(limit: Amounts) -> Self {
        Self { ledger: Arc::new(Mutex::new(Ledger::new(limit))) }
    }

    /// No caller has a limit: for accounting alone.
    #[must_use]
    pub fn unlimited() -> Self {
        const MAX: u64 = Amounts::MAX;
        Self::new(Amounts { tokens: MAX, runtime_ms: MAX, cost_micros: MAX, runs: MAX })
    }

    /// Holds end when they are neither renewed nor charged for this long. Without a lease they
    /// last until they are settled or released, which suits a budget that dies with its holders.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        self.ledger.lock().lease = Some(lease);
        self
    }

    /// This caller may spend this much. What is held or spent already stays so.
    pub fn set_limit(&self, caller: impl Into<Arc<str>>, limit: Amounts) {
        self.ledger.lock().set_limit(caller.into(), limit);
    }

    /// The account of a caller.
    #[must_use]
    pub fn account(&self, caller: &str) -> Account {
        let mut ledger = self.ledger.lock();
        ledger.lapse(Instant::now());
        ledger.account(caller)
    }

    /// What is held now, in no order.
    #[must_use]
    pub fn holds(&self) -> Vec<HeldAmounts> {
        let mut ledger = self.ledger.lock();
        ledger.lapse(Instant::now());
        ledger.holds()
    }

    /// What was counted when this hold was settled or released; `None` while it is held, for an
    /// unknown one, and for one that ended long ago.
    #[must_use]
    pub fn settled(&self, hold: &HoldId) -> Option<Amounts> {
        self.ledger.lock().settled(hold)
    }
}

#[async_trait]
impl Budget for MemoryBudget {
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let now = Instant::now();
        let mut ledger = self.ledger.lock();
        ledger.lapse(now);
        ledger.reserve(now, hold, caller, ask)
    }

    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError> {
        let now = Instant::now();
        let mut ledger = self.ledger.lock();
        ledger.lapse(now);
        ledger.charge(now, hold, line, total)
    }

    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError> {
        let mut ledger = self.ledger.lock();
        ledger.lapse(Instant::now());
        ledger.settle(hold, spent)
    }

    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        let mut ledger = self.ledger.lock();
        ledger.lapse(Instant::now());
        ledger.release(hold);
        Ok(())
    }
}
