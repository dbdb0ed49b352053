//! When a circuit opens, and for how long.

use std::time::Duration;

use thiserror::Error;

/// Whether cooldowns are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Jitter {
    /// A nominal cooldown of `n` lasts between `n / 2` and `n`, drawn evenly.
    #[default]
    Equal,
    /// Cooldowns are exact: for tests, and where the store spreads them.
    Off,
}

/// A number of a policy that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the circuit's `{field}` is {found}; expected {expected}")]
#[non_exhaustive]
pub struct PolicyError {
    /// Which number.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it may be.
    pub expected: &'static str,
}

/// When a circuit opens, and for how long. Made by [`Policy::builder`], which checks the numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub(crate) consecutive: u32,
    pub(crate) window: Option<Duration>,
    pub(crate) window_samples: u32,
    pub(crate) window_ratio: f64,
    pub(crate) cooldown: Duration,
    pub(crate) cooldown_most: Duration,
    pub(crate) dormant_after: u32,
    pub(crate) dormant: Duration,
    pub(crate) forced_dormant: Duration,
    pub(crate) probe_lease: Duration,
    pub(crate) jitter: Jitter,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            consecutive: 3,
            window: Some(Duration::from_secs(30)),
            window_samples: 20,
            window_ratio: 0.5,
            cooldown: Duration::from_secs(30),
            cooldown_most: Duration::from_secs(300),
            dormant_after: 10,
            dormant: Duration::from_secs(3600),
            forced_dormant: Duration::from_secs(300),
            probe_lease: Duration::from_secs(960),
            jitter: Jitter::Equal,
        }
    }
}

impl Policy {
    /// Starts from the default: 3 in a row, or half of at least 20 in 30 s; cooldowns of 30 s
    /// doubling to 300 s; dormant for an hour after 10 failures since it opened.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder(Self::default())
    }

    /// The policy of a dispatch breaker: failures in a row alone, no error rate.
    #[must_use]
    pub fn dispatch() -> Self {
        Self { window: None, ..Self::default() }
    }

    /// How many failures in a row open the circuit.
    #[must_use]
    pub const fn consecutive(&self) -> u32 {
        self.consecutive
    }

    /// How far back the error rate looks; `None` when it is not looked at.
    #[must_use]
    pub const fn window(&self) -> Option<Duration> {
        self.window
    }

    /// How many samples the error rate needs.
    #[must_use]
    pub const fn window_samples(&self) -> u32 {
        self.window_samples
    }

    /// From which share of failures on the circuit opens.
    #[must_use]
    pub const fn window_ratio(&self) -> f64 {
        self.window_ratio
    }

    /// How many failures since the opening, the opening one included, make the circuit dormant.
    #[must_use]
    pub const fn dormant_after(&self) -> u32 {
        self.dormant_after
    }

    /// How long a dormant circuit waits for its next probe.
    #[must_use]
    pub const fn dormant(&self) -> Duration {
        self.dormant
    }

    /// How long a circuit waits for its next probe that an operator made dormant.
    #[must_use]
    pub const fn forced_dormant(&self) -> Duration {
        self.forced_dormant
    }

    /// How long a probe keeps its place when its caller did not say how long it may take.
    #[must_use]
    pub const fn probe_lease(&self) -> Duration {
        self.probe_lease
    }

    /// Whether cooldowns are spread.
    #[must_use]
    pub const fn jitter(&self) -> Jitter {
        self.jitter
    }

    /// The nominal cooldown after the `nth` failure since the opening, which is the first.
    #[must_use]
    pub fn nominal_cooldown(&self, nth: u32) -> Duration {
        let doubled = 1_u32.checked_shl(nth.saturating_sub(1)).unwrap_or(u32::MAX);
        self.cooldown.saturating_mul(doubled).min(self.cooldown_most)
    }

    /// The cooldown that is waited, for a `draw` evenly from `[0, 1)`.
    #[must_use]
    pub fn cooldown(&self, nth: u32, draw: f64) -> Duration {
        let nominal = self.nominal_cooldown(nth);
        let draw = if draw.is_finite() { draw.clamp(0.0, 1.0) } else { 1.0 };
        match self.jitter {
            Jitter::Equal => nominal / 2 + (nominal / 2).mul_f64(draw),
            Jitter::Off => nominal,
        }
    }
}

/// Makes a [`Policy`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct PolicyBuilder(Policy);

const COUNT: &str = "a number from 1 to 10000";
const SPAN: &str = "a time from 1 ms to 30 days";
const MOST: u32 = 10_000;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

impl PolicyBuilder {
    /// Opens after so many failures in a row.
    pub fn consecutive(mut self, failures: u32) -> Self {
        self.0.consecutive = failures;
        self
    }

    /// Opens when at least this share of at least so many samples of the time before failed.
    pub fn error_rate(mut self, window: Duration, samples: u32, ratio: f64) -> Self {
        self.0.window = Some(window);
        self.0.window_samples = samples;
        self.0.window_ratio = ratio;
        self
    }

    /// Looks at failures in a row alone.
    pub fn no_error_rate(mut self) -> Self {
        self.0.window = None;
        self
    }

    /// The first cooldown, and what it doubles up to.
    pub fn cooldown(mut self, first: Duration, most: Duration) -> Self {
        self.0.cooldown = first;
        self.0.cooldown_most = most;
        self
    }

    /// After how many failures since the opening the circuit is dormant, and for how long.
    pub fn dormant(mut self, after: u32, wait: Duration) -> Self {
        self.0.dormant_after = after;
        self.0.dormant = wait;
        self
    }

    /// How long a circuit waits for its next probe that an operator made dormant.
    pub fn forced_dormant(mut self, wait: Duration) -> Self {
        self.0.forced_dormant = wait;
        self
    }

    /// How long a probe keeps its place when its caller did not say how long it may take. It must
    /// be longer than the longest call.
    pub fn probe_lease(mut self, lease: Duration) -> Self {
        self.0.probe_lease = lease;
        self
    }

    /// Whether cooldowns are spread.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.0.jitter = jitter;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`PolicyError`] naming the number that means nothing.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let policy = self.0;
        count("consecutive", policy.consecutive)?;
        if let Some(window) = policy.window {
            count("window_samples", policy.window_samples)?;
            span("window", window)?;
            // The comparison is false for what is not a number.
            if !(policy.window_ratio > 0.0 && policy.window_ratio <= 1.0) {
                let found = policy.window_ratio.to_string();
                let expected = "a number above 0, at most 1";
                return Err(PolicyError { field: "window_ratio", found, expected });
            }
        }
        span("cooldown", policy.cooldown)?;
        span("cooldown_most", policy.cooldown_most)?;
        if policy.cooldown_most < policy.cooldown {
            return Err(PolicyError {
                field: "cooldown_most",
                found: format!("{:?}", policy.cooldown_most),
                expected: "at least the first cooldown",
            });
        }
        count("dormant_after", policy.dormant_after)?;
        span("dormant", policy.dormant)?;
        span("forced_dormant", policy.forced_dormant)?;
        span("probe_lease", policy.probe_lease)?;
        Ok(policy)
    }
}

fn count(field: &'static str, number: u32) -> Result<(), PolicyError> {
    if (1..=MOST).contains(&number) {
        return Ok(());
    }
    Err(PolicyError { field, found: number.to_string(), expected: COUNT })
}

pub(crate) fn span(field: &'static str, time: Duration) -> Result<(), PolicyError> {
    if (SHORTEST..=LONGEST).contains(&time) {
        return Ok(());
    }
    Err(PolicyError { field, found: format!("{time:?}"), expected: SPAN })
}
