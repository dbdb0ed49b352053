//! What is known of a peer, layer by layer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where a peer's process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It is there and does not run.
    Stopped,
    /// There is none.
    NotFound,
    /// The system ended it for want of memory.
    OutOfMemory,
}

/// The process layer: what the machine says. A part that is not known is `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessFacts {
    /// Where it stands.
    pub state: ProcessState,
    /// How much of its processors it uses, in percent.
    pub cpu_percent: Option<f64>,
    /// How much of its memory it uses, in percent.
    pub memory_percent: Option<f64>,
    /// How often it was started again.
    pub restarts: Option<u32>,
}

impl ProcessFacts {
    /// A process of which only this is known.
    #[must_use]
    pub const fn new(state: ProcessState) -> Self {
        Self { state, cpu_percent: None, memory_percent: None, restarts: None }
    }
}

/// The network layer: how the peer answered when it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkFacts {
    /// Whether it answered at all.
    pub reachable: bool,
    /// The status of its answer.
    pub status: Option<u16>,
    /// Milliseconds until the head of the answer, to two decimals.
    pub latency_ms: Option<f64>,
    /// Why it did not answer, in one of a few fixed texts.
    pub error: Option<String>,
}

/// The application layer: what the peer says of itself, or what a host knows of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApplicationFacts {
    /// Whether what it runs is up.
    pub runtime_up: bool,
    /// How much of its context it uses, in percent.
    pub context_percent: Option<f64>,
    /// How long its oldest execution has been under way.
    pub longest_execution: Option<Duration>,
}

impl ApplicationFacts {
    /// An application of which only this is known.
    #[must_use]
    pub const fn new(runtime_up: bool) -> Self {
        Self { runtime_up, context_percent: None, longest_execution: None }
    }
}

/// What is known of one peer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Its process, where the host can see it.
    pub process: Option<ProcessFacts>,
    /// How it answered.
    pub network: Option<NetworkFacts>,
    /// What it says of itself.
    pub application: Option<ApplicationFacts>,
}
