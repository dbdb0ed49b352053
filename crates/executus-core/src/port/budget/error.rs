//! Why a budget did not grant.

use std::time::Duration;

use thiserror::Error;

use super::{Amounts, Limit, Window};
use crate::port::Cause;
use crate::time::Timestamp;

/// Why a budget did not grant.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// There is not enough left.
    #[error("the budget of `{account}` does not cover {asked} {dimension}: {left} left{}{}{}",
        within(*window),
        if *held > 0 { format!(", {held} held by runs under way") } else { String::new() },
        reset.map(|at| format!(", again at {}", at.utc())).unwrap_or_default())]
    Exceeded {
        /// The account: a caller's id, or a key that the host named.
        account: String,
        /// The window of the limit.
        window: Window,
        /// Which dimension.
        dimension: &'static str,
        /// How much was asked.
        asked: u64,
        /// How much is left.
        left: u64,
        /// How much is held, by the asking hold too: it may come back when runs end.
        held: u64,
        /// When enough of what was spent will have left the window. Where holds stand in the way,
        /// when all of it will have. `None` for what no window gives back: in the total, for runs
        /// at once, and for more than the limit.
        reset: Option<Timestamp>,
    },
    /// The hold was settled or released before.
    #[error("the hold {hold} is closed")]
    Closed {
        /// Which hold.
        hold: String,
    },
    /// There is no such hold.
    #[error("the hold {hold} is not known: it was never granted, or its lease ran out")]
    Unknown {
        /// Which hold.
        hold: String,
    },
    /// An amount is out of range.
    #[error("{field} is out of range: at most {} fits", Amounts::MAX)]
    Invalid {
        /// Which amount.
        field: &'static str,
    },
    /// A limit or a window means nothing.
    #[error("a limit cannot be used: {message}")]
    Limit {
        /// What is wrong with it.
        message: String,
    },
    /// The accounts of a hold cannot be used.
    #[error("the accounts of a hold cannot be used: {message}")]
    Account {
        /// What is wrong with them.
        message: String,
    },
    /// The store cannot be reached.
    #[error("the budget is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl BudgetError {
    /// The refusal of a limit that does not cover `more` beside what is held and spent; `None` if
    /// it does.
    ///
    /// `buckets` are pairs of a bucket of the limit's window and what was spent in it, in any order;
    /// those that no longer count are passed over.
    #[must_use]
    pub fn exceeded(
        account: &str,
        limit: &Limit,
        more: Amounts,
        held: Amounts,
        buckets: &[(u64, Amounts)],
        now: Timestamp,
    ) -> Option<Self> {
        let window = limit.window;
        let oldest = window.oldest(now);
        let mut counted: Vec<_> = buckets.iter().filter(|(at, _)| *at >= oldest).copied().collect();
        let spent = counted.iter().fold(Amounts::default(), |sum, (_, more)| sum.capped_add(*more));
        let left = limit.amounts.left(held, spent).dimensions();
        let at = (0..left.len()).find(|at| more.dimensions()[*at].1 > left[*at].1)?;
        let (dimension, asked) = more.dimensions()[at];
        let of = |amounts: Amounts| amounts.dimensions()[at].1;
        let never = dimension == "runs" || asked > of(limit.amounts);
        counted.sort_unstable_by_key(|(bucket, _)| *bucket);
        let reset = (!never).then(|| {
            let over = of(held) + of(spent) + asked - of(limit.amounts);
            let mut freed = 0;
            let enough = counted.iter().find(|(_, spent)| {
                freed += of(*spent);
                freed >= over
            });
            window.leaves(enough.map_or_else(|| window.bucket(now), |(bucket, _)| *bucket))
        });
        Some(Self::Exceeded {
            account: account.to_owned(),
            window,
            dimension,
            asked,
            left: left[at].1,
            held: of(held),
            reset: reset.flatten(),
        })
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Exceeded { reset, asked, left, held, .. } => {
                reset.is_some() || *asked <= left.saturating_add(*held)
            }
            Self::Closed { .. }
            | Self::Unknown { .. }
            | Self::Invalid { .. }
            | Self::Limit { .. }
            | Self::Account { .. } => false,
        }
    }

    /// Whether it is certain that nothing is held after this answer to `reserve`.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Exceeded { .. }
            | Self::Closed { .. }
            | Self::Invalid { .. }
            | Self::Limit { .. }
            | Self::Account { .. } => true,
            Self::Unknown { .. } | Self::Unavailable { .. } => false,
        }
    }
}

/// A window in a sentence.
fn within(window: Window) -> String {
    let text = |length: Duration| {
        let seconds = length.as_secs();
        match (length.subsec_nanos(), seconds) {
            (0, 3_600) => "hour".into(),
            (0, 60) => "minute".into(),
            (0, 86_400) => "day".into(),
            (0, s) if s % 86_400 == 0 => format!("{} days", s / 86_400),
            (0, s) if s % 3_600 == 0 => format!("{} hours", s / 3_600),
            (0, s) if s % 60 == 0 => format!("{} minutes", s / 60),
            _ => format!("{length:?}"),
        }
    };
    match window {
        Window::Total => String::new(),
        Window::Fixed { length } => format!(" of this {}", text(length)),
        Window::Rolling { length } => format!(" of the last {}", text(length)),
    }
}
