//! What a session may still show: tokens reserved before an invocation, settled after it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::frame::Mode;

mod count;

pub use count::{CountError, Shown, SizeCounter, TokenCounter};

/// A number of tokens that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the session budget's `{field}` is {found}; expected a number from 1 to {}",
    SessionBudget::MOST
)]
pub struct BudgetConfigError {
    /// Which number.
    pub field: &'static str,
    /// What it is.
    pub found: i64,
}

/// Nothing is left to reserve.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the session's budget of {total} tokens is exhausted")]
pub struct BudgetExhausted {
    /// What the session may spend in all.
    pub total: u64,
}

/// The tokens that results may cost in one session. Clones share it.
///
/// An invocation reserves before its driver runs. What is left counts reservations as spent, so
/// that invocations under way at the same time see each other. A [`Reservation`] is given back
/// when it is dropped, and turned into spending by [`settle`](Reservation::settle): whichever comes
/// first, once.
#[derive(Debug, Clone)]
pub struct SessionBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: u64,
    reservation: u64,
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    used: u64,
    reserved: u64,
    overrun: u64,
    reservations: u64,
    settled: u64,
    released: u64,
}

/// What a session's budget stands at, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetState {
    /// What may be spent in all.
    pub total: u64,
    /// What was spent, never more than the total.
    pub used: u64,
    /// What is reserved.
    pub reserved: u64,
    /// What is left: neither spent nor reserved.
    pub remaining: u64,
    /// What was spent beyond the total.
    pub overrun: u64,
    /// How many reservations were ever granted.
    pub reservations: u64,
    /// How many of them were settled.
    pub settled: u64,
    /// How many of them were given back.
    pub released: u64,
}

impl Default for SessionBudget {
    fn default() -> Self {
        Self::of(Self::TOTAL, Self::RESERVATION)
    }
}

impl SessionBudget {
    /// What a session may spend unless told otherwise.
    pub const TOTAL: u64 = 100_000;
    /// What one invocation reserves unless told otherwise.
    pub const RESERVATION: u64 = 4_000;
    /// The most that can be asked for: whole numbers up to it are the same everywhere.
    pub const MOST: i64 = (1 << 53) - 1;

    /// A budget of `total` tokens of which one invocation reserves `reservation`.
    ///
    /// # Errors
    /// [`BudgetConfigError`] for a number below 1 or above [`MOST`](Self::MOST).
    pub fn new(total: i64, reservation: i64) -> Result<Self, BudgetConfigError> {
        let check = |field, found: i64| match u64::try_from(found) {
            Ok(tokens) if (1..=Self::MOST).contains(&found) => Ok(tokens),
            _ => Err(BudgetConfigError { field, found }),
        };
        Ok(Self::of(check("total", total)?, check("reservation", reservation)?))
    }

    fn of(total: u64, reservation: u64) -> Self {
        Self(Arc::new(Inner { total, reservation, ledger: Mutex::default() }))
    }

    /// What an invocation reserves that does not say how much.
    #[must_use]
    pub fn default_reservation(&self) -> u64 {
        self.0.reservation
    }

    /// What is left: neither spent nor reserved.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.0.remaining(&self.0.ledger.lock())
    }

    /// What it stands at.
    #[must_use]
    pub fn state(&self) -> BudgetState {
        let ledger = self.0.ledger.lock();
        BudgetState {
            total: self.0.total,
            used: ledger.used,
            reserved: ledger.reserved,
            remaining: self.0.remaining(&ledger),
            overrun: ledger.overrun,
            reservations: ledger.reservations,
            settled: ledger.settled,
            released: ledger.released,
        }
    }

    /// Reserves so many tokens, or as many as there are.
    ///
    /// # Errors
    /// [`BudgetExhausted`] when nothing is left.
    pub fn reserve(&self, tokens: u64) -> Result<Reservation, BudgetExhausted> {
        self.admit(Mode::HandleOnly, tokens).map(|(_, reservation)| reservation)
    }

    /// Reserves as [`reserve`](Self::reserve) does, and gives the mode that fitted what was left
    /// before, as [`suggest`](Self::suggest) has it: both at once, whoever else reserves.
    ///
    /// # Errors
    /// [`BudgetExhausted`] when nothing is left.
    pub fn admit(&self, asked: Mode, tokens: u64) -> Result<(Mode, Reservation), BudgetExhausted> {
        let mut ledger = self.0.ledger.lock();
        let left = self.0.remaining(&ledger);
        if left == 0 {
            return Err(BudgetExhausted { total: self.0.total });
        }
        let granted = left.min(tokens);
        ledger.reserved += granted;
        ledger.reservations += 1;
        let reservation = Reservation { budget: self.clone(), tokens: granted, held: true };
        Ok((asked.min(self.0.most(left)), reservation))
    }

    /// The mode that fits what is left: the one asked for, or one that shows less.
    ///
    /// Above one half everything goes; above one fifth nothing more than a table; from one
    /// twentieth on a summary; below it the handle alone.
    #[must_use]
    pub fn suggest(&self, asked: Mode) -> Mode {
        asked.min(self.0.most(self.remaining()))
    }
}

impl Inner {
    fn remaining(&self, ledger: &Ledger) -> u64 {
        self.total.saturating_sub(ledger.used).saturating_sub(ledger.reserved)
    }

    /// What may be shown at most when so much is left.
    fn most(&self, left: u64) -> Mode {
        let (left, total) = (u128::from(left), u128::from(self.total));
        if left * 2 > total {
            Mode::Raw
        } else if left * 5 > total {
            Mode::Table
        } else if left * 20 >= total {
            Mode::Summary
        } else {
            Mode::HandleOnly
        }
    }
}

/// Tokens set aside for one invocation. Dropping it gives them back.
#[derive(Debug)]
#[must_use = "what is dropped is given back at once"]
pub struct Reservation {
    budget: SessionBudget,
    tokens: u64,
    held: bool,
}

/// What settling a reservation came to, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// What was added to what is used.
    pub charged: u64,
    /// What was spent beyond the total.
    pub overrun: u64,
}

impl Reservation {
    /// How much was granted: what was asked for, or what there was.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Drops the reservation and charges what it did cost. What exceeds the total is kept as
    /// overrun.
    pub fn settle(mut self, cost: u64) -> Settlement {
        self.held = false;
        let total = self.budget.0.total;
        let mut ledger = self.budget.0.ledger.lock();
        ledger.reserved -= self.tokens;
        ledger.settled += 1;
        let charged = cost.min(total - ledger.used);
        let overrun = cost - charged;
        ledger.used += charged;
        ledger.overrun = ledger.overrun.saturating_add(overrun);
        Settlement { charged, overrun }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.held {
            let mut ledger = self.budget.0.ledger.lock();
            ledger.reserved -= self.tokens;
            ledger.released += 1;
        }
    }
}
