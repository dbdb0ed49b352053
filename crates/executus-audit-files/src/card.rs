//! `run.json`: whose directory it is, and how the run stands.

use executus_core::port::{AuditError, RunStart};
use executus_core::text::scrub_json;
use executus_core::{Outcome, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the file.
pub(crate) const FILE: &str = "run.json";
/// The version of the form.
const FORMAT: u32 = 1;

/// How a run stands, scrubbed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunCard {
    /// The version of this form: 1.
    pub format: u32,
    /// The run whose directory it is.
    pub run_id: RunId,
    /// What was asked for; `null` for entries without a recorded run.
    #[serde(default)]
    pub spec: Value,
    /// Its lives.
    #[serde(default)]
    pub lives: Vec<Life>,
    /// How its newest life ended; `None` while it goes on, and after its process died.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Whether it is over for good.
    #[serde(default)]
    pub closed: bool,
}

/// One life of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its number, from 1.
    pub attempt: u32,
    /// When it began.
    pub at: Timestamp,
}

impl RunCard {
    pub(crate) const fn new(run_id: RunId) -> Self {
        Self {
            format: FORMAT,
            run_id,
            spec: Value::Null,
            lives: Vec::new(),
            outcome: None,
            closed: false,
        }
    }

    /// A life begins, or begins once more.
    pub(crate) fn begin(&mut self, start: &RunStart) -> Result<(), AuditError> {
        if let Some(outcome) = self.outcome.clone().filter(|_| self.closed) {
            return Err(AuditError::Closed { outcome: Box::new(outcome) });
        }
        if self.spec.is_null() {
            self.spec = scrub_json(&serde_json::to_value(&start.spec).unwrap_or_default());
        }
        if self.lives.last().is_none_or(|life| life.attempt != start.attempt) {
            self.lives.push(Life { attempt: start.attempt, at: start.at });
        }
        self.outcome = None;
        Ok(())
    }

    pub(crate) fn end(&mut self, outcome: Outcome, closes: bool) {
        self.outcome = Some(outcome);
        self.closed = closes;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
