//! Limits and the windows they count in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Amounts, BudgetError};
use crate::time::Timestamp;

/// Over which time what was spent counts against a [`Limit`].
///
/// Time is the store's own, in whole milliseconds since the epoch. It is cut into buckets that
/// begin at the epoch: a fixed window is one bucket, so one of a day begins at midnight UTC; a
/// rolling one is [`Self::STEPS`] buckets and the one under way. What is spent counts in the bucket
/// of the moment at which it is counted, and leaves with the whole bucket: from a rolling window
/// after its length at the earliest, and at most one bucket later.
///
/// Its text is `total`, `fixed:MS` or `rolling:MS`, the length in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Window {
    /// For ever.
    Total,
    /// From one multiple of the length to the next.
    Fixed {
        /// Its length, at least a millisecond.
        length: Duration,
    },
    /// The time before now.
    Rolling {
        /// Its length, at least a millisecond.
        length: Duration,
    },
}

impl Window {
    /// Into how many buckets the length of a rolling window is cut.
    pub const STEPS: u64 = 60;

    /// The longest window, in milliseconds: a hundred years.
    pub const LONGEST_MS: u64 = 100 * 365 * 86_400_000;

    /// A fixed window.
    #[must_use]
    pub const fn fixed(length: Duration) -> Self {
        Self::Fixed { length }
    }

    /// A rolling window.
    #[must_use]
    pub const fn rolling(length: Duration) -> Self {
        Self::Rolling { length }
    }

    /// Its length in milliseconds; `None` for ever.
    #[must_use]
    pub fn length_ms(self) -> Option<u64> {
        match self {
            Self::Total => None,
            Self::Fixed { length } | Self::Rolling { length } => {
                Some(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }

    /// The length of one bucket in milliseconds, rounded up; `None` for ever.
    #[must_use]
    pub fn bucket_ms(self) -> Option<u64> {
        let length = self.length_ms()?;
        Some(match self {
            Self::Total | Self::Fixed { .. } => length.max(1),
            Self::Rolling { .. } => length.div_ceil(Self::STEPS).max(1),
        })
    }

    /// How many buckets count, the one under way included.
    #[must_use]
    pub const fn buckets(self) -> u64 {
        match self {
            Self::Total | Self::Fixed { .. } => 1,
            Self::Rolling { .. } => Self::STEPS + 1,
        }
    }

    /// The bucket of a moment: whole buckets since the epoch.
    #[must_use]
    pub fn bucket(self, at: Timestamp) -> u64 {
        self.bucket_ms().map_or(0, |length| at.as_millis() / length)
    }

    /// The oldest bucket that counts at a moment.
    #[must_use]
    pub fn oldest(self, at: Timestamp) -> u64 {
        (self.bucket(at) + 1).saturating_sub(self.buckets())
    }

    /// From when on what was counted in a bucket no longer counts; `None` for ever.
    #[must_use]
    pub fn leaves(self, bucket: u64) -> Option<Timestamp> {
        let ms = self.bucket_ms()?.saturating_mul(bucket.saturating_add(self.buckets()));
        Some(Timestamp::from_millis(ms))
    }

    /// Refuses a length of zero, and one beyond [`Self::LONGEST_MS`].
    ///
    /// # Errors
    /// [`BudgetError::Limit`].
    pub fn check(self) -> Result<(), BudgetError> {
        match self.length_ms() {
            Some(0) => Err(BudgetError::Limit {
                message: "a window is at least a millisecond long".into(),
            }),
            Some(ms) if ms > Self::LONGEST_MS => {
                Err(BudgetError::Limit { message: "a window is at most a century long".into() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total => f.write_str("total"),
            Self::Fixed { length } => write!(f, "fixed:{}", length.as_millis()),
            Self::Rolling { length } => write!(f, "rolling:{}", length.as_millis()),
        }
    }
}

impl FromStr for Window {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let length = |ms: &str| ms.parse().ok().map(Duration::from_millis);
        let window = match text.split_once(':') {
            None if text == "total" => Some(Self::Total),
            Some(("fixed", ms)) => length(ms).map(Self::fixed),
            Some(("rolling", ms)) => length(ms).map(Self::rolling),
            _ => None,
        };
        let window = window.ok_or_else(|| BudgetError::Limit {
            message: format!("`{text}` is no window; write total, fixed:MS or rolling:MS"),
        })?;
        window.check()?;
        Ok(window)
    }
}

impl TryFrom<String> for Window {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, BudgetError> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

/// The most that an account may hold and spend together within a window.
///
/// A dimension at [`Amounts::MAX`] has no limit. Runs are counted while they are held, in every
/// window alike. An account may have several limits; all of them hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Over which time.
    pub window: Window,
    /// How much.
    pub amounts: Amounts,
}

impl Limit {
    /// The most limits that one account has.
    pub const MOST: usize = 8;

    /// A limit within a window.
    #[must_use]
    pub const fn new(window: Window, amounts: Amounts) -> Self {
        Self { window, amounts }
    }

    /// A limit on all that is ever spent.
    #[must_use]
    pub const fn total(amounts: Amounts) -> Self {
        Self { window: Window::Total, amounts }
    }

    /// Refuses limits that mean nothing: more than [`Self::MOST`], a window named twice, a window
    /// or an amount out of range.
    ///
    /// # Errors
    /// [`BudgetError::Limit`], and [`BudgetError::Invalid`] for an amount.
    pub fn check(limits: &[Self]) -> Result<(), BudgetError> {
        if limits.len() > Self::MOST {
            let message = format!("an account has at most {} limits", Self::MOST);
            return Err(BudgetError::Limit { message });
        }
        for (at, limit) in limits.iter().enumerate() {
            limit.window.check()?;
            limit.amounts.check()?;
            if limits[..at].iter().any(|other| other.window == limit.window) {
                let message = format!("the window {} is limited twice", limit.window);
                return Err(BudgetError::Limit { message });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_cut_at_the_epoch() {
        let at = Timestamp::from_millis;
        let day = Window::fixed(Duration::from_secs(86_400));
        assert_eq!(day.bucket(at(86_400_000 * 3 + 5)), 3);
        assert_eq!(day.leaves(3), Some(at(86_400_000 * 4)));
        let minute = Window::rolling(Duration::from_secs(60));
        assert_eq!(minute.bucket_ms(), Some(1000));
        let (spent, bucket) = (at(500_999), minute.bucket(at(500_999)));
        let leaves = minute.leaves(bucket).unwrap();
        assert!(leaves.since(spent) >= Duration::from_secs(60), "never before its length");
        assert!(leaves.since(spent) <= Duration::from_secs(61), "one bucket later at most");
        assert!(minute.oldest(at(leaves.as_millis() - 1)) <= bucket);
        assert!(minute.oldest(leaves) > bucket);
        assert_eq!(Window::Total.leaves(0), None);
    }

    #[test]
    fn windows_are_texts() {
        for text in ["total", "fixed:3600000", "rolling:60000"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        for text in ["", "hour", "fixed:", "fixed:0", "rolling:-1", "rolling:99999999999999"] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_checked() {
        let limit = Limit::total(Amounts::UNLIMITED);
        assert!(Limit::check(&[limit]).is_ok());
        assert!(Limit::check(&[limit, limit]).is_err());
        let far = Limit::total(Amounts { tokens: u64::MAX, ..Amounts::UNLIMITED });
        assert!(matches!(Limit::check(&[far]), Err(BudgetError::Invalid { field: "tokens" })));
    }
}
