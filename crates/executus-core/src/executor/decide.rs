//! Deciding: what comes before the model is asked, the question, and what follows from the answer.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use serde_json::Value;

use super::isolate::{Panicked, isolate};
use super::life::{Flow, Life};
use super::shared::stop;
use crate::event::Event;
use crate::model::{ModelError, Turn};
use crate::record::{Attempt, Decided, Fact};
use crate::status::{ErrorKind, RunError, RunStatus};
use crate::text;
use crate::tool::Effect;
use crate::transcript::{Reply, Steer, Usage};

impl Life {
    /// Asks the model for a step and takes in what it decides.
    pub(crate) async fn decide(&mut self, step: u32) -> Flow {
        self.begin();
        if self.log.is_some() || self.watcher.is_some() || self.shared.is_steered() {
            Box::pin(self.before_step(step)).await?;
            if self.run.end().is_some() {
                return Ok(());
            }
        }
        self.shared.emit(|| Event::StepStarted { step });

        let turn = Turn {
            shared: Arc::clone(&self.shared),
            spec: Arc::clone(self.run.spec()),
            brief: None,
            transcript: self.run.transcript().clone(),
            tools: self.tools.clone(),
            secrets: self.secrets.clone(),
            step,
            deadline: self.stops.deadline(),
            deltas: AtomicU32::new(0),
        };
        let mut effect = isolate(|| self.model.decide(&turn));
        let attempt = self.stops.attempt(&mut effect, None).await;
        drop(effect);
        drop(turn);
        let attempts = self.shared.take_attempts();
        let attempted = !attempts.is_empty();
        if attempted {
            Box::pin(self.note_attempts(attempts)).await?;
        }
        if self.run.end().is_some() {
            return attempt.stop.map_or(Ok(()), Err);
        }
        let noted = match attempt.result {
            Some(result) => {
                let (fact, usage) = self.decided(step, result);
                let usage = usage.or_else(|| attempted.then(Usage::default));
                if self.log.is_none() && !self.is_charged() {
                    let at = self.moment();
                    self.take_in(at, fact)
                } else {
                    // On the heap: a run without ports should not carry the room for it.
                    Box::pin(self.note_and_charge(fact, usage)).await
                }
            }
            None => Ok(()),
        };
        match attempt.stop {
            Some(stop) => Err(stop),
            None => noted,
        }
    }

    /// What comes before the model is asked: steering, a save that is due, the critic.
    async fn before_step(&mut self, step: u32) -> Flow {
        self.steer().await?;
        if let Some(log) = &mut self.log
            && log.save_is_due(self.shared.clock().now())
        {
            // A save fails open: what was not saved waits for the next one.
            let _ = log.save(&self.run).await;
        }
        self.tell_watcher(|watcher| watcher.step(step));
        Ok(())
    }

    /// Takes in what failed on the way to a decision, or to none.
    async fn note_attempts(&mut self, attempts: Vec<Attempt>) -> Flow {
        for mut attempt in attempts {
            attempt.error = text::scrub(&attempt.error).into_owned();
            self.note(Fact::Attempted(Arc::new(attempt))).await?;
            if self.run.end().is_some() {
                break;
            }
        }
        Ok(())
    }

    fn is_charged(&self) -> bool {
        self.parent_hold.is_some() || self.run.hold().is_some()
    }

    async fn note_and_charge(&mut self, fact: Fact, usage: Option<Usage>) -> Flow {
        self.note(fact).await?;
        match usage {
            Some(_) => self.charge().await,
            None => Ok(()),
        }
    }

    /// Says once that the run begins.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.setup = None;
            let spec = self.run.spec();
            self.shared.emit(|| Event::Started {
                run_id: spec.run_id.clone(),
                name: Arc::clone(&spec.name),
            });
        }
    }

    /// Drains the steering. Draining is destructive: what was drained is saved before the model
    /// is asked.
    async fn steer(&mut self) -> Flow {
        let texts = self.ask_watcher(|watcher| watcher.steer()).unwrap_or_default();
        let critic =
            texts.into_iter().map(|text| Arc::new(Steer { source: "critic".into(), text }));
        let mut steers: Vec<_> = critic.collect();
        while let Some(steer) = self.shared.next_steer() {
            steers.push(steer);
        }
        if steers.is_empty() {
            return Ok(());
        }
        for steer in steers {
            let text = self.secrets.redact(steer.text.clone());
            let steer = Arc::new(Steer { source: Arc::clone(&steer.source), text });
            self.shared.emit(|| Event::Steered {
                source: Arc::clone(&steer.source),
                text: steer.text.clone(),
            });
            self.note(Fact::Steered(steer)).await?;
            if self.run.end().is_some() {
                return Ok(());
            }
        }
        if let Some(log) = &mut self.log {
            let _ = log.save(&self.run).await;
        }
        Ok(())
    }

    /// The fact that a decision makes, and the usage to charge for it.
    fn decided(
        &mut self,
        step: u32,
        result: Result<Result<Reply, ModelError>, Panicked>,
    ) -> (Fact, Option<Usage>) {
        let error = match result {
            Ok(Ok(reply)) => return self.replied(step, reply),
            Ok(Err(error)) => error.to_run_error(),
            Err(panicked) => RunError::new(ErrorKind::Model, format!("the model {panicked}")),
        };
        let error = RunError { message: self.secrets.redact(error.message), ..error };
        (Fact::Undecided { step, error }, None)
    }

    fn replied(&mut self, step: u32, mut reply: Reply) -> (Fact, Option<Usage>) {
        if !self.secrets.is_empty() {
            reply.text = self.secrets.redact(reply.text);
            for call in &mut reply.calls {
                call.args = self.secrets.redact_json(std::mem::take(&mut call.args));
            }
        }
        cap(&mut reply, self.run.spec().limits.max_reply_bytes);
        let mut effects = std::mem::take(&mut self.effects);
        effects.extend(reply.calls.iter().map(|call| {
            self.tools.get(&call.name).map_or(Effect::ReadOnly, |tool| tool.spec().effect)
        }));
        let usage = Some(reply.usage).filter(|usage| *usage != Usage::default());
        let reply = Arc::new(reply);
        self.shared.emit(|| Event::Decided {
            step,
            text: reply.text.clone(),
            calls: u32::try_from(reply.calls.len()).unwrap_or(u32::MAX),
        });
        (Fact::Decided(Decided { step, reply, effects }), usage)
    }

    /// Charges the usage so far to that hold.
    async fn charge(&mut self) -> Flow {
        let Some(budget) = self.shared.executor().ports.budget.clone() else { return Ok(()) };
        let Some(hold) = self.hold() else { return Ok(()) };
        let mut spent = self.spent();
        if self.run.hold().is_none() {
            // The delegating run's own time passes while this one runs.
            spent.runtime_ms = 0;
        }
        let line = self.run.spec().run_id.clone();
        let limit = self.shared.executor().config.port_limit;
        let mut effect = isolate(|| budget.charge(&hold, &line, spent));
        let attempt = self.stops.attempt(&mut effect, Some(limit)).await;
        if let Some(stop) = attempt.stop {
            return Err(stop);
        }
        // An earlier end (a final answer, a limit) stands when the charge is good.
        match attempt.result {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(super::admit::budget_stop(&error)),
            Some(Err(panicked)) => {
                Err(stop(RunStatus::Error, ErrorKind::Budget, format!("the budget {panicked}")))
            }
            None => {
                Err(stop(RunStatus::Error, ErrorKind::Budget, "the budget did not answer in time"))
            }
        }
    }
}

/// Keeps a reply within its limit: a longer text is cut and no longer whole, longer arguments are
/// not those of a call that can be made.
fn cap(reply: &mut Reply, max: u64) {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    if reply.text.len() > max {
        reply.text = text::bounded_to(std::mem::take(&mut reply.text), max);
        reply.cut.get_or_insert_with(|| format!("it is longer than {max} bytes").into());
    }
    for call in &mut reply.calls {
        let size = text::json_size(&call.args);
        if size > max {
            call.args = Value::Object(serde_json::Map::new());
            let error = format!("the arguments have {size} bytes, {max} are allowed");
            call.broken = Some(error.into());
        }
    }
}
