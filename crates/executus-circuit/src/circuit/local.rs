//! What a process knows by itself: the circuit as it was last seen, and what it saw since.

use std::time::Duration;

use executus_core::{Clock, Timestamp};

use crate::breaker::{Absence, Admission, Aged, Breaker, Change, Outcome, Ticket};
use crate::key::Owner;
use crate::policy::Policy;
use crate::snapshot::{Snapshot, State};
use crate::window::Window;

/// Who is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Store,
    /// This process: the store is away.
    Away,
    /// The store, to see whether it is back: nobody else does at this time.
    Try,
}

#[derive(Debug)]
pub(super) struct Local {
    seen: Snapshot,
    seen_at: Timestamp,
    /// Counts absences: a permit of an earlier one means nothing to a later one's breaker.
    epoch: u64,
    away: Option<Away>,
    /// What the store has not been told.
    tally: Tally,
    /// What it is being told, the same until it has said that it knows.
    telling: Option<Telling>,
    /// Somebody is telling.
    busy: bool,
}

#[derive(Debug)]
struct Away {
    breaker: Breaker,
    /// It is open by what this process saw itself.
    tripped: bool,
    retry_at: Timestamp,
}

#[derive(Debug, Default)]
struct Tally {
    window: Window,
    answered: bool,
    trailing: u32,
    /// An operator was told by this process that the circuit is dormant.
    alerted: bool,
}

#[derive(Debug)]
struct Telling {
    id: u64,
    tally: Tally,
    /// The circuit of this process, as far as it is by its own evidence.
    standing: Breaker,
}

/// How a call went.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) ticket: &'a Ticket,
    /// The absence whose breaker admitted the call; `None` for the store.
    pub(super) epoch: Option<u64>,
    pub(super) outcome: Outcome,
    pub(super) times: u32,
    /// Whether the store is to be told. It is not when it may know already.
    pub(super) told: bool,
}

impl Local {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            seen: Snapshot::default(),
            seen_at: now,
            epoch: 0,
            away: None,
            tally: Tally::default(),
            telling: None,
            busy: false,
        }
    }

    pub(super) const fn seen(&self) -> Snapshot {
        self.seen
    }

    pub(super) const fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// Whose turn it is. One that gets [`Turn::Try`] tells the store what it missed, and then
    /// calls [`rest`](Self::rest).
    pub(super) fn turn(&mut self, clock: &Clock, retry_every: Duration) -> Turn {
        let something_to_tell = self.has_news();
        match &mut self.away {
            None if something_to_tell && !self.busy => {}
            // What happens at each call reads no clock.
            None => return Turn::Store,
            Some(away) => {
                let now = clock.now();
                if self.busy || now < away.retry_at {
                    return Turn::Away;
                }
                away.retry_at = now.after(retry_every);
            }
        }
        self.busy = true;
        Turn::Try
    }

    /// Whether the store is there and has to be told something, and nobody is about to. Whoever
    /// gets `true` tells it, and then calls [`rest`](Self::rest).
    pub(super) fn tells(&mut self) -> bool {
        let tells = self.away.is_none() && self.has_news() && !self.busy;
        self.busy |= tells;
        tells
    }

    pub(super) fn rest(&mut self) {
        self.busy = false;
    }

    fn has_news(&self) -> bool {
        self.telling.is_some() || !self.tally.is_empty()
    }

    /// The circuit as the store has it.
    pub(super) fn see(&mut self, seen: Snapshot, clock: &Clock) {
        // A closed circuit does not age.
        if seen.state != State::Closed {
            self.seen_at = clock.now();
        }
        self.seen = seen;
    }

    /// The store is back.
    pub(super) fn come_back(&mut self) -> bool {
        self.away.take().is_some()
    }

    /// The store is away; `true` when that is news.
    pub(super) fn lose(&mut self, now: Timestamp, retry_every: Duration) -> bool {
        let retry_at = now.after(retry_every);
        if let Some(away) = &mut self.away {
            away.retry_at = retry_at;
            return false;
        }
        self.epoch += 1;
        self.away = Some(Away { breaker: self.recalled(now), tripped: false, retry_at });
        true
    }

    /// The circuit as it was last seen.
    fn recalled(&self, now: Timestamp) -> Breaker {
        Breaker::as_seen(&self.seen, now.since(self.seen_at), now)
    }

    /// The circuit as this process knows it.
    pub(super) fn snapshot(&self, now: Timestamp) -> Snapshot {
        match &self.away {
            Some(away) => away.breaker.snapshot(now),
            None => self.recalled(now).snapshot(now),
        }
    }

    /// This process decides.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        owner: &Owner,
        lease: Duration,
    ) -> (Admission, u64) {
        let admission = match &mut self.away {
            Some(away) => away.breaker.admit(now, owner, lease),
            // Back since it was asked: what was seen last is as good.
            None => self.recalled(now).admit(now, owner, lease),
        };
        (admission, self.epoch)
    }

    /// Takes in a result by itself. What is `told` to the store later is what the store cannot
    /// know.
    pub(super) fn record(&mut self, now: Timestamp, policy: &Policy, said: &Said<'_>) -> Change {
        let Some(away) = &mut self.away else {
            self.tally.add(now, policy, said);
            let seen = self.snapshot(now);
            return Change { applied: false, from: seen.state, seen, became_dormant: false };
        };
        let ticket = match said.epoch {
            Some(epoch) if epoch == self.epoch => Some(said.ticket.clone()),
            // Somebody else's: the store's, or that of an absence before.
            Some(_) | None => away.breaker.adopt(said.ticket),
        };
        let Some(ticket) = ticket else {
            let seen = away.breaker.snapshot(now);
            return Change { applied: false, from: seen.state, seen, became_dormant: false };
        };
        let draw = fastrand::f64();
        let change = away.breaker.record(now, policy, &ticket, said.outcome, said.times, draw);
        if change.applied {
            away.tripped = match said.outcome {
                Outcome::Neutral => away.tripped,
                Outcome::Success => false,
                Outcome::Failure => change.seen.state != State::Closed,
            };
            if said.told {
                self.tally.add(now, policy, said);
            }
            self.tally.alerted |= change.became_dormant;
        }
        change
    }

    pub(super) fn give_back(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        ticket: &Ticket,
        epoch: u64,
    ) {
        if let Some(away) = &mut self.away
            && epoch == self.epoch
        {
            away.breaker.record(now, policy, ticket, Outcome::Neutral, 1, 0.0);
        }
    }

    /// What the store has to be told next. It stays the same, its age aside, until
    /// [`told`](Self::told).
    pub(super) fn telling(
        &mut self,
        now: Timestamp,
        owner: &Owner,
        policy: &Policy,
    ) -> Option<Absence> {
        if self.telling.is_none() && !self.tally.is_empty() {
            let standing = match &self.away {
                Some(away) if away.tripped => away.breaker.clone(),
                // What it holds by hearsay is not for the store to learn.
                Some(_) | None => Breaker::default(),
            };
            let tally = std::mem::take(&mut self.tally);
            // Numbers up to 2^53 are the same everywhere.
            self.telling = Some(Telling { id: fastrand::u64(..1 << 53), tally, standing });
        }
        let Telling { id, tally, standing } = self.telling.as_ref()?;
        let samples = policy.window.map(|window| {
            let aged = |(at, successes, failures)| Aged { age: now.since(at), successes, failures };
            tally.window.samples(window).map(aged).collect()
        });
        Some(Absence {
            id: *id,
            owner: owner.clone(),
            samples: samples.unwrap_or_default(),
            answered: tally.answered,
            trailing: tally.trailing,
            standing: standing.snapshot(now),
        })
    }

    /// The store knows; whether an operator was told of it already.
    pub(super) fn told(&mut self) -> bool {
        self.telling.take().is_some_and(|telling| telling.tally.alerted)
    }

    pub(super) fn reset(&mut self) {
        if let Some(away) = &mut self.away {
            away.breaker = Breaker::starting_at(away.breaker.generation() + 1);
            away.tripped = false;
        }
        self.tally = Tally::default();
        self.telling = None;
        self.seen = Snapshot::default();
    }

    pub(super) fn force_dormant(&mut self, now: Timestamp, policy: &Policy) {
        if let Some(away) = &mut self.away {
            away.breaker.force_dormant(now, policy);
            away.tripped = false;
        }
    }
}

impl Tally {
    fn is_empty(&self) -> bool {
        !self.answered && self.trailing == 0
    }

    fn add(&mut self, now: Timestamp, policy: &Policy, said: &Said<'_>) {
        let (successes, failures) = match said.outcome {
            Outcome::Neutral => return,
            Outcome::Success => (said.times, 0),
            Outcome::Failure => (0, said.times),
        };
        if let Some(window) = policy.window {
            self.window.add(window, now, now, successes, failures);
        }
        if successes > 0 {
            self.answered = true;
            self.trailing = 0;
        } else {
            self.trailing = self.trailing.saturating_add(failures);
        }
    }
}
