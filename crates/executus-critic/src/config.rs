//! What a host sets.

use std::time::Duration;

use thiserror::Error;

/// When a rule speaks: first softly, then for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiers {
    /// At this count the run is nudged, or the judge is asked.
    pub soft: u64,
    /// At this count the run is stopped; 0 for never.
    pub hard: u64,
}

impl Tiers {
    /// These two.
    #[must_use]
    pub const fn new(soft: u64, hard: u64) -> Self {
        Self { soft, hard }
    }
}

/// The rules of a critic. A rule that is `None` is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticConfig {
    /// Whether time in which nothing happens counts: yes.
    pub idle: bool,
    /// Nothing happened for this long: the soft tier. `None` for the run's own soft timeout.
    pub soft_idle: Option<Duration>,
    /// Nothing happened for this long: the hard tier. `None` for four times the soft one.
    pub hard_idle: Option<Duration>,
    /// The same call with the same result, in a row: 3, 7.
    pub same_call: Option<Tiers>,
    /// Calls of one tool in a row, whatever they ask and bring: off.
    pub same_tool: Option<Tiers>,
    /// Failed calls in a row: 4, 8.
    pub errors: Option<Tiers>,
    /// Tokens used since a call last brought something new, by three decisions at least: 60,000,
    /// 150,000.
    pub tokens: Option<Tiers>,
    /// How often the judge may give a run more time: 2.
    pub max_extensions: u32,
    /// How many nudges of its own the critic gives to one life of a run: 10.
    pub max_nudges: u32,
}

impl Default for CriticConfig {
    fn default() -> Self {
        Self {
            idle: true,
            soft_idle: None,
            hard_idle: None,
            same_call: Some(Tiers::new(3, 7)),
            same_tool: None,
            errors: Some(Tiers::new(4, 8)),
            tokens: Some(Tiers::new(60_000, 150_000)),
            max_extensions: 2,
            max_nudges: 10,
        }
    }
}

impl CriticConfig {
    /// Without a rule beside those of time.
    #[must_use]
    pub fn only_idle() -> Self {
        Self { same_call: None, errors: None, tokens: None, ..Self::default() }
    }

    /// Without any rule: for a host that steers and stops by itself.
    #[must_use]
    pub fn silent() -> Self {
        Self { idle: false, ..Self::only_idle() }
    }

    /// Refuses settings that mean nothing, by name.
    ///
    /// # Errors
    /// [`ConfigError`] names the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (field, idle) in [("soft_idle", self.soft_idle), ("hard_idle", self.hard_idle)] {
            if idle == Some(Duration::ZERO) {
                return Err(ConfigError::Zero { field });
            }
        }
        if let (Some(soft), Some(hard)) = (self.soft_idle, self.hard_idle)
            && hard <= soft
        {
            return Err(ConfigError::Order { soft: "soft_idle", hard: "hard_idle" });
        }
        for (field, hard, tiers) in [
            ("same_call.soft", "same_call.hard", self.same_call),
            ("same_tool.soft", "same_tool.hard", self.same_tool),
            ("errors.soft", "errors.hard", self.errors),
            ("tokens.soft", "tokens.hard", self.tokens),
        ] {
            let Some(tiers) = tiers else { continue };
            if tiers.soft == 0 {
                return Err(ConfigError::Zero { field });
            }
            if tiers.hard != 0 && tiers.hard <= tiers.soft {
                return Err(ConfigError::Order { soft: field, hard });
            }
        }
        Ok(())
    }

    /// The tiers of time for a run with this soft timeout. The soft one comes first.
    pub(crate) fn idle(&self, soft_timeout: Duration) -> (Duration, Duration) {
        let soft = self.soft_idle.unwrap_or(soft_timeout).max(Duration::from_millis(1));
        match self.hard_idle {
            Some(hard) => (soft.min(hard), hard),
            None => (soft, soft.saturating_mul(4)),
        }
    }
}

/// A setting of a critic that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is 0.
    #[error("critic.{field} is 0; give it a value above 0, or leave the rule out")]
    Zero {
        /// The field.
        field: &'static str,
    },
    /// The hard tier does not come after the soft one.
    #[error("critic.{hard} must be above critic.{soft}")]
    Order {
        /// The soft tier's field.
        soft: &'static str,
        /// The hard tier's field.
        hard: &'static str,
    },
}
