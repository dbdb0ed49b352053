//! Which server, and what happens when it is away.

use std::time::Duration;

use executus_core::port::Amounts;
use executus_redis::{Config as Server, Namespace, RedisError};

/// How a budget on Redis is set up. All processes that share one have the same.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server, and how long a decision may take (2 s).
    pub server: Server,
    /// Where its keys are. Default: `executus`.
    pub namespace: Namespace,
    /// How long a hold lasts that nobody renews. It is renewed three times as often. Default: 30 s.
    pub lease: Duration,
    /// How long ended holds are remembered, so that a late call finds its hold closed. Default: a
    /// day.
    pub remember: Duration,
    /// What happens when Redis does not answer.
    pub away: Away,
    /// Whether a budget that was never set up is set up by connecting to it. It cannot be told from
    /// one that lost everything: with this, a server that lost its data grants anew as soon as a
    /// process starts. Default: no, [`RedisBudget::reseed`](crate::RedisBudget::reseed) does it.
    pub seed_if_empty: bool,
}

/// What happens when Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Away {
    /// Nothing is granted.
    #[default]
    Refuse,
    /// This process grants on its own up to an allowance, and tells Redis later. What it grants is
    /// not covered by the limits; what was spent of it is counted as an overrun.
    Allow(Allowance),
}

/// What one process may grant on its own, over all accounts, until Redis has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The most that is held and spent without Redis at any time.
    pub most: Amounts,
}

impl Config {
    /// A budget on the server at this address, with the defaults.
    ///
    /// # Errors
    /// [`RedisError::Config`]: the address cannot be read.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Self {
            server: Server::new(url)?,
            namespace: Namespace::new("executus")?,
            lease: Duration::from_secs(30),
            remember: Duration::from_secs(24 * 3600),
            away: Away::Refuse,
            seed_if_empty: false,
        })
    }

    /// With other names of keys.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// With another lease, at least 100 ms.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(100));
        self
    }

    /// With another policy for a Redis that does not answer.
    #[must_use]
    pub const fn away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }

    /// Setting up what was never set up.
    #[must_use]
    pub const fn seed_if_empty(mut self) -> Self {
        self.seed_if_empty = true;
        self
    }
}
