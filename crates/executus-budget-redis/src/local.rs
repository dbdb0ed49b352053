//! What a process grants on its own while Redis is away.

use std::collections::HashMap;
use std::sync::Arc;

use executus_core::port::{Amounts, BudgetError, Window};
use executus_core::{HoldId, RunId};
use parking_lot::Mutex;

use crate::config::Allowance;
use crate::live::Ended;

/// Holds under the allowance of one process.
#[derive(Debug)]
pub(crate) struct Local {
    most: Amounts,
    holds: Mutex<HashMap<HoldId, LocalHold>>,
}

#[derive(Debug, Clone)]
struct LocalHold {
    accounts: Arc<[Arc<str>]>,
    held: Amounts,
    lines: HashMap<RunId, Amounts>,
    /// What it spent in all, once it is over.
    spent: Option<Amounts>,
}

impl LocalHold {
    fn charged(&self) -> Amounts {
        self.lines.values().fold(Amounts::default(), |sum, line| sum.capped_add(*line))
    }

    fn counts(&self) -> Amounts {
        self.spent.unwrap_or(self.held)
    }
}

impl Local {
    pub(crate) fn new(allowance: Allowance) -> Self {
        Self { most: allowance.most, holds: Mutex::default() }
    }

    pub(crate) fn has(&self, hold: &HoldId) -> bool {
        self.holds.lock().contains_key(hold)
    }

    pub(crate) fn reserve(
        &self,
        hold: &HoldId,
        accounts: Arc<[Arc<str>]>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let mut holds = self.holds.lock();
        match holds.get(hold) {
            Some(LocalHold { spent: None, .. }) => return Ok(()),
            Some(_) => return Err(BudgetError::Closed { hold: hold.to_string() }),
            None => {}
        }
        self.covers(&holds, &accounts, ask)?;
        tracing::warn!(%hold, "Redis does not answer: granted from the allowance of this process");
        let held = LocalHold { accounts, held: ask, lines: HashMap::new(), spent: None };
        holds.insert(hold.clone(), held);
        Ok(())
    }

    fn covers(
        &self,
        holds: &HashMap<HoldId, LocalHold>,
        accounts: &[Arc<str>],
        more: Amounts,
    ) -> Result<(), BudgetError> {
        let counted =
            holds.values().map(LocalHold::counts).fold(Amounts::default(), Amounts::capped_add);
        let left = self.most.left(counted, Amounts::default()).dimensions();
        let (asked, counted) = (more.dimensions(), counted.dimensions());
        match (0..asked.len()).find(|at| asked[*at].1 > left[*at].1) {
            None => Ok(()),
            Some(at) => Err(BudgetError::Exceeded {
                account: accounts.first().map_or_else(String::new, ToString::to_string),
                window: Window::Total,
                dimension: asked[at].0,
                asked: asked[at].1,
                left: left[at].1,
                held: counted[at].1,
                reset: None,
            }),
        }
    }

    pub(crate) fn charge(
        &self,
        hold: &HoldId,
        line: &RunId,
        total: Amounts,
    ) -> Result<(), BudgetError> {
        let mut holds = self.holds.lock();
        let unknown = || BudgetError::Unknown { hold: hold.to_string() };
        let mut changed = holds.get(hold).ok_or_else(unknown)?.clone();
        if changed.spent.is_some() {
            return Err(BudgetError::Closed { hold: hold.to_string() });
        }
        let before = changed.lines.get(line).copied().unwrap_or_default();
        changed.lines.insert(line.clone(), before.max(total));
        let more = changed.charged().saturating_sub(changed.held);
        self.covers(&holds, &changed.accounts, more)?;
        changed.held = changed.held.capped_add(more);
        holds.insert(hold.clone(), changed);
        Ok(())
    }

    /// Ends a hold; `spent` is its own line, `None` for a release.
    pub(crate) fn end(&self, hold: &HoldId, spent: Option<Amounts>) {
        let mut holds = self.holds.lock();
        let Some(held) = holds.get_mut(hold).filter(|held| held.spent.is_none()) else { return };
        let own = held.lines.get(&hold.run).copied().unwrap_or_default();
        let others = held.charged().saturating_sub(own);
        let own = own.max(spent.unwrap_or_default());
        held.spent = Some(others.capped_add(own).lasting());
    }

    /// What is over and has to be told.
    pub(crate) fn ended(&self) -> Vec<(HoldId, Ended)> {
        let holds = self.holds.lock();
        let over = holds.iter().filter(|(_, held)| held.spent.is_some()).map(|(hold, held)| {
            let accounts = Some(Arc::clone(&held.accounts));
            (hold.clone(), Ended { spent: held.spent, accounts, ..Ended::default() })
        });
        over.collect()
    }

    /// Redis has counted it: its part of the allowance is free again.
    pub(crate) fn told(&self, hold: &HoldId) {
        self.holds.lock().remove(hold);
    }
}
