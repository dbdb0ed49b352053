//! The model: nothing is kept that can be counted.

use std::collections::BTreeMap;
use std::time::Duration;

use executus_core::Timestamp;
use executus_core::port::budget::{Account, LimitUse};
use executus_core::port::{Amounts, BudgetError, Limit, Window};

/// What a call is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Fine,
    Exceeded(Refusal),
    Closed,
    Unknown,
    /// The store did not answer: the call may have been made.
    Silence(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The account by its number, or what else was named.
    pub(super) account: Result<u8, String>,
    pub(super) window: Window,
    pub(super) dimension: &'static str,
    pub(super) asked: u64,
    pub(super) left: u64,
    pub(super) held: u64,
    pub(super) reset: Option<Timestamp>,
}

/// A call, with everything that decides its answer.
#[derive(Debug, Clone)]
pub(super) enum Call {
    Reserve { hold: u8, accounts: Vec<u8>, ask: Amounts },
    Charge { hold: u8, line: u8, total: Amounts },
    Settle { hold: u8, spent: Amounts },
    Release { hold: u8 },
    Limits { account: u8, limits: Vec<Limit> },
}

impl Call {
    /// Whether the moment of the call is the beginning of a lease.
    pub(super) const fn renews(&self) -> bool {
        matches!(self, Self::Reserve { .. } | Self::Charge { .. })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hold {
    Open { accounts: Vec<u8>, held: Amounts, lines: Lines, until: Option<Timestamp> },
    Lapsed { accounts: Vec<u8>, lines: Lines },
    Closed,
}

type Lines = BTreeMap<u8, Amounts>;

/// An amount that was counted as spent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spent {
    at: Timestamp,
    account: u8,
    amounts: Amounts,
    overrun: Amounts,
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    lease: Option<Duration>,
    /// The limits of each account, and how much of the log is older than the limit's window.
    limits: BTreeMap<u8, Vec<(Limit, usize)>>,
    holds: BTreeMap<u8, Hold>,
    log: Vec<Spent>,
}

fn sum(amounts: impl Iterator<Item = Amounts>) -> Amounts {
    amounts.fold(Amounts::default(), Amounts::capped_add)
}

impl Reference {
    pub(super) fn new(lease: Option<Duration>) -> Self {
        Self { lease, limits: BTreeMap::new(), holds: BTreeMap::new(), log: Vec::new() }
    }

    fn held(&self, account: u8) -> Amounts {
        sum(self.holds.values().filter_map(|hold| match hold {
            Hold::Open { accounts, held, .. } if accounts.contains(&account) => Some(*held),
            Hold::Open { .. } | Hold::Lapsed { .. } | Hold::Closed => None,
        }))
    }

    /// What counts at a moment in the window of a limit.
    fn counted(
        &self,
        account: u8,
        (limit, since): &(Limit, usize),
        now: Timestamp,
    ) -> impl Iterator<Item = &Spent> {
        let window = limit.window;
        let spent = self.log.iter().enumerate().filter(move |(at, spent)| {
            spent.account == account && (at >= since || window == Window::Total)
        });
        spent.map(|(_, spent)| spent).filter(move |spent| {
            window.leaves(window.bucket(spent.at)).is_none_or(|leaves| leaves > now)
        })
    }

    /// The first limit that does not cover `more`.
    fn covers(&self, accounts: &[u8], more: Amounts, now: Timestamp) -> Result<(), Refusal> {
        for account in accounts {
            for known in self.limits.get(account).into_iter().flatten() {
                self.limit_covers(*account, known, more, now)?;
            }
        }
        Ok(())
    }

    fn limit_covers(
        &self,
        account: u8,
        known: &(Limit, usize),
        more: Amounts,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let window = known.0.window;
        let held = self.held(account).dimensions();
        for (at, (dimension, limit)) in known.0.amounts.dimensions().into_iter().enumerate() {
            let spent_at = |now| {
                let counted = self.counted(account, known, now);
                counted.map(|spent| spent.amounts.dimensions()[at].1).sum::<u64>()
            };
            let (asked, held) = (more.dimensions()[at].1, held[at].1);
            let fits =
                |now| asked == 0 || limit == Amounts::MAX || held + spent_at(now) + asked <= limit;
            if fits(now) {
                continue;
            }
            // Every moment at which something leaves, and the end of the bucket under way.
            let mut leaving: Vec<_> = self
                .counted(account, known, now)
                .filter_map(|spent| window.leaves(window.bucket(spent.at)))
                .collect();
            leaving.sort_unstable();
            let enough = leaving.into_iter().find(|at| fits(*at));
            let reset = enough.or_else(|| window.leaves(window.bucket(now)));
            return Err(Refusal {
                account: Ok(account),
                window,
                dimension,
                asked,
                left: limit.saturating_sub(held + spent_at(now)),
                held,
                reset: reset.filter(|_| dimension != "runs" && asked <= limit),
            });
        }
        Ok(())
    }

    fn spend(&mut self, at: Timestamp, accounts: &[u8], amounts: Amounts, overrun: Amounts) {
        if amounts == Amounts::default() {
            return;
        }
        let spent =
            accounts.iter().map(|account| Spent { at, account: *account, amounts, overrun });
        self.log.extend(spent);
    }

    /// Ends the holds whose lease has run out.
    pub(super) fn lapse(&mut self, now: Timestamp) {
        let over = |hold: &Hold| matches!(hold, Hold::Open { until: Some(at), .. } if *at <= now);
        let over: Vec<_> =
            self.holds.iter().filter(|(_, hold)| over(hold)).map(|(id, _)| *id).collect();
        for id in over {
            let Some(Hold::Open { accounts, lines, until: Some(at), .. }) = self.holds.remove(&id)
            else {
                continue;
            };
            let charged = sum(lines.values().copied()).lasting();
            self.spend(at, &accounts, charged, Amounts::default());
            self.holds.insert(id, Hold::Lapsed { accounts, lines });
        }
    }

    /// Makes a call at a moment.
    pub(super) fn apply(&mut self, call: &Call, now: Timestamp) -> Answer {
        self.lapse(now);
        let until = self.lease.map(|lease| now.after(lease));
        match call {
            Call::Reserve { hold, accounts, ask } => {
                self.reserve(*hold, accounts, *ask, now, until)
            }
            Call::Charge { hold, line, total } => self.charge(*hold, *line, *total, now, until),
            Call::Settle { hold, spent } => self.settle(*hold, *spent, now),
            Call::Release { hold } => {
                if let Some(Hold::Open { accounts, lines, .. }) = self.holds.get(hold).cloned() {
                    let charged = sum(lines.values().copied()).lasting();
                    self.spend(now, &accounts, charged, Amounts::default());
                }
                self.holds.insert(*hold, Hold::Closed);
                Answer::Fine
            }
            Call::Limits { account, limits } => {
                let old = self.limits.remove(account).unwrap_or_default();
                let log = self.log.len();
                let known = limits.iter().map(|limit| {
                    let known = old.iter().find(|(old, _)| old.window == limit.window);
                    (*limit, known.map_or(log, |(_, since)| *since))
                });
                self.limits.insert(*account, known.collect());
                Answer::Fine
            }
        }
    }

    fn reserve(
        &mut self,
        id: u8,
        accounts: &[u8],
        ask: Amounts,
        now: Timestamp,
        renewed: Option<Timestamp>,
    ) -> Answer {
        match self.holds.get_mut(&id) {
            Some(Hold::Open { until, .. }) => *until = renewed,
            Some(Hold::Lapsed { .. }) => return Answer::Unknown,
            Some(Hold::Closed) => return Answer::Closed,
            None => {
                if let Err(refusal) = self.covers(accounts, ask, now) {
                    return Answer::Exceeded(refusal);
                }
                let (accounts, lines) = (accounts.to_vec(), Lines::new());
                self.holds.insert(id, Hold::Open { accounts, held: ask, lines, until: renewed });
            }
        }
        Answer::Fine
    }

    fn charge(
        &mut self,
        id: u8,
        line: u8,
        total: Amounts,
        now: Timestamp,
        renewed: Option<Timestamp>,
    ) -> Answer {
        let (accounts, held, mut lines) = match self.holds.get(&id) {
            Some(Hold::Open { accounts, held, lines, .. }) => {
                (accounts.clone(), *held, lines.clone())
            }
            Some(Hold::Closed) => return Answer::Closed,
            Some(Hold::Lapsed { .. }) | None => return Answer::Unknown,
        };
        let known = lines.entry(line).or_default();
        *known = known.max(total);
        let more = sum(lines.values().copied()).saturating_sub(held);
        if let Err(refusal) = self.covers(&accounts, more, now) {
            return Answer::Exceeded(refusal);
        }
        let held = held.capped_add(more);
        self.holds.insert(id, Hold::Open { accounts, held, lines, until: renewed });
        Answer::Fine
    }

    fn settle(&mut self, id: u8, spent: Amounts, now: Timestamp) -> Answer {
        let total = |mut lines: Lines| {
            let own = lines.entry(0).or_default();
            *own = own.max(spent.lasting());
            sum(lines.into_values()).lasting()
        };
        match self.holds.get(&id).cloned() {
            None => return Answer::Unknown,
            Some(Hold::Closed) => {}
            Some(Hold::Open { accounts, held, lines, .. }) => {
                let counted = total(lines);
                self.spend(now, &accounts, counted, counted.saturating_sub(held));
            }
            Some(Hold::Lapsed { accounts, lines }) => {
                let charged = sum(lines.values().copied()).lasting();
                let more = total(lines).saturating_sub(charged);
                self.spend(now, &accounts, more, more);
            }
        }
        self.holds.insert(id, Hold::Closed);
        Answer::Fine
    }

    /// What stands in an account.
    pub(super) fn account(&self, account: u8, now: Timestamp) -> Account {
        let held = self.held(account);
        let limits = self.limits.get(&account).into_iter().flatten().map(|known| {
            let limit = known.0;
            let spent = sum(self.counted(account, known, now).map(|spent| spent.amounts));
            let leaves = |spent: &Spent| limit.window.leaves(limit.window.bucket(spent.at));
            let reset = self.counted(account, known, now).filter_map(leaves).min();
            LimitUse { limit, spent, left: limit.amounts.left(held, spent), reset }
        });
        let of_account = || self.log.iter().filter(|spent| spent.account == account);
        Account {
            limits: limits.collect(),
            held,
            spent: sum(of_account().map(|spent| spent.amounts)),
            overrun: sum(of_account().map(|spent| spent.overrun)),
        }
    }

    /// When something changes by time alone, after one moment and up to another.
    pub(super) fn changes(&self, after: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let windows = self.limits.values().flatten().map(|(limit, _)| limit.window);
        let mut changes = Vec::new();
        for window in windows {
            let Some(length) = window.bucket_ms() else { continue };
            let next = (window.bucket(after) + 1) * length;
            let buckets = (next..=to.as_millis()).step_by(usize::try_from(length).unwrap_or(1));
            changes.extend(buckets.map(Timestamp::from_millis));
        }
        changes.extend(self.holds.values().filter_map(|hold| match hold {
            Hold::Open { until, .. } => until.filter(|at| *at > after && *at <= to),
            Hold::Lapsed { .. } | Hold::Closed => None,
        }));
        changes
    }
}

impl Answer {
    /// What a budget said, with accounts by number.
    pub(super) fn of(said: Result<(), BudgetError>, number: impl Fn(&str) -> Option<u8>) -> Self {
        match said {
            Ok(()) => Self::Fine,
            Err(BudgetError::Exceeded { account, window, dimension, asked, left, held, reset }) => {
                let account = number(&account).ok_or(account);
                Self::Exceeded(Refusal { account, window, dimension, asked, left, held, reset })
            }
            Err(BudgetError::Closed { .. }) => Self::Closed,
            Err(BudgetError::Unknown { .. }) => Self::Unknown,
            Err(error) => Self::Silence(error.to_string()),
        }
    }
}
