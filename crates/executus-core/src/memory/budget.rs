//! A budget in memory: limits per account and window, kept under one lock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::id::{HoldId, RunId};
use crate::port::budget::{Account, Accounts, Amounts, Budget, BudgetError, Claim, Limit};
use crate::time::{Clock, Timestamp};

mod book;
mod ledger;
mod lines;

use ledger::Ledger;

/// Grants up to the limits of accounts. Clones share it.
///
/// Whatever was charged was spent. What is settled is what the hold's own run spent; the lines of
/// other runs count as they were charged. A line's charges only grow: a smaller one that arrives
/// late, or is settled, changes nothing. A dimension whose limit is [`Amounts::MAX`] has none. With
/// a [lease](Self::with_lease), a hold that is neither renewed nor charged for that long ends as if
/// it had been released; what is settled under it later is recorded all the same.
///
/// Windows are those of the wall clock as it stood when the budget was made: a later step of it
/// moves none.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    ledger: Arc<Mutex<Ledger>>,
    accounts: Accounts,
}

/// What one hold holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAmounts {
    /// The hold.
    pub id: HoldId,
    /// Who asked.
    pub caller: Arc<str>,
    /// The accounts that it takes from, the caller's own included.
    pub accounts: Vec<Arc<str>>,
    /// What is held, the charged part included.
    pub held: Amounts,
    /// What was charged so far, over all lines.
    pub charged: Amounts,
    /// When its lease runs out, unless it is renewed.
    pub until: Option<Timestamp>,
}

impl MemoryBudget {
    /// Every account may spend this much in all.
    #[must_use]
    pub fn new(limit: Amounts) -> Self {
        Self::of(vec![Limit::total(limit)])
    }

    /// Every account has these limits.
    ///
    /// # Errors
    /// Limits that [mean nothing](Limit::check).
    pub fn limited(limits: impl Into<Vec<Limit>>) -> Result<Self, BudgetError> {
        let limits = limits.into();
        Limit::check(&limits)?;
        Ok(Self::of(limits))
    }

    /// No account has a limit: for accounting alone.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(Amounts::UNLIMITED)
    }

    fn of(limits: Vec<Limit>) -> Self {
        let ledger = Ledger::new(limits, Clock::system());
        Self { ledger: Arc::new(Mutex::new(ledger)), accounts: Accounts::caller() }
    }

    /// Holds end when they are neither renewed nor charged for this long, in whole milliseconds and
    /// at least one. Without a lease they
    /// last until they are settled or released, which suits a budget that dies with its holders.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        let ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1);
        self.ledger.lock().lease = Some(Duration::from_millis(ms));
        self
    }

    /// The windows follow this clock. To be called before anything is asked.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.ledger.lock().clock = clock;
        self
    }

    /// Holds that are asked for through this handle, and its clones made from now on, take from
    /// these accounts. Other handles keep theirs: the ledger is shared, the accounts are not.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Accounts) -> Self {
        self.accounts = accounts;
        self
    }

    /// This account may spend this much in all, and has no other limit. What is held or spent
    /// already stays so.
    pub fn set_limit(&self, account: impl Into<Arc<str>>, limit: Amounts) {
        self.ledger.lock().set_limits(account.into(), vec![Limit::total(limit)]);
    }

    /// This account has these limits and no others. What is held or spent already stays so; a
    /// window that the account did not have begins with nothing spent.
    ///
    /// # Errors
    /// Limits that [mean nothing](Limit::check); then nothing is changed.
    pub fn set_limits(
        &self,
        account: impl Into<Arc<str>>,
        limits: impl Into<Vec<Limit>>,
    ) -> Result<(), BudgetError> {
        let limits = limits.into();
        Limit::check(&limits)?;
        self.ledger.lock().set_limits(account.into(), limits);
        Ok(())
    }

    /// What stands in an account, by its key: a caller's id, or what the host named.
    #[must_use]
    pub fn account(&self, account: &str) -> Account {
        let mut ledger = self.ledger.lock();
        let now = ledger.now();
        ledger.lapse(now);
        ledger.account(now, account)
    }

    /// What is held now, in no order.
    #[must_use]
    pub fn holds(&self) -> Vec<HeldAmounts> {
        let mut ledger = self.ledger.lock();
        let now = ledger.now();
        ledger.lapse(now);
        ledger.holds()
    }

    /// What was counted when this hold was settled or released; `None` while it is held, for an
    /// unknown one, and for one that ended long ago.
    #[must_use]
    pub fn settled(&self, hold: &HoldId) -> Option<Amounts> {
        self.ledger.lock().settled(hold)
    }

    /// The time by which windows and leases are counted.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.ledger.lock().now()
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
        let accounts = self.accounts.of(&Claim::new(hold, caller))?;
        let mut ledger = self.ledger.lock();
        let now = ledger.now();
        ledger.lapse(now);
        ledger.reserve(now, hold, &accounts, ask)
    }

    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError> {
        let mut ledger = self.ledger.lock();
        let now = ledger.now();
        ledger.lapse(now);
        ledger.charge(now, hold, line, total)
    }

    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError> {
        let mut ledger = self.ledger.lock();
        let now = ledger.now();
        ledger.lapse(now);
        ledger.settle(now, hold, spent)
    }

    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        let mut ledger = self.ledger.lock();
        let now = ledger.now();
        ledger.lapse(now);
        ledger.release(now, hold);
        Ok(())
    }
}
