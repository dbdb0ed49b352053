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
