//! How long somebody may take to approve a call.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long somebody may take to approve a call: whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApprovalLimit(NonZeroU32);

impl ApprovalLimit {
    /// So long, rounded up to a whole second; 136 years where it is longer than that.
    #[must_use]
    pub fn new(within: Duration) -> Self {
        let seconds = within.as_secs().saturating_add(u64::from(within.subsec_nanos() > 0));
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN))
    }

    /// How long.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0.get() as u64)
    }
}

impl Default for ApprovalLimit {
    /// A day.
    fn default() -> Self {
        Self::new(Duration::from_secs(86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_and_there_is_one() {
        let seconds = |within| ApprovalLimit::new(within).as_duration().as_secs();
        assert_eq!(seconds(Duration::ZERO), 1);
        assert_eq!(seconds(Duration::from_millis(1001)), 2);
        assert_eq!(seconds(Duration::MAX), u64::from(u32::MAX));
        assert_eq!(ApprovalLimit::default().as_duration(), Duration::from_secs(86_400));
    }
}
