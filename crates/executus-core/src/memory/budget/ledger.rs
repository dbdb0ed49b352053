//! The ledger behind [`MemoryBudget`](super::MemoryBudget): plain data, one change at a time.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::HeldAmounts;
use super::book::Book;
use super::lines::Lines;
use crate::id::{HoldId, RunId};
use crate::port::budget::{Account, Amounts, BudgetError, Limit};
use crate::time::{Clock, Timestamp};

/// How many ended holds are remembered: tombstones, so that a late answer finds its hold closed.
const ENDED: usize = 10_000;

/// The accounts of a hold, the caller's own first.
type Keys = Vec<Arc<str>>;

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) lease: Option<Duration>,
    pub(super) clock: Clock,
    default_limits: Vec<Limit>,
    books: HashMap<Arc<str>, Book>,
    holds: HashMap<HoldId, Hold>,
    /// When holds lapse, the next one first; the number tells equal instants apart.
    leases: BTreeMap<(Timestamp, u64), HoldId>,
    leases_made: u64,
    ended: HashMap<HoldId, Ended>,
    /// Ended holds, oldest first.
    order: VecDeque<HoldId>,
}

#[derive(Debug)]
struct Hold {
    accounts: Keys,
    held: Amounts,
    lines: Lines,
    lease: Option<(Timestamp, u64)>,
}

#[derive(Debug)]
enum Ended {
    /// Settled or released; what it counted.
    Closed(Amounts),
    /// Its lease ran out; what was charged is counted as spent.
    Lapsed { accounts: Keys, lines: Lines },
}

impl Ledger {
    pub(super) fn new(default_limits: Vec<Limit>, clock: Clock) -> Self {
        Self {
            lease: None,
            clock,
            default_limits,
            books: HashMap::new(),
            holds: HashMap::new(),
            leases: BTreeMap::new(),
            leases_made: 0,
            ended: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Now, in the whole milliseconds that windows and leases are counted in.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.now().as_millis())
    }

    pub(super) fn set_limits(&mut self, account: Arc<str>, limits: Vec<Limit>) {
        self.book(&account).set_limits(limits);
    }

    pub(super) fn account(&self, now: Timestamp, account: &str) -> Account {
        match self.books.get(account) {
            Some(book) => book.account(now),
            None => Book::new(&self.default_limits).account(now),
        }
    }

    fn book(&mut self, account: &Arc<str>) -> &mut Book {
        let fresh = || Book::new(&self.default_limits);
        self.books.entry(Arc::clone(account)).or_insert_with(fresh)
    }

    pub(super) fn holds(&self) -> Vec<HeldAmounts> {
        let holds = self.holds.iter().map(|(id, hold)| HeldAmounts {
            id: id.clone(),
            caller: hold.accounts.first().cloned().unwrap_or_default(),
            accounts: hold.accounts.clone(),
            held: hold.held,
            charged: hold.lines.sum(),
            until: hold.lease.map(|(at, _)| at),
        });
        holds.collect()
    }

    pub(super) fn settled(&self, hold: &HoldId) -> Option<Amounts> {
        match self.ended.get(hold)? {
            Ended::Closed(counted) => Some(*counted),
            Ended::Lapsed { .. } => None,
        }
    }

    /// Whether every account covers `more`: all or nothing.
    fn cover(&mut self, now: Timestamp, accounts: &Keys, more: Amounts) -> Result<(), BudgetError> {
        if more == Amounts::default() {
            return Ok(());
        }
        for account in accounts {
            self.book(account).covers(account, more, now)?;
        }
        for account in accounts {
            self.book(account).hold(more);
        }
        Ok(())
    }

    pub(super) fn reserve(
        &mut self,
        now: Timestamp,
        id: &HoldId,
        accounts: &Keys,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let ask = ask.check()?;
        if self.holds.contains_key(id) {
            self.renew(now, id);
            return Ok(());
        }
        self.still_open(id)?;
        self.cover(now, accounts, ask)?;
        let (accounts, lines) = (accounts.clone(), Lines::default());
        self.holds.insert(id.clone(), Hold { accounts, held: ask, lines, lease: None });
        self.renew(now, id);
        Ok(())
    }

    /// Refuses a hold that has ended.
    fn still_open(&self, id: &HoldId) -> Result<(), BudgetError> {
        match self.ended.get(id) {
            Some(Ended::Closed(_)) => Err(BudgetError::Closed { hold: id.to_string() }),
            Some(Ended::Lapsed { .. }) => Err(BudgetError::Unknown { hold: id.to_string() }),
            None => Ok(()),
        }
    }

    pub(super) fn charge(
        &mut self,
        now: Timestamp,
        id: &HoldId,
        line: &RunId,
        total: Amounts,
    ) -> Result<(), BudgetError> {
        let total = total.check()?;
        let Some(hold) = self.holds.get_mut(id) else {
            self.still_open(id)?;
            return Err(BudgetError::Unknown { hold: id.to_string() });
        };
        let after = hold.lines.get(line).max(total);
        // What passes the hold is taken from what is left of the limits, or not at all.
        let more = hold.lines.sum_with(line, after).saturating_sub(hold.held);
        if more != Amounts::default() {
            let accounts = hold.accounts.clone();
            self.cover(now, &accounts, more)?;
        }
        if let Some(hold) = self.holds.get_mut(id) {
            hold.held = hold.held.capped_add(more);
            hold.lines.set(line, after);
        }
        self.renew(now, id);
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        now: Timestamp,
        id: &HoldId,
        spent: Amounts,
    ) -> Result<(), BudgetError> {
        let spent = spent.check()?.lasting();
        if let Some(hold) = self.take(id) {
            let counted = hold.lines.settled(&id.run, spent);
            let overrun = counted.saturating_sub(hold.held);
            self.spend(now, &hold.accounts, counted, overrun);
            self.remember(id, Ended::Closed(counted));
            return Ok(());
        }
        match self.ended.get_mut(id) {
            Some(Ended::Closed(_)) => Ok(()),
            Some(lapsed @ Ended::Lapsed { .. }) => {
                // Too late to come back, never too late to be counted.
                let ended = std::mem::replace(lapsed, Ended::Closed(Amounts::default()));
                let Ended::Lapsed { accounts, lines } = ended else { return Ok(()) };
                let counted = lines.settled(&id.run, spent);
                *lapsed = Ended::Closed(counted);
                let more = counted.saturating_sub(lines.sum().lasting());
                self.spend(now, &accounts, more, more);
                Ok(())
            }
            None => Err(BudgetError::Unknown { hold: id.to_string() }),
        }
    }

    pub(super) fn release(&mut self, now: Timestamp, id: &HoldId) {
        if let Some(hold) = self.take(id) {
            let counted = hold.lines.sum().lasting();
            self.spend(now, &hold.accounts, counted, Amounts::default());
            self.remember(id, Ended::Closed(counted));
            return;
        }
        match self.ended.get_mut(id) {
            Some(Ended::Closed(_)) => {}
            Some(lapsed @ Ended::Lapsed { .. }) => {
                if let Ended::Lapsed { lines, .. } = lapsed {
                    *lapsed = Ended::Closed(lines.sum().lasting());
                }
            }
            None => self.remember(id, Ended::Closed(Amounts::default())),
        }
    }

    /// Ends the holds whose lease has run out; what was charged counts from that moment.
    pub(super) fn lapse(&mut self, now: Timestamp) {
        while let Some(((at, _), id)) = self.leases.first_key_value() {
            let (at, id) = (*at, id.clone());
            if at > now {
                break;
            }
            let Some(hold) = self.take(&id) else { break };
            let caller = hold.accounts.first().map_or("", |caller| &**caller);
            tracing::warn!(hold = %id, caller, "a budget hold lapsed: its lease ran out");
            let charged = hold.lines.sum().lasting();
            self.spend(at, &hold.accounts, charged, Amounts::default());
            self.remember(&id, Ended::Lapsed { accounts: hold.accounts, lines: hold.lines });
        }
    }

    fn spend(&mut self, at: Timestamp, accounts: &Keys, spent: Amounts, overrun: Amounts) {
        for account in accounts {
            self.book(account).spend(at, spent, overrun);
        }
    }

    /// Takes a live hold out of the ledger: nothing of it is held any more.
    fn take(&mut self, id: &HoldId) -> Option<Hold> {
        let hold = self.holds.remove(id)?;
        if let Some(lease) = &hold.lease {
            self.leases.remove(lease);
        }
        for account in &hold.accounts {
            self.book(account).let_go(hold.held);
        }
        Some(hold)
    }

    fn renew(&mut self, now: Timestamp, id: &HoldId) {
        let (Some(lease), Some(hold)) = (self.lease, self.holds.get_mut(id)) else { return };
        if let Some(old) = hold.lease.take() {
            self.leases.remove(&old);
        }
        self.leases_made += 1;
        let key = (now.after(lease), self.leases_made);
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
