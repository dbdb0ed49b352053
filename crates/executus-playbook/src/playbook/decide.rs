//! What a playbook decides: an attempt of a step, the final reply, or what its model says after a
//! hand-over.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Call, Entry, Model, ModelError, Reply, Toolbox, Turn, Usage};
use serde_json::Value;

use super::Playbook;
use crate::arguments::bind_arguments;
use crate::extract::{Question, SUBMIT_FIELDS};
use crate::hand_over::HandOver;
use crate::progress::{Known, Next, call_id};
use crate::step::{Arg, StepDef, StepKind};
use crate::tool::ToolDef;

#[async_trait]
impl Model for Playbook {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let failed = |message: String| ModelError::Failed { message };
        let progress = self.progress(&turn.spec().inputs, turn.transcript());
        let (Some(progress), Some(def)) = (progress, self.def()) else {
            return Err(failed("the run file is no playbook".into()));
        };
        let last = progress.results.last();
        match &progress.next {
            Next::Attempt { step: number, attempt } => {
                let step = self.step(*number);
                let step = step.ok_or_else(|| failed(format!("no step {number}")))?;
                self.attempt(turn, step, *attempt, &progress.known).await.map_err(failed)
            }
            Next::Finish => {
                let text = match &def.output.template {
                    Some(template) => progress.known.render(template),
                    None => last.and_then(|last| last.outcome.clone().ok()).unwrap_or_default(),
                };
                self.finish(turn, Reply::text(text)).await.map_err(failed)
            }
            Next::Failed { step: number, error, is_open } => {
                if !self.step(*number).is_some_and(|step| self.hands_over(step)) {
                    return Err(failed(last.map_or_else(|| error.clone(), |last| last.failure())));
                }
                let (file, progress, failed_step) = (&*self.file, &progress, *number);
                let is_open = *is_open;
                let hand_over = HandOver { file, def, progress, failed: failed_step, is_open };
                self.recover(turn, hand_over).await.map_err(|recovery| {
                    failed(format!("step error: {error}; recovery error: {recovery}"))
                })
            }
            Next::Stray { found, expected } => Err(failed(format!(
                "the transcript is not that of this playbook: call `{found}` stands where \
                 `{expected}` was expected; resume with the run file that the run began with"
            ))),
        }
    }
}

impl Playbook {
    fn model(&self) -> Result<&dyn Model, String> {
        self.model.as_deref().ok_or_else(|| "the playbook has no model".into())
    }

    /// The reply for an attempt of a step.
    async fn attempt(
        &self,
        turn: &Turn,
        step: &StepDef,
        attempt: u32,
        known: &Known<'_>,
    ) -> Result<Reply, String> {
        if attempt > 1 {
            tokio::time::sleep(self.retry_delay).await;
        }
        let description = known.render(&step.description);
        match &step.kind {
            StepKind::Call { tool, args } => {
                let call = bound_call(call_id(step, attempt), tool, args, known);
                Ok(Reply { text: description, calls: vec![call], ..Reply::default() })
            }
            StepKind::Extract { text, fields } => {
                let text = known.render(text);
                let question = Question { task: &description, text: &text, fields };
                let answer = question.ask(self.model()?, turn).await;
                Ok(answer.into_reply(call_id(step, attempt), description, turn))
            }
        }
    }

    /// The final reply from one that has the final text: with the fields in its place, where the
    /// output has fields.
    async fn finish(&self, turn: &Turn, mut reply: Reply) -> Result<Reply, String> {
        let fields = self.def().map(|def| def.output.fields.as_slice()).unwrap_or_default();
        if fields.is_empty() {
            return Ok(reply);
        }
        let task = format!("This is the output of the playbook `{}`.", self.file.name);
        let question = Question { task: &task, text: &reply.text, fields };
        let answer = question.ask(self.model()?, turn).await;
        if let Some(said) = &answer.reply {
            reply.usage.add(&said.usage);
            reply.model = reply.model.or_else(|| said.model.clone());
        }
        match answer.fields {
            Ok(fields) => {
                reply.text = format!("{fields:#}");
                Ok(reply)
            }
            Err(error) => {
                let error = format!("the output could not be put into its fields: {error}");
                if answer.reply.is_some() || reply.usage != Usage::default() {
                    self.give_up(turn, &reply, &error);
                }
                Err(error)
            }
        }
    }

    /// The recovery's reply, after the step at hand failed for good.
    async fn recover(&self, turn: &Turn, hand_over: HandOver<'_>) -> Result<Reply, String> {
        let max_steps = hand_over.def.recovery.max_steps;
        let spent = || format!("no final answer after {max_steps} steps");
        let since = turn.transcript().since(hand_over.progress.place);
        let said = since.entries().iter().filter(|entry| matches!(entry, Entry::Reply(_))).count();
        let left = (max_steps as usize).saturating_sub(said);
        if left == 0 {
            return Err(spent());
        }
        let tools = turn.tools().iter().filter(|tool| *tool.spec().name != *SUBMIT_FIELDS);
        // A part of a toolbox has no name twice.
        let tools = Toolbox::new(tools.cloned()).unwrap_or_default();
        let mut brief = hand_over.brief();
        brief.prompt = turn.secrets().redact(brief.prompt);
        let model = self.model()?;
        let reply = model.decide(&turn.asking(brief, since, tools)).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let error = match (&reply.cut, reply.calls.is_empty()) {
            (None, true) => {
                if !hand_over.def.output.fields.is_empty() {
                    // Watchers have its pieces, and get those of another answer in their place.
                    turn.reset();
                }
                return self.finish(turn, reply).await;
            }
            (Some(why), true) => format!("the final answer is not whole: {why}"),
            (_, false) if left > 1 => return Ok(reply),
            // As in every run: nobody would read what the calls of the last reply answer.
            (_, false) => spent(),
        };
        self.give_up(turn, &reply, &error);
        Err(error)
    }

    /// Keeps count of a reply that is not used.
    fn give_up(&self, turn: &Turn, reply: &Reply, error: &str) {
        let named = || self.file.models.first().map_or("the model", String::as_str).into();
        let model = reply.model.clone().unwrap_or_else(named);
        turn.attempt_failed(model, error, reply.usage);
    }
}

fn bound_call(id: String, tool: &ToolDef, args: &[(String, Arg)], known: &Known<'_>) -> Call {
    let mut call = Call { id: id.into(), name: Arc::clone(&tool.name), ..Call::default() };
    match bind_arguments(tool, args, known) {
        Ok(bound) => {
            call.args = Value::Object(bound.args);
            call.secrets = bound.secrets;
        }
        // The call is answered with this error: the failure is recorded like any other.
        Err(error) => {
            call.args = Value::Object(serde_json::Map::new());
            call.broken = Some(error.into());
        }
    }
    call
}
