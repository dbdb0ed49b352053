//! Tasks that end with their process, at a poll that the schedule chose.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use super::schedule::ProcessEnd;

/// A process that may crash: counts the polls of its tasks.
#[derive(Debug)]
pub(super) struct Fuse {
    end: ProcessEnd,
    polls: AtomicU32,
    pub(super) blown: Notify,
}

impl Fuse {
    pub(super) fn new(end: ProcessEnd) -> Arc<Self> {
        Arc::new(Self { end, polls: AtomicU32::new(0), blown: Notify::new() })
    }

    /// Whether the process has crashed.
    pub(super) fn is_blown(&self) -> bool {
        match self.end {
            ProcessEnd::Dropped { at_poll } | ProcessEnd::Killed { at_poll } => {
                self.polls.load(Ordering::Relaxed) >= at_poll
            }
            ProcessEnd::AtRest | ProcessEnd::Shutdown { .. } => false,
        }
    }
}

/// A task of such a process.
pub(super) struct Mortal<F> {
    task: Option<Pin<Box<F>>>,
    fuse: Arc<Fuse>,
}

impl<F> Mortal<F> {
    pub(super) fn new(task: F, fuse: &Arc<Fuse>) -> Self {
        Self { task: Some(Box::pin(task)), fuse: Arc::clone(fuse) }
    }

    fn die(&mut self) {
        let task = self.task.take();
        if matches!(self.fuse.end, ProcessEnd::Killed { .. }) {
            #[expect(clippy::mem_forget, reason = "a killed process drops nothing")]
            std::mem::forget(task);
        }
    }
}

impl<F: Future<Output = ()>> Future for Mortal<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.fuse.is_blown() {
            self.die();
            return Poll::Ready(());
        }
        let Some(task) = self.task.as_mut() else { return Poll::Ready(()) };
        let poll = task.as_mut().poll(cx);
        self.fuse.polls.fetch_add(1, Ordering::Relaxed);
        if self.fuse.is_blown() {
            self.fuse.blown.notify_waiters();
            if poll.is_pending() {
                self.die();
                return Poll::Ready(());
            }
        }
        poll
    }
}
