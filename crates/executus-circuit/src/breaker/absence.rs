//! What a process saw while its store was away, and how it is merged.

use std::time::Duration;

use executus_core::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Breaker, Change};
use crate::key::Owner;
use crate::policy::Policy;
use crate::snapshot::{Snapshot, State};

/// So many ids of merged absences are remembered by one circuit.
pub(super) const REMEMBERED: usize = 16;

/// Samples that are so old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aged {
    /// How long before the merging they were taken: two clocks need not agree on the time.
    pub age: Duration,
    /// How many successes.
    pub successes: u32,
    /// How many failures.
    pub failures: u32,
}

/// What one process saw of a circuit while the store was away from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// An absence is merged once by its id, however often it is told. Below 2^53.
    pub id: u64,
    /// Whose it is.
    pub owner: Owner,
    /// The samples of the error rate's window, the oldest first.
    pub samples: Vec<Aged>,
    /// Whether the peer answered at least once.
    pub answered: bool,
    /// Failures after the last answer, or all of them.
    pub trailing: u32,
    /// What the process itself held of the circuit in the end.
    pub standing: Snapshot,
}

impl Breaker {
    /// Takes in what a process saw while the store was away from it; `draw` is evenly from
    /// `[0, 1)`.
    ///
    /// A closed circuit learns the samples, and opens when they trip it or when the process had
    /// opened its own. Any other learns nothing of samples: they are late, and its next probe will
    /// tell. It goes as far as the process had gone whose own probes failed more often. A probe
    /// that its owner lost sight of is given back.
    pub fn merge(
        &mut self,
        now: Timestamp,
        policy: &Policy,
        absence: &Absence,
        draw: f64,
    ) -> Change {
        let from = self.state;
        if self.merged.contains(&absence.id) {
            return self.change(now, from, false);
        }
        if self.merged.len() == REMEMBERED {
            self.merged.remove(0);
        }
        self.merged.push(absence.id);
        if self.probe.as_ref().is_some_and(|probe| probe.owner == absence.owner) {
            self.probe = None;
        }
        if self.state == State::Closed {
            self.learn(now, policy, absence);
        }
        let standing = &absence.standing;
        let worse = match self.state {
            State::Closed => true,
            State::Open | State::Dormant => standing.probe_count >= self.since_opening,
        };
        if standing.state != State::Closed && worse {
            self.failures = self.failures.max(standing.failure_count);
            self.leave(standing.state, now.after(standing.next_probe.min(policy.dormant)));
            self.since_opening = standing.probe_count.saturating_add(1);
        } else if self.state == State::Closed && absence.trailing > 0 && self.trips(now, policy) {
            self.open(now, policy, 1, draw);
        }
        self.change(now, from, true)
    }

    fn learn(&mut self, now: Timestamp, policy: &Policy, absence: &Absence) {
        if let Some(window) = policy.window {
            for sample in &absence.samples {
                let at = now.before(sample.age);
                self.window.add(window, now, at, sample.successes, sample.failures);
            }
        }
        let before = if absence.answered { 0 } else { self.failures };
        self.failures = before.saturating_add(absence.trailing);
    }
}
