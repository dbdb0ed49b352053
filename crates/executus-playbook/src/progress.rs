//! Where a playbook stands, told by its transcript alone.

use std::borrow::Cow;

use executus_core::text::{REDACTED, bounded_to};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Effect, Entry, ToolError, Transcript};
use regex::Regex;
use serde_json::Value;

use crate::file::PlaybookDef;
use crate::param::ParamDef;
use crate::report::StepResult;
use crate::step::{StepDef, Verify};
use crate::template::{Part, Template};
use crate::value::value_text;

/// The longest part of an expected text that an error shows, in bytes.
const SHOWN_BYTES: usize = 200;

/// What the names of a playbook are bound to so far.
#[derive(Debug, Clone)]
pub(crate) struct Known<'a> {
    params: &'a [ParamDef],
    inputs: &'a Value,
    stored: Vec<(&'a str, &'a str)>,
}

impl<'a> Known<'a> {
    pub(crate) const fn new(params: &'a [ParamDef], inputs: &'a Value) -> Self {
        Self { params, inputs, stored: Vec::new() }
    }

    pub(crate) fn is_sensitive(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.sensitive && param.name == name)
    }

    /// The text of a name; `[redacted]` for a sensitive one.
    pub(crate) fn show(&self, name: &str) -> Option<Cow<'a, str>> {
        if self.is_sensitive(name) {
            return Some(REDACTED.into());
        }
        let stored = self.stored.iter().find(|(stored, _)| *stored == name);
        stored.map(|(_, text)| (*text).into()).or_else(|| self.inputs.get(name).map(value_text))
    }

    /// A template as text. A name that is not bound, which loading rules out, shows as itself.
    pub(crate) fn render(&self, template: &Template) -> String {
        template
            .render(|name| Some(self.show(name).unwrap_or_else(|| format!("{{{name}}}").into())))
            .unwrap_or_default()
    }
}

/// What comes next in a playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// An attempt of a step, both from 1.
    Attempt { step: usize, attempt: u32 },
    /// The final text.
    Finish,
    /// The step failed for good. The transcript after it, if any, is that of a recovery.
    Failed { step: usize, error: String },
    /// The transcript is not that of this playbook.
    Stray { found: String, expected: String },
}

/// The fold of a transcript.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    pub(crate) next: Next,
    pub(crate) known: Known<'a>,
    pub(crate) results: Vec<StepResult>,
}

/// The id of a step's call: a resumed playbook finds its way by it.
pub(crate) fn call_id(step: &StepDef, attempt: u32) -> String {
    format!("{}#{attempt}", step.id)
}

impl<'a> Progress<'a> {
    pub(crate) fn of(
        def: &'a PlaybookDef,
        mut known: Known<'a>,
        transcript: &'a Transcript,
    ) -> Self {
        let mut calls = transcript.entries().iter().filter_map(|entry| match entry {
            Entry::Result(acted) => Some(acted.as_ref()),
            Entry::Reply(_) | Entry::Steer(_) => None,
        });
        let mut results: Vec<StepResult> = Vec::new();
        'steps: for (at, step) in def.steps.iter().enumerate() {
            let number = at + 1;
            let mut result = StepResult::new(number, step, &known);
            for attempt in 1..=step.on_failure.attempts() {
                let Some(acted) = calls.next() else {
                    return Self { next: Next::Attempt { step: number, attempt }, known, results };
                };
                let expected = call_id(step, attempt);
                if *acted.id != *expected {
                    let found = acted.id.to_string();
                    return Self { next: Next::Stray { found, expected }, known, results };
                }
                result.attempts = attempt;
                result.duration_ms += acted.duration_ms;
                match judge(step, acted, &known) {
                    Ok(text) => {
                        result.outcome = Ok(text.to_owned());
                        results.push(result);
                        known.stored.extend(step.store_as.as_deref().map(|name| (name, text)));
                        continue 'steps;
                    }
                    Err(error) => result.outcome = Err(shown(step, error, &known)),
                }
                if is_open(step, acted) {
                    break;
                }
            }
            let error = result.outcome.as_ref().err().cloned().unwrap_or_default();
            results.push(result);
            return Self { next: Next::Failed { step: number, error }, known, results };
        }
        Self { next: Next::Finish, known, results }
    }
}

/// The text of a call that succeeded and passed its verification.
fn judge<'a>(step: &StepDef, acted: &'a Acted, known: &Known<'_>) -> Result<&'a str, String> {
    let text = match &acted.outcome {
        CallOutcome::Output(output) => output.text.as_str(),
        CallOutcome::Failed(error) => return Err(error.to_string()),
        CallOutcome::Unknown => {
            return Err("the outcome is unknown: the call was cut off".into());
        }
    };
    let Some(verify) = &step.verify else { return Ok(text) };
    let refusal = match verify {
        Verify::Contains(template) => {
            let part = known.render(template);
            (!text.contains(&part)).then(|| format!("does not contain {}", quoted(part)))
        }
        Verify::Equals(template) => {
            let whole = known.render(template);
            (text != whole).then(|| format!("is not {}", quoted(whole)))
        }
        Verify::NotEmpty => text.trim().is_empty().then(|| "is empty".into()),
        Verify::Matches(pattern) => {
            let matches = match &pattern.fixed {
                Some(regex) => regex.is_match(text),
                None => bound(&pattern.template, known)?.is_match(text),
            };
            (!matches).then(|| format!("does not match {}", quoted(pattern.template.to_string())))
        }
    };
    refusal.map_or(Ok(text), |refusal| Err(format!("the result {refusal}")))
}

/// The expression with its values bound: each value matches itself.
fn bound(template: &Template, known: &Known<'_>) -> Result<Regex, String> {
    let expression = template.parts().iter().map(|part| match part {
        Part::Text(text) => Cow::from(text),
        Part::Name(name) => regex::escape(&known.show(name).unwrap_or_default()).into(),
    });
    Regex::new(&expression.collect::<String>())
        .map_err(|error| format!("the bound expression of `matches` cannot be used: {error}"))
}

fn quoted(text: String) -> String {
    format!("\"{}\"", bounded_to(text, SHOWN_BYTES))
}

/// The step's own message, where it has one, instead of the raw error.
fn shown(step: &StepDef, error: String, known: &Known<'_>) -> String {
    if step.failure_message.is_empty() { error } else { known.render(&step.failure_message) }
}

/// Whether the call may have had its effect, and must not have it twice.
fn is_open(step: &StepDef, acted: &Acted) -> bool {
    let unknown = matches!(
        acted.outcome,
        CallOutcome::Unknown | CallOutcome::Failed(ToolError::Timeout { .. })
    );
    unknown && step.tool.effect == Effect::Once
}
