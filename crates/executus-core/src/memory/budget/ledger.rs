//! The book behind [`MemoryBudget`](super::MemoryBudget): plain data, one change at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Account, HeldAmounts};
use crate::id::{HoldId, RunId};
use crate::port::{Amounts, BudgetError};

/// How many ended holds are remembered: tombstones, so that a late answer finds its hold closed.
const ENDED: usize = 10_000;

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) lease: Option<Duration>,
    default_limit: Amounts,
    accounts: HashMap<Arc<str>, Account>,
    holds: HashMap<HoldId, Hold>,
    /// When holds lapse, the next one first; the number tells equal instants apart.
    leases: BTreeMap<(Instant, u64), HoldId>,
    leases_made: u64,
    ended: HashMap<HoldId, Ended>,
    /// Ended holds, oldest first.
    order: VecDeque<HoldId>,
}

#[derive(Debug)]
struct Hold {
    caller: Arc<str>,
    held: Amounts,
    lines: Lines,
    lease: Option<(Instant, u64)>,
}

#[derive(Debug)]
enum Ended {
    /// Settled or released; what it counted.
    Closed(Amounts),
    /// Its lease ran out; what was charged is counted as spent.
    Lapsed { caller: Arc<str>, lines: Lines },
}

/// What the runs under one hold have spent.
#[derive(Debug, Clone, Default)]
struct Lines(HashMap<RunId, Amounts>);

impl Lines {
    /// The sum; no more than what can be counted.
    fn sum(&self) -> Amounts {
        self.0.values().fold(Amounts::default(), |sum, line| capped_add(sum, *line))
    }

    /// What the hold spent in all when its own run settles with this: other lines as charged.
    fn settled(&self, own: &RunId, spent: Amounts) -> Amounts {
        let charged = self.0.get(own).copied().unwrap_or_default();
        lasting(capped_add(self.sum().saturating_sub(charged), charged.max(spent)))
    }
}

/// The sum, each dimension at most [`Amounts::MAX`].
fn capped_add(a: Amounts, b: Amounts) -> Amounts {
    let add = |a: u64, b: u64| a.saturating_add(b).min(Amounts::MAX);
    Amounts {
        tokens: add(a.tokens, b.tokens),
        runtime_ms: add(a.runtime_ms, b.runtime_ms),
        cost_micros: add(a.cost_micros, b.cost_micros),
        runs: add(a.runs, b.runs),
    }
}

/// What stays when a hold ends: a place among the runs at once does not.
const fn lasting(amounts: Amounts) -> Amounts {
    Amounts { runs: 0, ..amounts }
}

fn check(amounts: Amounts) -> Result<Amounts, BudgetError> {
    match amounts.checked_add(Amounts::default()) {
        Ok(amounts) => Ok(amounts),
        Err(field) => Err(BudgetError::Invalid { field }),
    }
}

impl Account {
    /// Whether `more` fits beside what is held and spent.
    fn covers(&self, caller: &str, more: Amounts) -> Result<(), BudgetError> {
        let left = self.limit.saturating_sub(self.held).saturating_sub(self.spent);
        let dimensions = [
            ("tokens", more.tokens, left.tokens),
            ("runtime_ms", more.runtime_ms, left.runtime_ms),
            ("cost_micros", more.cost_micros, left.cost_micros),
            ("runs", more.runs, left.runs),
        ];
        match dimensions.into_iter().find(|(_, asked, left)| asked > left) {
            Some((dimension, asked, left)) => Err(BudgetError::Exceeded {
                caller: caller.to_owned(),
                dimension,
                asked,
                left,
                reset: None,
            }),
            None => Ok(()),
        }
    }
}

impl Ledger {
    pub(super) fn new(default_limit: Amounts) -> Self {
        Self {
            lease: None,
            default_limit,
            accounts: HashMap::new(),
            holds: HashMap::new(),
            leases: BTreeMap::new(),
            leases_made: 0,
            ended: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn set_limit(&mut self, caller: Arc<str>, limit: Amounts) {
        self.account_mut(&caller).limit = limit;
    }

    pub(super) fn account(&self, caller: &str) -> Account {
        let fresh = Account { limit: self.default_limit, ..Account::default() };
        self.accounts.get(caller).copied().unwrap_or(fresh)
    }

    fn account_mut(&mut self, caller: &Arc<str>) -> &mut Account {
        let fresh = Account { limit: self.default_limit, ..Account::default() };
        self.accounts.entry(Arc::clone(caller)).or_insert(fresh)
    }

    pub(super) fn holds(&self) -> Vec<HeldAmounts> {
        let holds = self.holds.iter().map(|(id, hold)| HeldAmounts {
            id: id.clone(),
            caller: Arc::clone(&hold.caller),
            held: hold.held,
            charged: hold.lines.sum(),
        });
        holds.collect()
    }

    pub(super) fn settled(&self, hold: &HoldId) -> Option<Amounts> {
        match self.ended.get(hold)? {
            Ended::Closed(counted) => Some(*counted),
            Ended::Lapsed { .. } => None,
        }
    }

    pub(super) fn reserve(
        &mut self,
        now: Instant,
        id: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let ask = check(ask)?;
        if self.holds.contains_key(id) {
            self.renew(now, id);
            return Ok(());
        }
        let lines = match self.ended.get(id) {
            Some(Ended::Lapsed { caller: of, lines }) if of == caller => lines.clone(),
            Some(Ended::Closed(_) | Ended::Lapsed { .. }) => {
                return Err(BudgetError::Closed { hold: id.to_string() });
            }
            None => Lines::default(),
        };
        // What a lapsed hold was charged is spent already; taken up again, it is held.
        let charged = lasting(lines.sum());
        let held = ask.max(charged);
        let account = self.account_mut(caller);
        account.covers(caller, held.saturating_sub(charged))?;
        account.spent = account.spent.saturating_sub(charged);
        account.held = capped_add(account.held, held);
        if self.ended.remove(id).is_some() {
            self.order.retain(|ended| ended != id);
        }
        let hold = Hold { caller: Arc::clone(caller), held, lines, lease: None };
        self.holds.insert(id.clone(), hold);
        self.renew(now, id);
        Ok(())
    }

    pub(super) fn charge(
        &mut self,
        now: Instant,
        id: &HoldId,
        line: &RunId,
        total: Amounts,
    ) -> Result<(), BudgetError> {
        let total = check(total)?;
        let Some(hold) = self.holds.get(id) else {
            let hold = id.to_string();
            return Err(match self.ended.get(id) {
                Some(Ended::Closed(_)) => BudgetError::Closed { hold },
                Some(Ended::Lapsed { .. }) | None => BudgetError::Unknown { hold },
            });
        };
        let before = hold.lines.0.get(line).copied().unwrap_or_default();
        let after = before.max(total);
        let charged = capped_add(hold.lines.sum().saturating_sub(before), after);
        let (caller, held) = (Arc::clone(&hold.caller), hold.held);
        // What passes the hold is taken from what is left of the limit, or not at all.
        let more = charged.saturating_sub(held);
        let account = self.account_mut(&caller);
        account.covers(&caller, more)?;
        account.held = capped_add(account.held, more);
        if let Some(hold) = self.holds.get_mut(id) {
            hold.held = capped_add(held, more);
            hold.lines.0.insert(line.clone(), after);
        }
        self.renew(now, id);
        Ok(())
    }

    pub(super) fn settle(&mut self, id: &HoldId, spent: Amounts) -> Result<(), BudgetError> {
        let spent = lasting(check(spent)?);
        if let Some(hold) = self.take(id) {
            let counted = hold.lines.settled(&id.run, spent);
            let account = self.account_mut(&hold.caller);
            account.held = account.held.saturating_sub(hold.held);
            account.spent = capped_add(account.spent, counted);
            let over = counted.saturating_sub(lasting(hold.held));
            account.overrun = capped_add(account.overrun, over);
            self.remember(id, Ended::Closed(counted));
            return Ok(());
        }
        match self.ended.get(id) {
            Some(Ended::Closed(_)) => Ok(()),
            Some(Ended::Lapsed { caller, lines }) => {
                // Too late to come back, never too late to be counted.
                let (caller, charged) = (Arc::clone(caller), lasting(lines.sum()));
                let counted = lines.settled(&id.run, spent);
                let more = counted.saturating_sub(charged);
                let account = self.account_mut(&caller);
                account.spent = capped_add(account.spent, more);
                account.overrun = capped_add(account.overrun, more);
                self.ended.insert(id.clone(), Ended::Closed(counted));
                Ok(())
            }
            None => Err(BudgetError::Unknown { hold: id.to_string() }),
        }
    }

    pub(super) fn release(&mut self, id: &HoldId) {
        match self.end(id) {
            Some(hold) => self.remember(id, Ended::Closed(lasting(hold.lines.sum()))),
            None => match self.ended.get_mut(id) {
                Some(Ended::Closed(_)) => {}
                Some(lapsed @ Ended::Lapsed { .. }) => {
                    if let Ended::Lapsed { lines, .. } = lapsed {
                        *lapsed = Ended::Closed(lasting(lines.sum()));
                    }
                }
                None => self.remember(id, Ended::Closed(Amounts::default())),
            },
        }
    }

    /// Ends the holds whose lease has run out.
    pub(super) fn lapse(&mut self, now: Instant) {
        while let Some((_, id)) = self.leases.first_key_value().filter(|((at, _), _)| *at <= now) {
            let id = id.clone();
            let Some(hold) = self.end(&id) else { break };
            let caller = hold.caller.to_string();
            tracing::warn!(hold = %id, caller, "a budget hold lapsed: its lease ran out");
            self.remember(&id, Ended::Lapsed { caller: hold.caller, lines: hold.lines });
        }
    }

    /// Ends a hold: what was charged is spent, the rest comes back.
    fn end(&mut self, id: &HoldId) -> Option<Hold> {
        let hold = self.take(id)?;
        let account = self.account_mut(&hold.caller);
        account.held = account.held.saturating_sub(hold.held);
        account.spent = capped_add(account.spent, lasting(hold.lines.sum()));
        Some(hold)
    }

    fn take(&mut self, id: &HoldId) -> Option<Hold> {
        let hold = self.holds.remove(id)?;
        if let Some(lease) = &hold.lease {
            self.leases.remove(lease);
        }
        Some(hold)
    }

    fn renew(&mut self, now: Instant, id: &HoldId) {
        let (Some(lease), Some(hold)) = (self.lease, self.holds.get_mut(id)) else { return };
        if let Some(old) = hold.lease.take() {
            self.leases.remove(&old);
        }
        self.leases_made += 1;
        let key = (now + lease, self.leases_made);
        hold.lease = Some(key);
        self.leases.insert(key, id.clone());
    }

    fn remember(&mut self, id: &HoldId, end: Ended) {
        if self.order.len() >= ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.ended.insert(id.clone(), end);
    }
}
