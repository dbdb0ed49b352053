//! One action, as its file holds it.

use executus_core::text::{scrub, scrub_json};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Call, Reply, RunId, Timestamp, ToolError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cut::cut_texts;
use crate::name;
use crate::playbook::PlaybookStep;
use crate::summary::summary;

/// The version of the form.
const FORMAT: u32 = 1;

/// An action: what was asked, and what came of it. Scrubbed; long texts in its input are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of this form: 1.
    pub format: u32,
    /// The run; filled in when it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The number of its record; `None` for what is no record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When it ended.
    pub at: Timestamp,
    /// The step, from 1.
    pub step: u32,
    /// The call within the step, from 0.
    pub call: u32,
    /// The tool.
    pub tool: String,
    /// What it was to do, where its arguments say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The action in one line.
    pub summary: String,
    /// The arguments; `null` when they are not known.
    pub input: Value,
    /// What the model said when it asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// `result`, `error` or `unknown`.
    pub outcome: Value,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

impl Entry {
    /// An action of a tool, for a [`Router`](crate::Router). Scrubbed and cut as it is written.
    #[must_use]
    pub fn new(step: u32, tool: &str, input: Value, result: &str) -> Self {
        let call = Call { name: tool.into(), args: input, ..Call::default() };
        let outcome = json!({"result": {"text": scrub(result)}});
        Self::of_call(step, 0, &call, outcome)
    }

    /// A step of a playbook.
    #[must_use]
    pub fn playbook(step: &PlaybookStep) -> Self {
        let outcome = match &step.error {
            Some(error) => json!({"error": {"message": PlaybookStep::told(error)}}),
            None => json!({"result": {"text": PlaybookStep::told(&step.result)}}),
        };
        Self {
            tool: "playbook".into(),
            action: Some(scrub(&step.action).into_owned()),
            summary: step.summary(),
            input: step.input(),
            ..Self::bare(step.index.saturating_add(1), outcome)
        }
    }

    /// A call that ended; `reply` is the one that asked for it.
    pub(crate) fn of_acted(acted: &Acted, reply: Option<&Reply>, playbook: bool) -> Self {
        let known = reply.and_then(|reply| reply.calls.get(acted.call as usize));
        let mut entry = match (known, playbook) {
            (known, true) => {
                let args = known.map_or(&Value::Null, |call| &call.args);
                let index = acted.step.saturating_sub(1);
                let mut step = PlaybookStep::of_call(index, &acted.name, args);
                match &acted.outcome {
                    CallOutcome::Output(output) => step.result.clone_from(&output.text),
                    CallOutcome::Failed(error) => step.error = Some(error.to_string()),
                    CallOutcome::Unknown => step.error = Some("the outcome is not known".into()),
                }
                Self::playbook(&step)
            }
            (Some(call), false) => {
                let mut entry = Self::of_call(acted.step, acted.call, call, outcome(acted));
                let said = reply.map(|reply| reply.text.as_str()).filter(|text| !text.is_empty());
                entry.reasoning = said.map(|text| scrub(text).into_owned());
                entry
            }
            (None, false) => {
                let tool = scrub(&acted.name).into_owned();
                Self { tool, ..Self::bare(acted.step, outcome(acted)) }
            }
        };
        entry.call = acted.call;
        entry.duration_ms = acted.duration_ms;
        entry
    }

    fn of_call(step: u32, at: u32, call: &Call, outcome: Value) -> Self {
        let mut input = scrub_json(&call.args);
        cut_texts(&mut input);
        let action = ["action", "operation"].iter().find_map(|name| input.get(name)?.as_str());
        Self {
            call: at,
            tool: scrub(&call.name).into_owned(),
            action: action.map(str::to_owned),
            summary: summary(call),
            input,
            ..Self::bare(step, outcome)
        }
    }

    fn bare(step: u32, outcome: Value) -> Self {
        Self {
            format: FORMAT,
            run_id: None,
            seq: None,
            at: Timestamp::from_micros(0),
            step,
            call: 0,
            tool: String::new(),
            action: None,
            summary: String::new(),
            input: Value::Null,
            reasoning: None,
            outcome,
            duration_ms: 0,
        }
    }

    /// The name of its file, without its ending.
    pub(crate) fn stem(&self) -> String {
        name::action(self.step, self.call, &self.tool, self.action.as_deref())
    }

    /// What readers of a stream may get: without the input and without the model's reasoning. The
    /// id of the event is the number of the record.
    #[must_use]
    pub fn for_clients(&self) -> (Option<u64>, Value) {
        let shown = json!({
            "run_id": self.run_id, "at": self.at, "step": self.step, "call": self.call,
            "tool": self.tool, "action": self.action, "summary": self.summary,
            "outcome": self.outcome, "duration_ms": self.duration_ms,
        });
        (self.seq, shown)
    }
}

fn outcome(acted: &Acted) -> Value {
    let outcome = match &acted.outcome {
        CallOutcome::Output(output) => json!({"result": {
            "text": output.text, "data": output.data, "artifacts": output.artifacts,
        }}),
        CallOutcome::Failed(error) => json!({"error": failure(error)}),
        CallOutcome::Unknown => json!({"unknown": true}),
    };
    scrub_json(&outcome)
}

fn failure(error: &ToolError) -> Value {
    json!({"message": error.to_string(), "retryable": error.retry()})
}
