//! Models and tools called by hand, without a run around them.

use std::sync::Arc;

use super::shared::Shared;
use super::{Executor, RunRequest};
use crate::model::Turn;
use crate::port::Ports;
use crate::secret::Secrets;
use crate::spec::RunSpec;
use crate::time::Clock;
use crate::tool::{ToolContext, Toolbox};
use crate::transcript::Transcript;

/// Stands for a run that nobody performs: it makes the turns and contexts that a model or a tool
/// is called with, in a test of that model or tool, or in a loop of a host's own.
///
/// Nothing is recorded, limited or settled, and nothing stops it.
#[derive(Debug, Clone)]
pub struct Standalone {
    shared: Arc<Shared>,
    secrets: Secrets,
}

impl Standalone {
    /// With the names, inputs, limits and secrets of a request; its model is not asked.
    #[must_use]
    pub fn new(request: &RunRequest) -> Self {
        let Executor(inner) = Executor::new(Ports::default());
        let clock = Clock::system();
        let RunRequest { ask, work } = request;
        let spec = ask.clone().into_spec(&inner.ports, work.delegates(), clock.start(), None);
        let deadline = spec.deadline;
        let events = work.events.clone();
        let shared = Arc::new(Shared::new(Arc::new(spec), inner, clock, deadline, events));
        Self { shared, secrets: work.secrets.clone() }
    }

    /// What the run is asked to be.
    #[must_use]
    pub fn spec(&self) -> &RunSpec {
        self.shared.spec()
    }

    /// What a [`Model`](crate::Model) is asked with for this step, from 1.
    #[must_use]
    pub fn turn(&self, step: u32, transcript: &Transcript, tools: &Toolbox) -> Turn {
        self.shared.unsay();
        Turn {
            shared: Arc::clone(&self.shared),
            spec: Arc::clone(self.shared.spec()),
            brief: None,
            transcript: transcript.clone(),
            tools: tools.clone(),
            secrets: self.secrets.clone(),
            step,
            deadline: self.shared.deadline(),
        }
    }

    /// What a tool is called with for this call of this step.
    #[must_use]
    pub fn context(&self, step: u32, call: u32) -> ToolContext {
        ToolContext {
            shared: Arc::clone(&self.shared),
            spec: Arc::clone(self.shared.spec()),
            secrets: self.secrets.clone(),
            step,
            call,
            part: None,
            deadline: self.shared.deadline(),
            hold: None,
        }
    }
}
