//! Which server, and how long it may take.

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::error::RedisError;

/// Where the server is and how long it may take to answer.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server.
    pub endpoint: Endpoint,
    /// How long one connection may take to be there and checked. Default: 1 s.
    pub connect_timeout: Duration,
    /// How long one answer may take; after that the connection is given up. Default: 1 s. (The
    /// client's own default would be half of it.)
    pub response_timeout: Duration,
    /// How long a call may take in all, reconnecting and asking again included. Default: 2 s.
    pub deadline: Duration,
}

impl Config {
    /// The server at this address ([`Endpoint::parse`]), with the default times.
    ///
    /// # Errors
    /// [`RedisError::Config`] says what is wrong with the address.
    pub fn new(url: &str) -> Result<Self, RedisError> {
        Ok(Self {
            endpoint: Endpoint::parse(url)?,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            deadline: Duration::from_secs(2),
        })
    }

    /// With another deadline; the times of one connection and one answer shrink to half of it
    /// where they were longer.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self.connect_timeout = self.connect_timeout.min(deadline / 2);
        self.response_timeout = self.response_timeout.min(deadline / 2);
        self
    }
}
