//! What an operator sees of the pool.

use tokio::time::Instant;

use crate::pool::host::Host;

/// What a client has to one base address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressSnapshot {
    /// `scheme://host:port`.
    pub base: String,
    /// Connections that are open or being made.
    pub connections: usize,
    /// Those of them that wait for a request.
    pub idle: usize,
    /// Requests that are under way, those that wait for a connection included, up to the end of
    /// the response's body.
    pub exchanges: usize,
    /// Connections that were made or tried so far.
    pub opened: u64,
    /// How often all pooled connections were closed because one of them was dropped.
    pub evictions: u64,
    /// Whether a connection was dropped less than 2 s ago: each request has a connection of its
    /// own.
    pub in_grace: bool,
}

impl Host {
    pub(super) fn snapshot(&self, now: Instant) -> AddressSnapshot {
        let state = self.state.lock();
        AddressSnapshot {
            base: self.base.to_string(),
            connections: self.tasks.connections(),
            idle: state.idle(),
            exchanges: self.tasks.exchanges(),
            opened: self.tasks.opened(),
            evictions: state.evicted,
            in_grace: state.window.is_open(now),
        }
    }

    pub(super) fn last_used(&self) -> Instant {
        self.state.lock().last_used
    }

    /// Whether nothing would be lost with it but idle connections.
    pub(super) fn is_unused(&self, now: Instant) -> bool {
        let state = self.state.lock();
        self.tasks.exchanges() == 0 && !state.window.is_open(now) && !state.counting
    }
}
