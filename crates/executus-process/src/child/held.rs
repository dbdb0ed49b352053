//! A child that is ours until it is waited for.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::task::{Context, Poll};

use tokio::process::Child;
use tokio::runtime::Handle;

use crate::group::Group;
use crate::processes::Entry;
use crate::stray::Mark;

/// A child, its group and its place in the list. Dropped, it ends the group at once and leaves the
/// waiting to the background, so that no zombie stays.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` once it was waited for, or handed over.
    child: Option<Child>,
    /// `None` once the child was waited for and all of it was ended.
    group: Option<Group>,
    entry: Option<Entry>,
    mark: Option<Mark>,
}

impl Held {
    pub(super) const fn new(
        child: Child,
        group: Group,
        entry: Option<Entry>,
        mark: Option<Mark>,
    ) -> Self {
        Self { child: Some(child), group: Some(group), entry, mark }
    }

    /// Ready when the child has ended.
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        let Some(child) = &mut self.child else { return Poll::Pending };
        // Whoever ends it by the list must not signal a number that was given back.
        let mut wait = || pin!(child.wait()).poll(cx);
        let waited = match &self.entry {
            Some(entry) => entry.waiting(wait),
            None => wait(),
        };
        if waited.is_ready() {
            self.child = None;
        }
        waited
    }

    /// Asks the group to end.
    pub(super) fn terminate(&self) {
        if let Some(group) = self.group {
            group.terminate();
        }
    }

    /// Ends the group.
    pub(super) fn kill(&mut self) {
        if let Some(group) = self.group {
            group.kill();
        }
        if self.child.is_none() {
            self.group = None;
        }
    }

    /// Ends those that left the group.
    pub(super) async fn end_strays(&mut self) {
        if let Some(mark) = self.mark.clone() {
            // Reads what the system knows of every process.
            let _ended = tokio::task::spawn_blocking(move || mark.end_strays()).await;
            self.mark = None;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.kill();
        let (child, entry, mark) = (self.child.take(), self.entry.take(), self.mark.take());
        if child.is_none() && mark.is_none() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => {
                if let Some(mark) = mark {
                    runtime.spawn_blocking(move || mark.end_strays());
                }
                if let (Some(mut child), Some(entry)) = (child, entry) {
                    entry.ended();
                    // The list keeps it until it is gone, and whoever closes the list waits.
                    runtime.spawn(async move {
                        let _status = child.wait().await;
                        drop(entry);
                    });
                }
                // Unlisted, it goes to the runtime's orphans, which it waits for.
            }
            Err(_outside) => {
                if let Some(mark) = mark {
                    mark.end_strays();
                }
            }
        }
    }
}
