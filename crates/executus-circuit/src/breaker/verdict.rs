//! What is asked of a circuit, and what it answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::key::Owner;
use crate::snapshot::{Snapshot, State};

/// What a call teaches about its peer. It is neither what the attempt was nor what the caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The peer is there.
    Success,
    /// The peer is not there.
    Failure,
    /// Nothing: neither counted nor a reason to forget what was.
    Neutral,
}

/// What an admitted call brings back with its outcome.
///
/// A store makes and reads it. Callers hold a [`Permit`](crate::Permit), which cannot be used twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    generation: u64,
    owner: Owner,
    probe: bool,
}

impl Ticket {
    /// What a store gives out.
    #[must_use]
    pub const fn new(generation: u64, owner: Owner, probe: bool) -> Self {
        Self { generation, owner, probe }
    }

    /// The generation that admitted the call.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Who asked.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether the call is the one that probes.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.probe
    }
}

/// Whether a call may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted {
        /// To bring back with the outcome.
        ticket: Ticket,
        /// The circuit after it was asked.
        seen: Snapshot,
    },
    /// It may not.
    Refused {
        /// The circuit after it was asked.
        seen: Snapshot,
        /// When a call may pass again, at the latest.
        retry_after: Duration,
    },
}

/// What a result did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whether it did anything: false for a late result and for a word that was said before.
    pub applied: bool,
    /// The state before.
    pub from: State,
    /// The circuit after it.
    pub seen: Snapshot,
    /// Whether the circuit became dormant by it, and an operator must be told. True for one caller
    /// of all who share the store.
    pub became_dormant: bool,
}

impl Change {
    /// The state before and after, when they differ.
    #[must_use]
    pub fn moved(&self) -> Option<(State, State)> {
        (self.from != self.seen.state).then_some((self.from, self.seen.state))
    }
}
