//! What this process knows of its holds: whose leases to renew, and what Redis has not heard yet.

use std::collections::HashMap;
use std::sync::Arc;

use executus_core::port::Amounts;
use executus_core::{HoldId, RunId};
use parking_lot::Mutex;

/// How many ends are kept for a Redis that does not answer.
const ENDS: usize = 100_000;

/// The holds of one process.
#[derive(Debug, Default)]
pub(crate) struct Live {
    holds: Mutex<Holds>,
}

#[derive(Debug, Default)]
struct Holds {
    granted: HashMap<HoldId, Granted>,
    /// Ends that could not be told, or whose answer was lost.
    ended: HashMap<HoldId, Ended>,
}

#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) accounts: Arc<[Arc<str>]>,
    /// What was granted at first; without Redis, charges go no further.
    pub(crate) ask: Amounts,
    /// Whether the lease ran out: it is not renewed any more.
    pub(crate) lapsed: bool,
    /// Charges that Redis has not heard.
    charges: HashMap<RunId, Amounts>,
    /// Those that it has heard: kept where a process may go on without it.
    heard: HashMap<RunId, Amounts>,
}

/// How a hold ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// What was settled; `None` for a release.
    pub(crate) spent: Option<Amounts>,
    pub(crate) accounts: Option<Arc<[Arc<str>]>>,
    /// Charges that come first.
    pub(crate) charges: Vec<Charge>,
}

/// A line's total that Redis has not heard.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) line: RunId,
    pub(crate) total: Amounts,
    /// What it heard of that line before.
    pub(crate) heard: Amounts,
}

impl Granted {
    fn owed(&self) -> Vec<Charge> {
        let charges = self.charges.iter().map(|(line, total)| {
            let heard = self.heard.get(line).copied().unwrap_or_default();
            Charge { line: line.clone(), total: *total, heard }
        });
        charges.collect()
    }
}

impl Live {
    pub(crate) fn grant(&self, hold: &HoldId, accounts: Arc<[Arc<str>]>, ask: Amounts) {
        let granted = Granted {
            accounts,
            ask,
            lapsed: false,
            charges: HashMap::new(),
            heard: HashMap::new(),
        };
        self.holds.lock().granted.entry(hold.clone()).or_insert(granted);
    }

    /// The hold is over, and Redis knows.
    pub(crate) fn done(&self, hold: &HoldId) {
        let mut holds = self.holds.lock();
        holds.granted.remove(hold);
        holds.ended.remove(hold);
    }

    /// The hold is over, and Redis may not know: it is told until it does. False when too many
    /// wait already.
    pub(crate) fn owe(&self, hold: &HoldId, spent: Option<Amounts>) -> bool {
        let mut holds = self.holds.lock();
        let granted = holds.granted.remove(hold);
        if holds.ended.len() >= ENDS {
            return false;
        }
        let charges = granted.as_ref().map(Granted::owed).unwrap_or_default();
        let accounts = granted.map(|granted| granted.accounts);
        // What was owed first stands: settling counts once.
        holds.ended.entry(hold.clone()).or_insert(Ended { spent, accounts, charges });
        true
    }

    /// The end of a hold, with what Redis has to hear before it.
    pub(crate) fn ending(&self, hold: &HoldId, spent: Option<Amounts>) -> Ended {
        let holds = self.holds.lock();
        if let Some(owed) = holds.ended.get(hold) {
            return owed.clone();
        }
        let Some(granted) = holds.granted.get(hold) else {
            return Ended { spent, ..Ended::default() };
        };
        Ended { spent, accounts: Some(Arc::clone(&granted.accounts)), charges: granted.owed() }
    }

    /// Keeps a charge for later, if it is within what was granted.
    pub(crate) fn charge_later(&self, hold: &HoldId, line: &RunId, total: Amounts) -> bool {
        let mut holds = self.holds.lock();
        let Some(granted) = holds.granted.get_mut(hold).filter(|granted| !granted.lapsed) else {
            return false;
        };
        let others = granted.charges.iter().filter(|(other, _)| *other != line);
        let sum = others.fold(total, |sum, (_, more)| sum.capped_add(*more));
        if sum.saturating_sub(granted.ask) != Amounts::default() {
            return false;
        }
        granted.charges.insert(line.clone(), total);
        true
    }

    /// The hold is left to its lease.
    pub(crate) fn abandon(&self, hold: &HoldId) {
        self.holds.lock().granted.remove(hold);
    }

    pub(crate) fn lapsed(&self, ids: &[String]) {
        if ids.is_empty() {
            return;
        }
        let mut holds = self.holds.lock();
        for (hold, granted) in &mut holds.granted {
            if !granted.lapsed && ids.contains(&hold.to_string()) {
                granted.lapsed = true;
                tracing::warn!(%hold, "a budget hold is over before its run: its lease ran out");
            }
        }
    }

    /// The holds whose leases are renewed.
    pub(crate) fn to_renew(&self) -> Vec<String> {
        let holds = self.holds.lock();
        let live = holds.granted.iter().filter(|(_, granted)| !granted.lapsed);
        live.map(|(hold, _)| hold.to_string()).collect()
    }

    pub(crate) fn owed(&self) -> Vec<(HoldId, Ended)> {
        self.holds.lock().ended.iter().map(|(hold, end)| (hold.clone(), end.clone())).collect()
    }

    pub(crate) fn owed_charges(&self) -> Vec<(HoldId, Charge)> {
        let holds = self.holds.lock();
        let charges = holds.granted.iter().flat_map(|(hold, granted)| {
            granted.owed().into_iter().map(move |charge| (hold.clone(), charge))
        });
        charges.collect()
    }

    /// Redis has heard this charge.
    pub(crate) fn charged(&self, hold: &HoldId, line: &RunId, total: Amounts) {
        if let Some(granted) = self.holds.lock().granted.get_mut(hold) {
            if granted.charges.get(line) == Some(&total) {
                granted.charges.remove(line);
            }
            let heard = granted.heard.entry(line.clone()).or_default();
            *heard = heard.max(total);
        }
    }

    pub(crate) fn owes(&self) -> bool {
        let holds = self.holds.lock();
        !holds.ended.is_empty() || holds.granted.values().any(|granted| !granted.charges.is_empty())
    }
}
