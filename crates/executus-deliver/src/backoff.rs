//! How long to wait before another attempt.

use std::time::Duration;

/// The longest that a target may ask to be left alone.
const MOST: Duration = Duration::from_secs(3600);

/// Waits that double, and are spread so that those who failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How many attempts there are in all; 0 reads as 1.
    pub attempts: u32,
}

impl Backoff {
    /// The wait after so many attempts: half of it is certain, half is chance. Not less than what
    /// the target asked for, up to an hour.
    pub(crate) fn wait(&self, attempts: u32, asked: Option<Duration>) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let wait = full.mul_f64(0.5 + fastrand::f64() / 2.0);
        // Spread here too: the target has told the same to all.
        let asked = asked.map(|asked| asked.min(MOST).mul_f64(1.0 + fastrand::f64() / 10.0));
        wait.max(asked.unwrap_or_default())
    }

    pub(crate) fn is_last(&self, attempts: u32) -> bool {
        attempts >= self.attempts.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            attempts: 20,
        };
        for (attempts, full) in [(0, 1), (1, 1), (2, 2), (3, 4), (7, 60), (u32::MAX, 60)] {
            for _ in 0..100 {
                let wait = backoff.wait(attempts, None);
                let full = Duration::from_secs(full);
                assert!(wait >= full / 2 && wait <= full, "{attempts}: {wait:?}");
            }
        }
        assert!(!backoff.is_last(19) && backoff.is_last(20));
        assert!(Backoff { attempts: 0, ..backoff }.is_last(1));
    }

    #[test]
    fn a_target_is_left_alone_as_long_as_it_asks_up_to_an_hour() {
        let backoff =
            Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(2), attempts: 3 };
        let asked = Duration::from_secs(30);
        assert!((asked..asked * 2).contains(&backoff.wait(1, Some(asked))));
        assert!(backoff.wait(1, Some(Duration::MAX)) <= MOST * 2);
        assert!(backoff.wait(1, Some(Duration::ZERO)) >= Duration::from_millis(500));
    }
}
