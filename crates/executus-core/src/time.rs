//! Time as data: timestamps in facts, and the one clock that makes them.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Microseconds since the Unix epoch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// So many microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// So many milliseconds after the epoch; the far end of time when that overflows.
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        Self(i64::try_from(millis.saturating_mul(1000)).unwrap_or(i64::MAX))
    }

    /// The system's wall clock, now.
    #[must_use]
    pub fn now() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self::default().after(since_epoch.unwrap_or_default())
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, 0 before it.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    /// The date and time in UTC to the second, rounded up, as in `2026-01-31T14:05:00Z`.
    #[must_use]
    pub fn utc(self) -> String {
        let seconds = self.0.div_euclid(1_000_000) + i64::from(self.0.rem_euclid(1_000_000) > 0);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days to a date by eras of 400 years that begin in March (Hinnant, `civil_from_days`).
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// This much later; the far end of time when that overflows.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This much earlier; the near end of time when that overflows.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this, zero when `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000))
    }
}

/// Makes timestamps: the wall clock read once, tokio's monotonic clock from there on.
///
/// Under tokio's paused time the timestamps are paused too, and a step of the wall clock never
/// moves a deadline.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall: Timestamp,
    monotonic: Instant,
}

impl Clock {
    /// Starts at the system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// Starts at a given time, for reproducible runs.
    #[must_use]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall, monotonic: Instant::now() }
    }

    /// When the clock was started.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.wall
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// The timestamp of an instant; the clock's start for an instant before it.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Timestamp {
        self.wall.after(instant.saturating_duration_since(self.monotonic))
    }

    /// The instant of a timestamp; the clock's start for one before it.
    #[must_use]
    pub fn instant(&self, at: Timestamp) -> Instant {
        let ahead = at.since(self.wall);
        // Tokio's timers hold far less than `Duration::MAX`; a century is as good as never.
        self.monotonic + ahead.min(Duration::from_secs(100 * 365 * 86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_is_a_date_and_a_time() {
        let utc = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000).utc();
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(4_102_444_800), "2100-01-01T00:00:00Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_micros(1).utc(), "1970-01-01T00:00:01Z");
    }
}
