//! How many connections there may be to one base address, and for how long.

use std::time::Duration;

/// The limits of the pool of one base address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// The most connections of HTTP/1.1 at a time, 1 to 1,000,000. One of HTTP/2 serves all.
    pub max_connections: usize,
    /// The most connections that are kept while they are not used.
    pub kept_alive: usize,
    /// How long an unused connection is kept.
    pub keep_alive: Duration,
    /// How long a request may take as a whole, unless it says otherwise.
    pub timeout: Option<Duration>,
}

impl Profile {
    /// For services that drivers call: 100 connections, 20 kept for 30 s, 30 s for a request.
    pub const DRIVER: Self = Self {
        max_connections: 100,
        kept_alive: 20,
        keep_alive: Duration::from_secs(30),
        timeout: Some(Duration::from_secs(30)),
    };

    /// For other agents: 10 connections, 5 kept for 30 s, 30 s for a request; see also
    /// [`CHAT_TIMEOUT`](Self::CHAT_TIMEOUT) and [`SESSION_TIMEOUT`](Self::SESSION_TIMEOUT).
    pub const PEER: Self = Self {
        max_connections: 10,
        kept_alive: 5,
        keep_alive: Duration::from_secs(30),
        timeout: Some(Duration::from_secs(30)),
    };

    /// For a request to a peer that waits for its agent's answer, as a whole.
    pub const CHAT_TIMEOUT: Duration = Duration::from_secs(900);

    /// For a request to a peer about a session, as a whole.
    pub const SESSION_TIMEOUT: Duration = Duration::from_secs(5);

    /// With at most so many connections at a time, 1 to 1,000,000.
    #[must_use]
    pub const fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = most;
        self
    }

    /// With at most so many connections kept while they are not used, each for so long.
    #[must_use]
    pub const fn keep(mut self, most: usize, keep_alive: Duration) -> Self {
        self.kept_alive = most;
        self.keep_alive = keep_alive;
        self
    }

    /// With this limit for a request as a whole, or with none.
    #[must_use]
    pub const fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.timeout = limit;
        self
    }
}

impl Default for Profile {
    /// The driver's, without a limit for a request as a whole: an answer that streams may take its
    /// time.
    fn default() -> Self {
        Self::DRIVER.timeout(None)
    }
}
