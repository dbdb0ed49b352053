//! The window of grace of one base address, and the failures that it holds back.

use executus_circuit::{Grace, HeldFailures, Weight};
use executus_core::Clock;
use tokio::time::Instant;

/// The window, and what it holds back.
#[derive(Debug)]
pub(super) struct Window {
    clock: Clock,
    grace: Grace,
    /// Those of this window.
    held: Option<HeldFailures>,
    /// Those of windows that ended: they count.
    owed: Option<HeldFailures>,
    last_drop: Option<Instant>,
}

impl Window {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, grace: Grace::new(), held: None, owed: None, last_drop: None }
    }

    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.last_drop.is_some() && self.grace.is_open(self.clock.at(now))
    }

    /// A connection was dropped. Says whether that counts.
    pub(super) fn dropped(&mut self, now: Instant) -> bool {
        self.settle(now);
        self.last_drop = Some(now);
        self.grace.dropped(self.clock.at(now)) == Weight::Count
    }

    /// There was no connection. Says whether that counts at once; if not, `hold` gives what may
    /// count later.
    pub(super) fn connect_failed(
        &mut self,
        now: Instant,
        hold: impl FnOnce() -> Option<HeldFailures>,
    ) -> bool {
        self.settle(now);
        if self.grace.connect_failed(self.clock.at(now)) == Weight::Count {
            return true;
        }
        if let Some(failure) = hold() {
            join(&mut self.held, failure);
        }
        false
    }

    /// There was a response, on a connection that was made at this time.
    pub(super) fn answered(&mut self, now: Instant, opened: Option<Instant>) {
        self.settle(now);
        let at = self.clock.at(now);
        let Some(dropped) = self.last_drop else { return };
        if opened.is_some_and(|opened| opened >= dropped) {
            self.grace.succeeded_on_fresh(at);
            self.held = None;
        } else {
            self.grace.succeeded(at);
        }
        if !self.grace.is_open(at) {
            self.last_drop = None;
        }
    }

    /// Whether responses are of interest: there was a drop, and no window closed well since.
    pub(super) const fn is_troubled(&self) -> bool {
        self.last_drop.is_some()
    }

    /// When something may be due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.owed.is_some() {
            return Some(Instant::now());
        }
        self.grace.next_due().map(|at| self.clock.instant(at))
    }

    /// What counts now.
    pub(super) fn due(&mut self, now: Instant) -> Option<HeldFailures> {
        self.settle(now);
        self.owed.take()
    }

    /// A window that has ended owes what it held.
    fn settle(&mut self, now: Instant) {
        if self.grace.due(self.clock.at(now)) > 0
            && let Some(held) = self.held.take()
        {
            join(&mut self.owed, held);
        }
    }
}

fn join(all: &mut Option<HeldFailures>, more: HeldFailures) {
    match all {
        Some(all) => all.join(more),
        None => *all = Some(more),
    }
}
