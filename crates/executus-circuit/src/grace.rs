//! The grace after a dropped connection: what fails in its wake is held until it is known why.
//!
//! When a healthy peer restarts, or a proxy between closes what it holds, all connections drop at
//! once and the next connects may be refused. None of that shows that the peer is gone. When it is
//! gone, all of it does. Which of the two it was shows within two seconds.

use std::time::Duration;

use executus_core::Timestamp;

/// Whether a failure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Weight {
    /// Not yet, or not at all: the connection dropped, as far as its caller is concerned.
    Held,
    /// It counts.
    Count,
}

/// The grace of one base address in one process. It knows no clock: whoever calls is it.
///
/// A drop opens a window of [`WINDOW`](Self::WINDOW), which later drops renew, but not past
/// [`LIMIT`](Self::LIMIT) after the first drop since the last success. While it is open, a failed
/// connect is held. A success on a fresh connection forgets what is held; when the window ends
/// without one, [`due`](Self::due) gives the number that count. Drops themselves count only past
/// the limit, where there is no window any more until the peer has answered.
///
/// Call [`due`](Self::due) at [`next_due`](Self::next_due): a timer of the caller, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grace {
    /// The first drop since the last success.
    first: Option<Timestamp>,
    /// The last drop that opened or renewed the window.
    last: Option<Timestamp>,
    /// Failures of the window.
    held: u32,
    /// Failures of windows that ended.
    owed: u32,
}

impl Grace {
    /// How long after a drop its window is open, the last instant included.
    pub const WINDOW: Duration = Duration::from_secs(2);
    /// How long after the first drop a window can be open without a success.
    pub const LIMIT: Duration = Duration::from_secs(10);

    /// No drop yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, last: None, held: 0, owed: 0 }
    }

    /// A connection dropped. It counts when drops have come for longer than the limit without a
    /// success; else it opens or renews the window.
    pub fn dropped(&mut self, now: Timestamp) -> Weight {
        self.roll(now);
        let first = *self.first.get_or_insert(now);
        if now.since(first) > Self::LIMIT {
            return Weight::Count;
        }
        self.last = self.last.max(Some(now));
        Weight::Held
    }

    /// A connect failed, by a refusal or by its time limit: held while the window is open.
    pub fn connect_failed(&mut self, now: Timestamp) -> Weight {
        self.roll(now);
        if !self.is_open(now) {
            return Weight::Count;
        }
        self.held = self.held.saturating_add(1);
        Weight::Held
    }

    /// The peer answered on a connection made since the last drop: what is held is forgotten. The
    /// window stays open for its time, in case more fails in the wake.
    pub fn succeeded_on_fresh(&mut self, now: Timestamp) {
        self.roll(now);
        self.held = 0;
        self.first = None;
    }

    /// The peer answered on a connection from before the drop. Whether it can be reached anew is
    /// not known, but it does not drop everything.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.roll(now);
        self.first = None;
    }

    /// Whether clients are to be fresh and single-use, and failed connects are held.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.end().is_some_and(|end| now <= end)
    }

    /// How many held failures count now, because their window ended without a success. Each is
    /// given once.
    #[must_use = "these failures are not given again"]
    pub fn due(&mut self, now: Timestamp) -> u32 {
        self.roll(now);
        std::mem::take(&mut self.owed)
    }

    /// When to ask for what is due; `None` while nothing is held.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.owed > 0 {
            return Some(Timestamp::default());
        }
        if self.held == 0 {
            return None;
        }
        self.end().map(|end| end.after(Duration::from_micros(1)))
    }

    /// How many failures are held or due.
    #[must_use]
    pub const fn held(&self) -> u32 {
        self.held.saturating_add(self.owed)
    }

    /// The last instant of the window.
    fn end(&self) -> Option<Timestamp> {
        let end = self.last?.after(Self::WINDOW);
        Some(self.first.map_or(end, |first| end.min(first.after(Self::LIMIT))))
    }

    /// A window that ended owes what it held, also when nobody asked in time.
    fn roll(&mut self, now: Timestamp) {
        if self.last.is_some() && !self.is_open(now) {
            self.last = None;
            self.owed = self.owed.saturating_add(std::mem::take(&mut self.held));
        }
    }
}
