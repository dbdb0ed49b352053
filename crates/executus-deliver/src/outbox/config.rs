//! What can be set about an outbox.

use std::path::PathBuf;
use std::time::Duration;

use crate::artifacts::Artifacts;
use crate::backoff::Backoff;

/// Where the outbox lies, and how it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxConfig {
    /// The database file. It is created when it is not there; its folder is not.
    pub path: PathBuf,
    /// A folder for what is large; without one, all of a message is kept in the file.
    pub artifacts: Option<Artifacts>,
    /// How long a call waits to become durable: 8 s.
    pub wait: Duration,
    /// How long another process that writes the same file is waited for: 5 s.
    pub busy_timeout: Duration,
    /// How long one attempt may take: 30 s.
    pub attempt: Duration,
    /// How much longer than an attempt its lease is: 30 s. After a crash, what was under way is sent
    /// again when its lease has run out.
    pub margin: Duration,
    /// Waits that begin at 1 s and double up to an hour, and 20 attempts: about nine hours in all.
    pub backoff: Backoff,
    /// How many messages are sent to one target at once: 8; 0 reads as 1.
    pub per_target: u32,
    /// How often to look for what other processes have kept: 1 s.
    pub poll: Duration,
    /// How long what is under way may take when the worker stops: 5 s.
    pub grace: Duration,
    /// How long the key of what was sent is remembered, so that it is not sent again: 7 days.
    pub remember: Duration,
}

impl OutboxConfig {
    /// The defaults, for this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            artifacts: None,
            wait: Duration::from_secs(8),
            busy_timeout: Duration::from_secs(5),
            attempt: Duration::from_secs(30),
            margin: Duration::from_secs(30),
            backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(3600),
                attempts: 20,
            },
            per_target: 8,
            poll: Duration::from_secs(1),
            grace: Duration::from_secs(5),
            remember: Duration::from_secs(7 * 86_400),
        }
    }

    pub(super) fn store(&self) -> executus_sqlite::Config {
        let mut store = executus_sqlite::Config::new(&self.path);
        store.busy_timeout = self.busy_timeout;
        store
    }
}
