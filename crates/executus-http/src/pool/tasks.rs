//! What is under way at an address, so that a close can wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts of exchanges and connections.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    exchanges: AtomicUsize,
    connections: AtomicUsize,
    opened: AtomicU64,
    /// Somebody waits for the end of all.
    done: Notify,
}

impl Tasks {
    /// An exchange begins.
    pub(crate) fn begin(&self) {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
    }

    /// An exchange ends.
    pub(crate) fn end(&self) {
        if self.exchanges.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_waiters();
        }
    }

    /// A connection, until the guard is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> Open {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.load(Ordering::Acquire)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How many there are of both.
    pub(crate) fn left(&self) -> usize {
        self.exchanges() + self.connections()
    }

    /// Waits until there is none of both.
    pub(crate) async fn none(&self) {
        loop {
            let mut done = std::pin::pin!(self.done.notified());
            // From here on no end is missed.
            done.as_mut().enable();
            if self.left() == 0 {
                return;
            }
            done.await;
        }
    }
}

/// One connection that is open, or being made.
#[derive(Debug)]
pub(crate) struct Open(Arc<Tasks>);

impl Drop for Open {
    fn drop(&mut self) {
        if self.0.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_waiters();
        }
    }
}
