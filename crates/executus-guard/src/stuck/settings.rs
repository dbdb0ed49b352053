//! What of the stuck detector can be set.

use crate::error::{ConfigError, bounded};

/// When the stuck detector speaks. Each field has bounds; see [`check`](Self::check).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckSettings {
    /// The same action so often in a row is a hint: 3, of 2 to 98.
    pub stuck_repeat_hint: u64,
    /// The same action so often in a row is a warning: 5, above the hint, to 99.
    pub stuck_repeat_warning: u64,
    /// The same action so often in a row stops the run: 7, above the warning, to 100.
    pub stuck_repeat_stop: u64,
    /// Among how many of the newest actions a cycle is looked for: 12, of 4 to 100.
    pub stuck_window: u64,
    /// How often a cycle goes round before it is one: 3, of 2 to 10.
    pub stuck_cycle_repeats: u64,
    /// How many failures are a cluster: 6, of 2 to 100.
    pub stuck_failure_count: u64,
    /// Among how many of the newest actions: 10, from the count to 100.
    pub stuck_failure_window: u64,
    /// How many actions ago a page was last seen, for its visit to be a revisit: 5, of 1 to 50.
    pub stuck_revisit_gap: u64,
}

impl Default for StuckSettings {
    fn default() -> Self {
        Self {
            stuck_repeat_hint: 3,
            stuck_repeat_warning: 5,
            stuck_repeat_stop: 7,
            stuck_window: 12,
            stuck_cycle_repeats: 3,
            stuck_failure_count: 6,
            stuck_failure_window: 10,
            stuck_revisit_gap: 5,
        }
    }
}

impl StuckSettings {
    /// Refuses what is out of bounds, by name.
    ///
    /// # Errors
    /// [`ConfigError::Bounds`].
    pub fn check(&self) -> Result<(), ConfigError> {
        let (hint, warning) = (self.stuck_repeat_hint, self.stuck_repeat_warning);
        bounded("stuck_repeat_hint", hint, 2, 98)?;
        bounded("stuck_repeat_warning", warning, hint + 1, 99)?;
        bounded("stuck_repeat_stop", self.stuck_repeat_stop, warning + 1, 100)?;
        bounded("stuck_window", self.stuck_window, 4, 100)?;
        bounded("stuck_cycle_repeats", self.stuck_cycle_repeats, 2, 10)?;
        let failures = self.stuck_failure_count;
        bounded("stuck_failure_count", failures, 2, 100)?;
        bounded("stuck_failure_window", self.stuck_failure_window, failures, 100)?;
        bounded("stuck_revisit_gap", self.stuck_revisit_gap, 1, 50)
    }
}
