//! Budget: what runs may spend.
//!
//! **For** never spending more than a limit, whoever races. **Called** by the executor: `reserve`
//! once per life at admission, `charge` after each model call with usage, then exactly one of
//! `settle` and `release`.
//!
//! # Accounts, limits, windows
//! A hold takes from one or more accounts: its caller's own, and those that the host names
//! ([`Accounts`]). An account has limits, each within a [`Window`]. A live hold counts in every
//! window of its accounts, from the moment it is granted to the moment it ends, whenever it was
//! reserved: it may be counted in any of them. What it spent counts in the window of the moment at
//! which it is counted: of the call that settles or releases it, or of the end of its lease.
//!
//! # Guarantees
//! - **B1** The sum of what is held and spent MUST never pass a limit, however many callers race: a
//!   reservation is granted whole or refused.
//! - **B2** One hold id is one hold: reserving it again MUST NOT take more, and renews it. A hold
//!   whose lease ran out MUST NOT come back to life: reserving or charging it is refused with
//!   [`BudgetError::Unknown`].
//! - **B3** Settling returns what was not spent and MUST count once: a second `settle` or `release`
//!   of the hold returns `Ok` and changes nothing. A run settles with its own tally, and its
//!   children charge lines of their own (B5): what is counted in all is the greater of the hold's
//!   own line and what is settled, plus every other line as it was charged. A release counts the
//!   lines alone.
//! - **B4** Releasing an unknown id is legal and leaves a tombstone: a `reserve` of that id which
//!   arrives late MUST be refused with [`BudgetError::Closed`].
//! - **B5** `charge` sets the total of a line of the hold (a line is a run's id; the hold's own line
//!   is that of `hold.run`): the same charge twice MUST count once, a smaller one changes nothing. A
//!   total above what is held MUST be covered from what is left of every limit, or refused with
//!   [`BudgetError::Exceeded`].
//! - **B6** What is counted at the settling is recorded in full, also above what is held or left of
//!   the limit: what was spent was spent. Less than was charged is never counted. The part above
//!   what was held is an overrun, and stands in the account as such.
//! - **B7** The unspent part of a dead holder's hold MUST come back (a lease, where holders can die
//!   alone). What was charged on it counts as spent from the end of the lease; what is settled
//!   later counts the rest, as an overrun.
//! - **B8** What was spent MUST leave a fixed window at its end, and a rolling one after its length
//!   at the earliest and one bucket later at the latest. It never leaves the total.
//! - **B9** A hold of several accounts takes from all of them or from none.
//! - **B10** A refusal says which account, which window, which dimension, how much is left, how much
//!   of the rest is only held, and when what is missing leaves the window. Accounts are asked in
//!   their order, limits in theirs, dimensions in that of [`Amounts`]; the first that does not cover
//!   refuses.
//!
//! # Cancellation
//! A dropped call MAY have taken effect. The executor makes the hold id before it asks, and releases
//! it when it does not know whether it was granted.
//!
//! # Errors and panics
//! No answer is a refusal: any error or panic of `reserve` refuses the run, before a model is
//! asked; one of `charge` ends it. [`BudgetError::Exceeded`] ends it as `budget_exceeded`. Errors of
//! `settle` and `release` are retried within the settling's limit, then logged.
//!
//! Proved by `executus_testkit::conformance::budget`.

use std::sync::Arc;

use async_trait::async_trait;

use crate::id::{HoldId, RunId};

mod accounts;
mod amounts;
mod error;
mod window;

pub use accounts::{Account, Accounts, Claim, LimitUse};
pub use amounts::Amounts;
pub use error::BudgetError;
pub use window::{Limit, Window};

/// Grants and accounts.
#[async_trait]
pub trait Budget: Send + Sync {
    /// Holds `ask` for a caller, or refuses.
    ///
    /// # Errors
    /// Any error refuses the run; only [`BudgetError::Exceeded`] and [`BudgetError::Closed`] say
    /// for certain that nothing is held.
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError>;

    /// Sets what a line of the hold has spent so far, in all.
    ///
    /// # Errors
    /// Any error ends the run.
    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError>;

    /// Ends the hold: `spent`, the run's own tally, is counted beside what other lines were charged
    /// (B3); the rest comes back.
    ///
    /// # Errors
    /// An error is retried, then logged.
    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError>;

    /// Ends the hold with nothing spent beyond what was charged.
    ///
    /// # Errors
    /// An error is retried, then logged.
    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError>;
}
