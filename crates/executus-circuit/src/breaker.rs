//! The record of one circuit, and the pure function of what happens to it.
//!
//! Time enters as an argument and so does chance: whoever calls is the clock. A store calls these
//! methods under its lock, or does the same in a script.

use std::time::Duration;

use executus_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::Owner;
use crate::policy::Policy;
use crate::snapshot::{Snapshot, State};
use crate::window::Window;

mod absence;
mod stored;
mod verdict;

pub use absence::{Absence, Aged};
pub use verdict::{Admission, Change, Outcome, Ticket};

/// Where a probe sits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    owner: Owner,
    until: Timestamp,
}

/// The record of one circuit: small, of whole numbers, and the same in any store.
///
/// A circuit is closed until its [`Policy`] trips it: by failures in a row or by an error rate. It
/// is then open for a cooldown, after which one call passes as the probe. The probe's success
/// closes it, its failure opens it again for longer, and after many it is dormant.
///
/// Each state, and each probe, is a generation. A [`Ticket`] is of the generation that admitted it,
/// and what comes late, after the circuit moved on, changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "stored::Stored", into = "stored::Stored")]
pub struct Breaker {
    generation: u64,
    state: State,
    failures: u32,
    /// The opening failure is the first.
    since_opening: u32,
    /// When a probe may pass.
    until: Timestamp,
    forced: bool,
    probe: Option<Probe>,
    window: Window,
    /// Absences that were merged lately.
    merged: Vec<u64>,
}

impl Breaker {
    /// A closed circuit whose first generation is this: one that no ticket of an earlier record of
    /// the same circuit has.
    #[must_use]
    pub fn starting_at(generation: u64) -> Self {
        Self { generation, ..Self::default() }
    }

    /// A circuit as it was last seen, `age` ago.
    #[must_use]
    pub fn as_seen(seen: &Snapshot, age: Duration, now: Timestamp) -> Self {
        let since_opening = match seen.state {
            State::Closed => 0,
            State::Open | State::Dormant => seen.probe_count.saturating_add(1),
        };
        Self {
            state: seen.state,
            failures: seen.failure_count,
            since_opening,
            until: now.after(seen.next_probe.saturating_sub(age)),
            ..Self::default()
        }
    }

    /// Asks whether a call may pass. A probe keeps its place for `lease` at most.
    pub fn admit(&mut self, now: Timestamp, owner: &Owner, lease: Duration) -> Admission {
        let refused = |this: &Self, until: Timestamp| {
            let seen = this.snapshot(now);
            Admission::Refused { seen, retry_after: until.since(now) }
        };
        if let Some(admission) = self.pass(owner) {
            return admission;
        }
        if now < self.until {
            return refused(self, self.until);
        }
        if let Some(probe) = &self.probe
            && now < probe.until
        {
            return refused(self, probe.until);
        }
        self.generation += 1;
        self.probe = Some(Probe { owner: owner.clone(), until: now.after(lease) });
        let ticket = Ticket::new(self.generation, owner.clone(), true);
        Admission::Admitted { ticket, seen: self.snapshot(now) }
    }

    /// Asks whether a call may pass because the circuit is closed, which needs no clock; `None`
    /// when it is not, and [`admit`](Self::admit) says the rest.
    #[must_use]
    pub fn pass(&self, owner: &Owner) -> Option<Admission> {
        if self.state != State::Closed {
            return None;
        }
        let ticket = Ticket::new(self.generation, owner.clone(), false);
        let seen = Snapshot { failure_count: self.failures, ..Snapshot::default() };
        Some(Admission::Admitted { ticket, seen })
    }

    /// Takes in how an admitted call went, `times` times; `draw` is evenly from `[0, 1)`.
    pub fn record(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        ticket: &Ticket,
        outcome: Outcome,
        times: u32,
        draw: f64,
    ) -> Change {
        let from = self.state;
        let applied = times > 0 && self.is_current(ticket);
        if applied {
            match (ticket.is_probe(), outcome) {
                (false, Outcome::Neutral) => {}
                (false, Outcome::Success) => self.succeeded(now, policy, times),
                (false, Outcome::Failure) => self.failed(now, policy, times, draw),
                (true, Outcome::Neutral) => self.probe = None,
                (true, Outcome::Success) => self.close(),
                (true, Outcome::Failure) => self.probe_failed(now, policy, draw),
            }
        }
        self.change(now, from, applied)
    }

    /// Takes in what somebody saw who looked without asking, such as a health check. A success
    /// closes an open circuit, a failure opens it for longer; a dormant one is left alone.
    pub fn observe(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        outcome: Outcome,
        draw: f64,
    ) -> Change {
        let from = self.state;
        let applied = match (from, outcome) {
            (State::Dormant, _) | (_, Outcome::Neutral) => false,
            (State::Closed, Outcome::Success) => {
                self.succeeded(now, policy, 1);
                true
            }
            (State::Closed, Outcome::Failure) => {
                self.failed(now, policy, 1, draw);
                true
            }
            (State::Open, Outcome::Success) => {
                self.close();
                true
            }
            (State::Open, Outcome::Failure) => {
                self.probe_failed(now, policy, draw);
                true
            }
        };
        self.change(now, from, applied)
    }

    /// Makes the circuit dormant by an operator's word. While it is so already, nothing changes.
    pub fn force_dormant(&mut self, now: Timestamp, policy: &Policy) -> Change {
        let from = self.state;
        let applied = !(from == State::Dormant && self.forced && now < self.until);
        if applied {
            self.leave(State::Dormant, now.after(policy.forced_dormant));
            self.forced = true;
        }
        // The operator knows: no alert.
        Change { became_dormant: false, ..self.change(now, from, applied) }
    }

    /// What it looks like.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let closed = self.state == State::Closed;
        let next_probe = if closed { Duration::ZERO } else { self.until.since(now) };
        Snapshot {
            state: self.state,
            failure_count: self.failures,
            probe_count: self.since_opening.saturating_sub(1),
            cooldown_remaining: if self.state == State::Open { next_probe } else { Duration::ZERO },
            next_probe,
            probing: self.probe.as_ref().is_some_and(|probe| now < probe.until),
        }
    }

    /// A ticket of this circuit for a call that another record of it admitted; `None` when the call
    /// is late here too.
    pub(crate) fn adopt(&mut self, ticket: &Ticket) -> Option<Ticket> {
        let owner = ticket.owner().clone();
        match (self.state, &self.probe) {
            (State::Closed, _) => Some(Ticket::new(self.generation, owner, false)),
            (State::Open | State::Dormant, None) if ticket.is_probe() => {
                self.generation += 1;
                self.probe = Some(Probe { owner: owner.clone(), until: Timestamp::default() });
                Some(Ticket::new(self.generation, owner, true))
            }
            (State::Open | State::Dormant, _) => None,
        }
    }

    /// The generation of tickets that are given out now.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// When a probe may pass; the past for a closed circuit.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether it is what a circuit without a record would be, tickets aside.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp, policy: &Policy) -> bool {
        let samples = policy.window.map_or((0, 0), |window| self.window.count(window, now));
        self.state == State::Closed && self.failures == 0 && samples == (0, 0)
    }

    /// A result counts when it is of this generation. A probe has one of its own, and a place.
    fn is_current(&self, ticket: &Ticket) -> bool {
        ticket.generation() == self.generation
            && match &self.probe {
                Some(probe) => ticket.is_probe() && probe.owner == *ticket.owner(),
                None => !ticket.is_probe() && self.state == State::Closed,
            }
    }

    fn change(&self, now: Timestamp, from: State, applied: bool) -> Change {
        let became_dormant = applied && self.state == State::Dormant && from != State::Dormant;
        Change { applied, from, seen: self.snapshot(now), became_dormant }
    }

    fn succeeded(&mut self, now: Timestamp, policy: &Policy, times: u32) {
        self.failures = 0;
        if let Some(window) = policy.window {
            self.window.add(window, now, now, times, 0);
        }
    }

    fn failed(&mut self, now: Timestamp, policy: &Policy, times: u32, draw: f64) {
        // No more than `consecutive` rounds, which is a checked number.
        for _ in 0..times {
            self.failures = self.failures.saturating_add(1);
            if let Some(window) = policy.window {
                self.window.add(window, now, now, 0, 1);
            }
            if self.trips(now, policy) {
                self.open(now, policy, 1, draw);
                return;
            }
        }
    }

    /// Only a failure trips: a peer that has just answered is there.
    fn trips(&self, now: Timestamp, policy: &Policy) -> bool {
        if self.failures >= policy.consecutive {
            return true;
        }
        let Some(window) = policy.window else { return false };
        let (good, bad) = self.window.count(window, now);
        let all = good + bad;
        #[expect(clippy::cast_precision_loss, reason = "at most 31 sums of u32")]
        let rate_reached = bad as f64 >= policy.window_ratio * all as f64;
        all >= u64::from(policy.window_samples) && rate_reached
    }

    fn probe_failed(&mut self, now: Timestamp, policy: &Policy, draw: f64) {
        self.failures = self.failures.saturating_add(1);
        let nth = self.since_opening.saturating_add(1);
        if self.state == State::Dormant {
            self.leave(State::Dormant, now.after(policy.dormant));
            self.since_opening = nth;
        } else {
            self.open(now, policy, nth, draw);
        }
    }

    /// Opens for the cooldown of the `nth` failure since the opening, or becomes dormant by it.
    fn open(&mut self, now: Timestamp, policy: &Policy, nth: u32, draw: f64) {
        if nth >= policy.dormant_after {
            self.leave(State::Dormant, now.after(policy.dormant));
        } else {
            self.leave(State::Open, now.after(policy.cooldown(nth, draw)));
        }
        self.since_opening = nth;
    }

    fn close(&mut self) {
        self.leave(State::Closed, Timestamp::default());
        self.failures = 0;
        self.since_opening = 0;
    }

    /// Each state is a generation. What the window said has been judged, and it starts anew.
    fn leave(&mut self, to: State, until: Timestamp) {
        self.state = to;
        self.generation += 1;
        self.until = until;
        self.forced = false;
        self.probe = None;
        self.window.clear();
    }
}
