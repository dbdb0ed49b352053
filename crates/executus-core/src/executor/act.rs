//! Performing the calls of one step: at once up to a limit, answered as they complete.

use std::borrow::Cow;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use serde_json::Value;
use smallvec::SmallVec;
use tokio::time::{Instant, Sleep};

use super::life::{Flow, Life};
use super::shared::{GRACE, lost, millis};
use super::stops::Alarm;
use crate::event::Event;
use crate::isolate::{Foreign, Isolated, Panicked, isolate};
use crate::record::{Fact, Stop};
use crate::secret::Secrets;
use crate::status::RunStatus;
use crate::text;
use crate::time::Timestamp;
use crate::tool::{Effect, Tool, ToolContext, ToolError, ToolOutput};
use crate::transcript::{Acted, Call, CallOutcome, Reply, SecretPart};

type Answer = Result<ToolOutput, ToolError>;

/// What is to be done about a call.
pub(crate) enum Ready<'a> {
    /// It can be made.
    Make(Prepared<'a>),
    /// Somebody is to be asked first.
    Ask(Arc<dyn Tool>),
    /// Somebody was, and has not answered.
    Wait,
    /// It is not made, and this is its answer.
    Answer(ToolError),
}

/// A call that will be made.
pub(crate) struct Prepared<'a> {
    pub(crate) index: u32,
    pub(crate) tool: Arc<dyn Tool>,
    context: ToolContext,
    args: Cow<'a, Value>,
}

/// A call that is under way.
struct InFlight<'a> {
    index: u32,
    effect: Effect,
    began: Timestamp,
    answer: Isolated<'a, Answer>,
    timer: Option<Pin<Box<Sleep>>>,
    limit_ms: u64,
}

impl Life {
    pub(crate) async fn act(&mut self, step: u32) -> Flow {
        let Some(reply) = self.run.reply().cloned() else { return Ok(()) };
        let mut prepared = SmallVec::<[Prepared<'_>; 1]>::new();
        for index in 0..self.run.open().len() {
            // The last answer folds the step: then nothing is open any more.
            let Some(open) = self.run.open().get(index) else { break };
            if open.answer.is_some() {
                continue;
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            if open.started && open.effect == Effect::Once {
                // A dead life began it: whether it happened is not known, and it is not repeated.
                let (at, fact) = self.answered(&reply, index, CallOutcome::Unknown, None);
                Box::pin(self.note_at(at, fact)).await?;
                continue;
            }
            // Before the waits: what is ready is large, and they would carry it.
            let unready = match self.ready(&reply, step, index) {
                Ready::Make(call) => {
                    prepared.push(call);
                    continue;
                }
                Ready::Wait => continue,
                Ready::Ask(tool) => Ok(tool),
                Ready::Answer(error) => Err(CallOutcome::Failed(error)),
            };
            match unready {
                Ok(tool) => {
                    Box::pin(self.ask(step, index, tool)).await?;
                    if self.run.end().is_some() {
                        return Ok(());
                    }
                }
                Err(failed) => {
                    let (at, fact) = self.answered(&reply, index, failed, None);
                    Box::pin(self.note_at(at, fact)).await?;
                }
            }
        }
        if self.log.is_some() {
            Box::pin(self.make_durable(step, &prepared)).await?;
        }
        self.perform(&reply, &prepared).await
    }

    /// What is to be done about a call that has no answer.
    fn ready<'a>(&self, reply: &'a Reply, step: u32, index: u32) -> Ready<'a> {
        let asked = !self.run.approvals().is_empty();
        if asked && self.is_waiting(index) {
            return Ready::Wait;
        }
        match self.prepare(reply, step, index) {
            Ok(call) if asked || call.tool.spec().approval.is_some() => self.leave(call),
            Ok(call) => Ready::Make(call),
            Err(error) => Ready::Answer(error),
        }
    }

    /// What a call needs, or why it is answered without being made.
    fn prepare<'a>(
        &self,
        reply: &'a Reply,
        step: u32,
        index: u32,
    ) -> Result<Prepared<'a>, ToolError> {
        let limits = &self.run.spec().limits;
        let Some(call) = reply.calls.get(index as usize) else {
            return Err(ToolError::failed("the call is not part of the step"));
        };
        if index >= limits.max_calls_per_step {
            let max = limits.max_calls_per_step;
            return Err(ToolError::failed(format!("not made: one step may make {max} calls")));
        }
        if let Some(broken) = &call.broken {
            return Err(ToolError::arguments(&**broken));
        }
        let Some(tool) = self.tools.get(&call.name) else {
            let name = text::bounded_to(call.name.to_string(), 200);
            let known = text::bounded_to(self.tools.names(), 2000);
            return Err(ToolError::UnknownTool { name, known });
        };
        if self.run.spec().read_only && tool.spec().effect != Effect::ReadOnly {
            let name = &call.name;
            return Err(ToolError::Denied {
                code: "read_only".into(),
                message: format!("not made: the run is read-only, and `{name}` is not"),
                ends_run: false,
            });
        }
        let deadline = match tool.spec().timeout {
            Some(timeout) => self.stops.deadline().min(self.shared.clock().now().after(timeout)),
            None => self.stops.deadline(),
        };
        let context = ToolContext {
            shared: Arc::clone(&self.shared),
            spec: Arc::clone(self.run.spec()),
            secrets: self.secrets.clone(),
            step,
            call: index,
            part: None,
            deadline,
            hold: self.hold(),
        };
        let args = bind(call, &self.secrets)?;
        Ok(Prepared { index, tool: Arc::clone(tool), context, args })
    }

    /// Before anything that changes the world, the decision is saved; before what may happen only
    /// once, its start is durable in every log.
    async fn make_durable(&mut self, step: u32, prepared: &[Prepared<'_>]) -> Flow {
        let effect = |call: &Prepared<'_>| call.tool.spec().effect;
        if prepared.iter().all(|call| effect(call) == Effect::ReadOnly) {
            return Ok(());
        }
        let mut once = false;
        for call in prepared.iter().filter(|call| effect(call) == Effect::Once) {
            once = true;
            self.note(Fact::Started { step, call: call.index }).await?;
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        let saved = log.save(&self.run).await;
        if once {
            let durable = match saved {
                Ok(()) => log.flush().await,
                Err(error) => Err(error),
            };
            durable.map_err(|error| Stop { status: RunStatus::Error, error: Some(error) })?;
        }
        if log.is_lost() { Err(lost()) } else { Ok(()) }
    }

    async fn perform(&mut self, reply: &Reply, prepared: &[Prepared<'_>]) -> Flow {
        let concurrency = self.run.spec().limits.concurrency as usize;
        let mut queue = prepared.iter();
        let mut in_flight = SmallVec::<[InFlight<'_>; 1]>::new();
        loop {
            while in_flight.len() < concurrency && self.run.end().is_none() {
                let Some(call) = queue.next() else { break };
                in_flight.push(self.begin_call(call));
            }
            if in_flight.is_empty() {
                return Ok(());
            }
            let stops = &mut self.stops;
            let mut due = self.log.as_ref().and_then(|log| log.due_within()).map(Alarm::In);
            let next = poll_fn(|cx| match poll_any(&mut in_flight, cx) {
                Poll::Ready(answer) => Poll::Ready(Ok(Some(answer))),
                Poll::Pending => match stops.poll(cx) {
                    Poll::Ready(stop) => Poll::Ready(Err(stop)),
                    Poll::Pending => Alarm::poll(&mut due, cx).map(|()| Ok(None)),
                },
            })
            .await;
            match next {
                Ok(None) => {
                    if let Some(log) = &mut self.log {
                        // Meanwhile the calls go on.
                        Box::pin(log.keep_up(&self.run)).await;
                        if log.is_lost() {
                            self.shared.request_stop(lost);
                        }
                    }
                }
                Ok(Some((at, outcome))) => {
                    let call = in_flight.swap_remove(at);
                    let (at, fact) = self.answered(reply, call.index, outcome, Some(call.began));
                    drop(call);
                    if self.log.is_some() {
                        Box::pin(self.note_at(at, fact)).await?;
                    } else {
                        self.take_in(at, fact)?;
                    }
                }
                Err(stop) => {
                    self.shared.announce_stop();
                    Box::pin(self.wind_up(reply, in_flight, &stop)).await?;
                    return Err(stop);
                }
            }
        }
    }

    fn begin_call<'a>(&mut self, call: &'a Prepared<'a>) -> InFlight<'a> {
        let Prepared { index, tool, context, args } = call;
        let spec = tool.spec();
        if self.watcher.is_some() || self.shared.is_watched() {
            // What a watcher or a person sees never holds a bound secret.
            let visible = self.run.reply().and_then(|reply| reply.calls.get(*index as usize));
            let visible = visible.map_or(Value::Null, |call| text::scrub_json(&call.args));
            self.tell_watcher(|watcher| watcher.tool(&spec.name, &visible));
            self.shared.emit(|| Event::ToolStarted {
                step: context.step,
                call: *index,
                name: Arc::clone(&spec.name),
                args: visible,
            });
        }
        let answer = if spec.blocking {
            isolate(|| on_blocking_pool(call))
        } else {
            isolate(|| tool.call(context, args))
        };
        // The tool sees its deadline and has the grace to end by itself before it is cut.
        let timer = spec.timeout.map(|timeout| Box::pin(tokio::time::sleep(timeout + GRACE)));
        let limit_ms = spec.timeout.map_or(0, millis);
        // Without a log the time of the last fact is near enough, and costs nothing.
        let began = if self.log.is_some() { self.shared.clock().now() } else { self.run.last_at() };
        InFlight { index: *index, effect: spec.effect, began, answer, timer, limit_ms }
    }

    /// A short grace for the calls under way; what then has no answer is dropped.
    async fn wind_up(
        &mut self,
        reply: &Reply,
        mut in_flight: SmallVec<[InFlight<'_>; 1]>,
        stop: &Stop,
    ) -> Flow {
        let until = Instant::now() + GRACE;
        while !in_flight.is_empty() {
            let next = poll_fn(|cx| poll_any(&mut in_flight, cx));
            let Ok((at, outcome)) = tokio::time::timeout_at(until, next).await else { break };
            let call = in_flight.swap_remove(at);
            let repeats = !stop.status.is_terminal() && call.effect != Effect::Once;
            if repeats && matches!(outcome, CallOutcome::Failed(_)) {
                // It failed because it was ended: the next life makes it again.
                continue;
            }
            let (at, fact) = self.answered(reply, call.index, outcome, Some(call.began));
            self.note_at(at, fact).await?;
        }
        for call in in_flight {
            let InFlight { index, effect, began, answer, .. } = call;
            drop(answer);
            // An interrupted run repeats on resume what may be repeated.
            if stop.status.is_terminal() || effect == Effect::Once {
                let (at, fact) = self.answered(reply, index, CallOutcome::Unknown, Some(began));
                self.note_at(at, fact).await?;
            }
        }
        Ok(())
    }

    /// The fact that a call is answered. `began` is `None` for one that was not made.
    fn answered(
        &mut self,
        reply: &Reply,
        index: u32,
        outcome: CallOutcome,
        began: Option<Timestamp>,
    ) -> (Timestamp, Fact) {
        let Call { id, name, .. } = &reply.calls[index as usize];
        let max = usize::try_from(self.run.spec().limits.max_result_bytes).unwrap_or(usize::MAX);
        let at = self.moment();
        let acted = Acted {
            step: self.run.step(),
            call: index,
            id: Arc::clone(id),
            name: Arc::clone(name),
            outcome: clean(outcome, &self.secrets, max),
            duration_ms: began.map_or(0, |began| millis(at.since(began))),
        };
        self.shared.emit(|| Event::ToolFinished {
            step: acted.step,
            call: index,
            name: Arc::clone(&acted.name),
            error: match &acted.outcome {
                CallOutcome::Output(_) => None,
                CallOutcome::Failed(error) => Some(error.to_string()),
                CallOutcome::Unknown => Some("outcome unknown".into()),
            },
            duration_ms: acted.duration_ms,
        });
        self.tell_watcher(|watcher| watcher.acted(&acted));
        (at, Fact::Acted(Arc::new(acted)))
    }
}

/// The first call that ended, if one did.
fn poll_any(
    in_flight: &mut [InFlight<'_>],
    cx: &mut std::task::Context<'_>,
) -> Poll<(usize, CallOutcome)> {
    for (at, call) in in_flight.iter_mut().enumerate() {
        if let Poll::Ready(answer) = Pin::new(&mut call.answer).poll(cx) {
            let outcome = match answer {
                Ok(Ok(output)) => CallOutcome::Output(output),
                Ok(Err(error)) => CallOutcome::Failed(error),
                Err(Panicked(message)) => CallOutcome::Failed(ToolError::Panicked { message }),
            };
            return Poll::Ready((at, outcome));
        }
        let timed_out = call.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if timed_out {
            // Cut in the middle, a call that counts once may have counted.
            let outcome = match call.effect {
                Effect::Once => CallOutcome::Unknown,
                Effect::ReadOnly | Effect::Idempotent => {
                    CallOutcome::Failed(ToolError::Timeout { limit_ms: call.limit_ms })
                }
            };
            return Poll::Ready((at, outcome));
        }
    }
    Poll::Pending
}

/// A tool that blocks its thread gets one of its own. Dropping the answer leaves it running there.
fn on_blocking_pool<'a>(call: &Prepared<'_>) -> Foreign<'a, Answer> {
    let tool = Arc::clone(&call.tool);
    let context = call.context.clone();
    let args = call.args.clone().into_owned();
    let runtime = tokio::runtime::Handle::current();
    let executor = Arc::clone(context.shared.executor());
    let task = tokio::task::spawn_blocking(move || {
        let _busy = executor.blocking();
        runtime.block_on(tool.call(&context, &args))
    });
    Box::pin(async move {
        match task.await {
            Ok(answer) => answer,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(ToolError::failed(error.to_string())),
        }
    })
}

/// Puts the secrets into a call's arguments.
fn bind<'a>(call: &'a Call, secrets: &Secrets) -> Result<Cow<'a, Value>, ToolError> {
    if call.secrets.is_empty() {
        return Ok(Cow::Borrowed(&call.args));
    }
    let mut args = call.args.clone();
    for slot in &call.secrets {
        let mut bound = String::new();
        for part in &slot.parts {
            match part {
                SecretPart::Text(text) => bound.push_str(text),
                SecretPart::Secret(name) => match secrets.get(name) {
                    Some(secret) => bound.push_str(secret.expose()),
                    None => {
                        let message = format!("the sensitive parameter `{name}` has no value");
                        return Err(ToolError::NotConfigured { message });
                    }
                },
            }
        }
        let Some(place) = args.pointer_mut(&slot.pointer) else {
            let pointer = &slot.pointer;
            return Err(ToolError::arguments(format!("there is no `{pointer}` in the arguments")));
        };
        *place = Value::String(bound);
    }
    Ok(Cow::Owned(args))
}

/// What enters a fact: without secrets, and not longer than allowed.
fn clean(outcome: CallOutcome, secrets: &Secrets, max: usize) -> CallOutcome {
    match outcome {
        CallOutcome::Output(mut output) => {
            if !secrets.is_empty() {
                output.text = secrets.redact(output.text);
                output.data = output.data.map(|data| secrets.redact_json(data));
            }
            output.text = text::bounded_to(output.text, max);
            if output.data.as_ref().is_some_and(|data| text::json_size(data) > max) {
                output.data = None;
            }
            CallOutcome::Output(output)
        }
        CallOutcome::Failed(error) => CallOutcome::Failed(clean_error(error, secrets)),
        CallOutcome::Unknown => CallOutcome::Unknown,
    }
}

fn clean_error(error: ToolError, secrets: &Secrets) -> ToolError {
    let clean = |message: String| text::bounded(secrets.redact(message));
    match error {
        ToolError::Failed { message, retryable } => {
            ToolError::Failed { message: clean(message), retryable }
        }
        ToolError::Arguments { message } => ToolError::Arguments { message: clean(message) },
        ToolError::Denied { code, message, ends_run } => {
            ToolError::Denied { code, message: clean(message), ends_run }
        }
        ToolError::Unknown { message } => ToolError::Unknown { message: clean(message) },
        ToolError::Panicked { message } => ToolError::Panicked { message: clean(message) },
        ToolError::NotConfigured { message } => {
            ToolError::NotConfigured { message: clean(message) }
        }
        error @ (ToolError::UnknownTool { .. } | ToolError::Timeout { .. }) => error,
    }
}
