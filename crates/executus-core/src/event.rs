//! Live events of a run: for watching, never for deciding. Bounded and lossy.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

use crate::id::RunId;
use crate::status::{Outcome, RunStatus};
use crate::time::Timestamp;

/// Something to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The run was admitted and begins.
    Started {
        /// The run.
        run_id: RunId,
        /// What runs.
        name: Arc<str>,
    },
    /// The model is asked.
    StepStarted {
        /// The step, from 1.
        step: u32,
    },
    /// A piece of the model's answer.
    Delta {
        /// The step.
        step: u32,
        /// Its number within the step, from 0.
        index: u32,
        /// The piece.
        text: String,
    },
    /// The pieces of this step so far are void.
    DeltaReset {
        /// The step.
        step: u32,
    },
    /// An attempt to decide failed; another one may follow.
    AttemptFailed {
        /// The step.
        step: u32,
        /// The model that was asked.
        model: Arc<str>,
        /// Why.
        error: String,
    },
    /// The model decided.
    Decided {
        /// The step.
        step: u32,
        /// Its text.
        text: String,
        /// How many calls it asks for.
        calls: u32,
    },
    /// A call is not made before somebody approves it.
    ApprovalAsked {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
        /// The tool.
        name: Arc<str>,
        /// The arguments, scrubbed.
        args: Value,
        /// Until when an answer counts.
        until: Timestamp,
    },
    /// Somebody answered, or nobody did in time.
    ApprovalAnswered {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
        /// Whether the call is made.
        approved: bool,
        /// Who said so; empty when nobody did.
        by: Arc<str>,
    },
    /// A call begins.
    ToolStarted {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
        /// The tool.
        name: Arc<str>,
        /// The arguments, scrubbed.
        args: Value,
    },
    /// A tool says how far it is.
    ToolProgress {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
        /// What it says.
        text: String,
    },
    /// A call ended.
    ToolFinished {
        /// The step.
        step: u32,
        /// The call within the step.
        call: u32,
        /// The tool.
        name: Arc<str>,
        /// Why it failed; `None` when it did not.
        error: Option<String>,
        /// How long it took.
        duration_ms: u64,
    },
    /// Somebody steered.
    Steered {
        /// Who.
        source: Arc<str>,
        /// What.
        text: String,
    },
    /// The run is about to end with this status.
    Finishing {
        /// The status.
        status: RunStatus,
    },
    /// The run ended. Always the last event.
    Finished {
        /// How.
        outcome: Arc<Outcome>,
    },
}

/// Receives the events of one run.
#[derive(Debug)]
pub struct EventStream {
    receiver: broadcast::Receiver<Event>,
    ended: bool,
}

impl EventStream {
    pub(crate) fn channel(capacity: usize) -> (broadcast::Sender<Event>, Self) {
        let (sender, receiver) = broadcast::channel(capacity.max(1));
        (sender, Self { receiver, ended: false })
    }

    /// One more for the same events.
    pub(crate) fn beside(sender: &broadcast::Sender<Event>) -> Self {
        Self { receiver: sender.subscribe(), ended: false }
    }

    /// The next event; `None` when the run has ended and all were read.
    ///
    /// Events that did not fit the buffer while nobody read are skipped. Cancel safe: a dropped
    /// call loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            match self.receiver.recv().await {
                Ok(event) => {
                    self.ended = matches!(event, Event::Finished { .. });
                    return Some(event);
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => self.ended = true,
            }
        }
        None
    }
}
