//! Which server, and how long it remembers.

use std::time::Duration;

use executus_redis::{Config as Server, Namespace, RedisError};

/// How circuits and leases on Redis are set up. All processes that share them have the same.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server, and how long a call may take (2 s). A circuit waits for a shorter time, its own
    /// `store_limit`.
    pub server: Server,
    /// Where the keys are. Default: `executus`.
    pub namespace: Namespace,
    /// How long a circuit is remembered that nothing happens to, counted from the end of its
    /// cooldown, and the last term of a lease that is over. Default: a day.
    pub idle: Duration,
}

impl Config {
    /// The server at this address, with the defaults.
    ///
    /// # Errors
    /// [`RedisError::Config`]: the address cannot be read.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Self {
            server: Server::new(url)?,
            namespace: Namespace::new("executus")?,
            idle: Duration::from_secs(24 * 3600),
        })
    }

    /// With other names of keys.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    /// With another time to be remembered: from a second to 30 days.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle.clamp(Duration::from_secs(1), Duration::from_secs(30 * 86_400));
        self
    }
}
