//! What a host sets.

use crate::action::ActionPolicy;
use crate::content::ContentRules;
use crate::error::{ConfigError, bounded};
use crate::stuck::StuckSettings;
use crate::urls::UrlPolicy;

/// The guards of a run.
#[derive(Debug, Clone)]
pub struct GuardConfig {
    /// When a run goes round in circles; `None` for no detector.
    pub stuck: Option<StuckSettings>,
    /// How many errors in a row are borne: 5, of 1 to 100. The next one stops the run's actions.
    pub max_errors: u64,
    /// How many pages a run may visit: 50, of 1 to 10,000. Pages that were visited may be again.
    pub max_urls: u64,
    /// Which pages.
    pub urls: UrlPolicy,
    /// What becomes of actions that may destroy something.
    pub actions: ActionPolicy,
    /// What is done to results.
    pub content: ContentRules,
    /// Whether a stop ends the run, as an error of kind `denied`. Otherwise it may still answer, and
    /// makes no action any more.
    pub stop_ends_run: bool,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            stuck: Some(StuckSettings::default()),
            max_errors: 5,
            max_urls: 50,
            urls: UrlPolicy::new(),
            actions: ActionPolicy::default(),
            content: ContentRules::default(),
            stop_ends_run: false,
        }
    }
}

impl GuardConfig {
    /// Refuses what is out of bounds, by name.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.stuck.as_ref().map_or(Ok(()), StuckSettings::check)?;
        bounded("max_errors", self.max_errors, 1, 100)?;
        bounded("max_urls", self.max_urls, 1, 10_000)
    }
}
