//! Calls that somebody has to approve: asking, waiting for an answer without being performed, and
//! what an answer leads to.

use std::sync::Arc;

use super::act::{Prepared, Ready};
use super::life::{Flow, Life};
use super::shared::stop;
use crate::event::Event;
use crate::machine::{Run, Verdict};
use crate::record::{Answer, Fact, Stop};
use crate::status::{ErrorKind, RunError, RunStatus};
use crate::text;
use crate::time::Timestamp;
use crate::tool::{Tool, ToolError};

/// Leaves the answers that a kept run waits for. It waits for none in its first life: what is asked
/// in a life cannot have been answered before it.
#[cold]
pub(crate) fn keep_awaited(run: &Run, answers: &mut Vec<Answer>) {
    let is_awaited = |answer: &Answer| {
        let is_awaited = run.is_awaited(answer);
        if !is_awaited {
            let (step, call) = (answer.step, answer.call);
            tracing::warn!(run = %run.spec().run_id, step, call, "an answer that no call waits for");
        }
        is_awaited
    };
    answers.retain(is_awaited);
}

impl Life {
    /// Whether a call of this step is left as it is, since nobody has answered yet.
    pub(crate) fn is_waiting(&self, call: u32) -> bool {
        self.run.approval(call).is_some_and(|approval| approval.answer.is_none())
    }

    /// What the approval of a call says. One that an earlier life asked for stays asked for, even
    /// if the tool does not need it any more.
    #[cold]
    pub(crate) fn leave<'a>(&self, made: Prepared<'a>) -> Ready<'a> {
        let spec = made.tool.spec();
        let name = &spec.name;
        let denied = |code: &str, message| {
            Ready::Answer(ToolError::Denied { code: code.into(), message, ends_run: false })
        };
        let Some(approval) = self.run.approval(made.index) else {
            return match spec.approval {
                None => Ready::Make(made),
                Some(_) if self.run.spec().ports.checkpoint => Ready::Ask(made.tool),
                Some(_) => denied(
                    "approval_unavailable",
                    format!(
                        "not made: `{name}` needs an approval, and this run cannot wait for one"
                    ),
                ),
            };
        };
        let reason = approval.answer.as_ref().and_then(|answer| answer.reason.as_deref());
        match approval.verdict() {
            Some(Verdict::Approved) => Ready::Make(made),
            Some(Verdict::Expired) => {
                denied("approval_expired", format!("not made: nobody approved `{name}` in time"))
            }
            Some(Verdict::Denied) | None => denied(
                "approval_denied",
                match reason {
                    Some(reason) => format!("not made: `{name}` was not approved: {reason}"),
                    None => format!("not made: `{name}` was not approved"),
                },
            ),
        }
    }

    /// Asks for the approval of a call of this step.
    pub(crate) async fn ask(&mut self, step: u32, call: u32, tool: Arc<dyn Tool>) -> Flow {
        let spec = tool.spec();
        let at = self.shared.clock().now();
        let until = at.after(spec.approval.unwrap_or_default().as_duration());
        self.note_at(at, Fact::Asked { step, call, until }).await?;
        let args = self.run.reply().and_then(|reply| reply.calls.get(call as usize));
        self.shared.emit(|| Event::ApprovalAsked {
            step,
            call,
            name: Arc::clone(&spec.name),
            args: args.map(|call| text::scrub_json(&call.args)).unwrap_or_default(),
            until,
        });
        Ok(())
    }

    /// What is left to do when every call of the step that has no answer awaits approval: take in
    /// what was said, and what nobody said in time; or leave the run to a later life.
    pub(crate) async fn wait(&mut self) -> Flow {
        let setup = self.setup.as_mut();
        let mut answers = setup.map(|setup| std::mem::take(&mut setup.answers)).unwrap_or_default();
        let step = self.run.step();
        let now = self.shared.clock().now();
        let waiting = self.run.approvals().iter().filter(|approval| approval.answer.is_none());
        let waiting: Vec<_> = waiting.map(|approval| (approval.call, approval.until)).collect();
        let mut said = false;
        for (call, until) in &waiting {
            let given = answers.iter().position(|answer| answer.call == *call);
            let answer = match given.map(|at| answers.swap_remove(at)) {
                Some(answer) => answer,
                None if now > *until => {
                    Answer { approved: false, ..Answer::yes(step, *call, Arc::default()).at(now) }
                }
                None => continue,
            };
            said = true;
            self.take_answer(answer).await?;
            if self.run.end().is_some() {
                return Ok(());
            }
        }
        let saved = match &mut self.log {
            Some(log) => log.save(&self.run).await,
            None => Ok(()),
        };
        if said {
            // A save fails open: whoever answered keeps the answer until the run has ended.
            return Ok(());
        }
        // A run that is not kept as it waits would never go on.
        saved.map_err(|error| Stop { status: RunStatus::Error, error: Some(error) })?;
        Err(self.awaiting(&waiting))
    }

    async fn take_answer(&mut self, answer: Answer) -> Flow {
        let clean = |reason: String| text::bounded(self.secrets.redact(reason));
        let answer = Answer { reason: answer.reason.map(clean), ..answer };
        let (step, call, by) = (answer.step, answer.call, Arc::clone(&answer.by));
        self.note(Fact::Answered(Arc::new(answer))).await?;
        let verdict = self.run.approval(call).and_then(|approval| approval.verdict());
        let approved = verdict == Some(Verdict::Approved);
        self.shared.emit(|| Event::ApprovalAnswered { step, call, approved, by });
        Ok(())
    }

    /// How this life ends: the run is kept, and goes on with an answer.
    fn awaiting(&self, waiting: &[(u32, Timestamp)]) -> Stop {
        let Some((first, until)) = waiting.first() else {
            return stop(RunStatus::Error, ErrorKind::Kernel, "waits for nobody");
        };
        let reply = self.run.reply();
        let name = reply.and_then(|reply| reply.calls.get(*first as usize));
        let name = name.map_or("", |call| &call.name);
        let more = match waiting.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let (step, until) = (self.run.step(), until.utc());
        let message =
            format!("call {step}.{first} of `{name}` awaits approval until {until}{more}");
        let error = RunError::new(ErrorKind::AwaitingApproval, message);
        Stop { status: RunStatus::Interrupted, error: Some(error) }
    }
}
