//! The port, by scripts on a server that others use at the same time.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::budget::{Accounts, Amounts, Budget, BudgetError, Claim};
use executus_core::{HoldId, RunId};

use crate::book::Book;
use crate::config::{Away, Config};
use crate::error::OpenError;
use crate::keeper::{Keeper, Shared};
use crate::live::Live;
use crate::local::Local;

/// A budget that processes share. Clones share the connection and the task that renews leases,
/// which ends with the last of them.
///
/// Every call answers within the deadline of its server's configuration. One whose answer was lost
/// is asked again, within that time. An end that could not be told is an error, so that the
/// executor says so; it is kept all the same and told when Redis is back, for as long as the
/// process lives.
#[derive(Debug, Clone)]
pub struct RedisBudget {
    pub(crate) shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    accounts: Accounts,
}

impl RedisBudget {
    /// Connects, and checks that the server and the budget's data can be relied upon.
    ///
    /// Needs a tokio runtime that outlives the budget.
    ///
    /// # Errors
    /// [`OpenError::Server`]: it does not answer, is too old or may evict keys.
    /// [`OpenError::Unseeded`]: the budget was never set up, or lost its data.
    pub async fn connect(config: &Config) -> Result<Self, OpenError> {
        let budget = Self::open(config);
        if config.seed_if_empty {
            budget.seed_if_empty().await?;
        }
        budget.check().await?;
        Ok(budget)
    }

    /// A budget whose server is asked with the first call, for a host that starts without it, or
    /// that [reseeds](Self::reseed). A server that cannot be used refuses every call.
    #[must_use]
    pub fn open(config: &Config) -> Self {
        let local = match config.away {
            Away::Refuse => None,
            Away::Allow(allowance) => Some(Local::new(allowance)),
        };
        let (book, live, lease) = (Book::new(config), Live::default(), config.lease);
        let shared = Arc::new(Shared { book, live, local, lease });
        let keeper = Arc::new(Keeper::start(Arc::clone(&shared)));
        Self { shared, keeper, accounts: Accounts::caller() }
    }

    /// Another handle, whose holds take from these accounts.
    #[must_use]
    pub fn with_accounts(&self, accounts: Accounts) -> Self {
        Self { accounts, ..self.clone() }
    }

    /// How long a hold lasts that nobody renews.
    #[must_use]
    pub fn lease(&self) -> std::time::Duration {
        self.shared.lease
    }

    /// Leaves a hold to its lease: it is not renewed any more, as if this process had died.
    pub fn abandon(&self, hold: &HoldId) {
        self.shared.live.abandon(hold);
    }

    /// Tells Redis what it has not heard yet, and ends the task that renews leases. Returns whether
    /// Redis knows all: what it does not know is lost with the process.
    pub async fn close(&self) -> bool {
        let told = self.shared.tell().await;
        self.keeper.stop().await;
        told
    }

    async fn end(&self, hold: &HoldId, spent: Option<Amounts>) -> Result<(), BudgetError> {
        let live = &self.shared.live;
        let end = live.ending(hold, spent);
        match self.shared.end(hold, &end).await {
            Err(error @ BudgetError::Unavailable { .. }) => {
                let kept = live.owe(hold, spent);
                match &self.shared.local {
                    // The host chose to go on without Redis: that it is told later is enough.
                    Some(_) if kept => Ok(()),
                    _ => Err(error),
                }
            }
            answer => {
                live.done(hold);
                answer
            }
        }
    }
}

#[async_trait]
impl Budget for RedisBudget {
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let ask = ask.check()?;
        let accounts: Arc<[Arc<str>]> = self.accounts.of(&Claim::new(hold, caller))?.into();
        if let Some(local) = self.shared.local.as_ref().filter(|local| local.has(hold)) {
            return local.reserve(hold, accounts, ask);
        }
        let answer = self.shared.book.reserve(hold, &accounts, ask).await;
        match (answer, &self.shared.local) {
            (Ok(()), _) => {
                self.shared.live.grant(hold, accounts, ask);
                Ok(())
            }
            (Err(BudgetError::Unavailable { source: Some(_), .. }), Some(local)) => {
                local.reserve(hold, accounts, ask)
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError> {
        let total = total.check()?;
        let shared = &self.shared;
        if let Some(local) = shared.local.as_ref().filter(|local| local.has(hold)) {
            return local.charge(hold, line, total);
        }
        match shared.book.charge(hold, line, total).await {
            Err(BudgetError::Unavailable { .. })
                if shared.local.is_some() && shared.live.charge_later(hold, line, total) =>
            {
                Ok(())
            }
            Ok(()) => {
                if shared.local.is_some() {
                    shared.live.charged(hold, line, total);
                }
                Ok(())
            }
            answer => answer,
        }
    }

    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError> {
        let spent = spent.check()?;
        let shared = &self.shared;
        if let Some(local) = shared.local.as_ref().filter(|local| local.has(hold)) {
            local.end(hold, Some(spent));
            return Ok(());
        }
        self.end(hold, Some(spent)).await
    }

    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        let shared = &self.shared;
        if let Some(local) = shared.local.as_ref().filter(|local| local.has(hold)) {
            local.end(hold, None);
            return Ok(());
        }
        self.end(hold, None).await
    }
}
