//! Where a playbook stands, told by its transcript alone.

use std::borrow::Cow;

use executus_core::text::{REDACTED, bounded_to};
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Effect, Entry, ToolError, Transcript, Usage};
use serde_json::Value;

use crate::file::PlaybookDef;
use crate::param::ParamDef;
use crate::report::StepResult;
use crate::step::{StepDef, StepKind};
use crate::template::Template;
use crate::value::value_text;
use crate::verification::judge;

/// What the names of a playbook are bound to so far.
#[derive(Debug, Clone)]
pub(crate) struct Known<'a> {
    params: &'a [ParamDef],
    inputs: &'a Value,
    stored: Vec<(&'a str, &'a str)>,
    /// The longest value that is shown, in bytes.
    max_bytes: usize,
}

impl<'a> Known<'a> {
    pub(crate) const fn new(params: &'a [ParamDef], inputs: &'a Value) -> Self {
        Self { params, inputs, stored: Vec::new(), max_bytes: usize::MAX }
    }

    /// The same, with values of at most so many bytes; a longer one says that it was cut.
    pub(crate) const fn cut_to(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
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
        let value = stored
            .map(|(_, text)| Cow::from(*text))
            .or_else(|| self.inputs.get(name).map(value_text))?;
        Some(match value.len() > self.max_bytes {
            true => bounded_to(value.into_owned(), self.max_bytes).into(),
            false => value,
        })
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
    Failed {
        step: usize,
        error: String,
        /// Its call may have had its effect all the same.
        is_open: bool,
    },
    /// The transcript is not that of this playbook.
    Stray { found: String, expected: String },
}

/// The fold of a transcript.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    pub(crate) next: Next,
    pub(crate) known: Known<'a>,
    pub(crate) results: Vec<StepResult>,
    /// How many entries of the transcript the steps take; what follows is a recovery's.
    pub(crate) place: usize,
}

/// The id of a step's call: a resumed playbook finds its way by it.
pub(crate) fn call_id(step: &StepDef, attempt: u32) -> String {
    format!("{}#{attempt}", step.id)
}

/// The results of a transcript, one after the other.
struct Results<'a> {
    entries: &'a [Entry],
    place: usize,
}

impl<'a> Results<'a> {
    /// The next result, and what the replies before it used.
    fn next(&mut self) -> Option<(&'a Acted, Usage)> {
        let mut usage = Usage::default();
        for (at, entry) in self.entries.iter().enumerate().skip(self.place) {
            match entry {
                Entry::Reply(reply) => usage.add(&reply.usage),
                Entry::Steer(_) => {}
                Entry::Result(acted) => {
                    self.place = at + 1;
                    return Some((acted, usage));
                }
            }
        }
        None
    }
}

impl<'a> Progress<'a> {
    pub(crate) fn of(def: &'a PlaybookDef, known: Known<'a>, transcript: &'a Transcript) -> Self {
        let mut calls = Results { entries: transcript.entries(), place: 0 };
        let mut progress = Self { next: Next::Finish, known, results: Vec::new(), place: 0 };
        for (at, step) in def.steps.iter().enumerate() {
            if let Some(next) = progress.pass(at + 1, step, &mut calls) {
                progress.next = next;
                break;
            }
        }
        progress.place = calls.place;
        progress
    }

    /// Passes the attempts of a step; what comes next when the playbook is not past it.
    fn pass(&mut self, number: usize, step: &'a StepDef, calls: &mut Results<'a>) -> Option<Next> {
        let mut result = StepResult::new(number, step, &self.known);
        let mut open = false;
        for attempt in 1..=step.attempts() {
            let Some((acted, usage)) = calls.next() else {
                return Some(Next::Attempt { step: number, attempt });
            };
            let expected = call_id(step, attempt);
            if *acted.id != *expected {
                return Some(Next::Stray { found: acted.id.to_string(), expected });
            }
            result.attempts = attempt;
            result.duration_ms += acted.duration_ms;
            result.usage.add(&usage);
            match judge(step, acted, &self.known) {
                Ok(text) => {
                    result.outcome = Ok(text.to_owned());
                    self.results.push(result);
                    self.known.stored.extend(step.store_as.as_deref().map(|name| (name, text)));
                    return None;
                }
                Err(error) => result.outcome = Err(shown(step, error, &self.known)),
            }
            open = is_open(step, acted);
            if open {
                break;
            }
        }
        let error = result.outcome.as_ref().err().cloned().unwrap_or_default();
        self.results.push(result);
        Some(Next::Failed { step: number, error, is_open: open })
    }
}

/// The step's own message, where it has one, instead of the raw error.
fn shown(step: &StepDef, error: String, known: &Known<'_>) -> String {
    if step.failure_message.is_empty() { error } else { known.render(&step.failure_message) }
}

/// Whether the call may have had its effect, and must not have it twice.
fn is_open(step: &StepDef, acted: &Acted) -> bool {
    let unknown = matches!(
        acted.outcome,
        CallOutcome::Unknown
            | CallOutcome::Failed(ToolError::Timeout { .. } | ToolError::Unknown { .. })
    );
    let once = match &step.kind {
        StepKind::Call { tool, .. } => tool.effect == Effect::Once,
        StepKind::Extract { .. } => false,
    };
    unknown && once
}
