//! Deciding: what comes before the model is asked, the question, and what follows from the answer.

use std::sync::Arc;

use super::life::{Flow, Life};
use super::reply::{cap, hide};
use super::shared::{lost, stop};
use crate::event::Event;
use crate::isolate::{Panicked, isolate};
use crate::model::{ModelError, Turn};
use crate::record::{Attempt, Decided, Fact};
use crate::status::{ErrorKind, RunError, RunStatus};
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
        self.shared.unsay();
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
        };
        let mut effect = isolate(|| self.model.decide(&turn));
        let due = self.log.as_ref().and_then(|log| log.due_within());
        let mut attempt = self.stops.attempt(&mut effect, due).await;
        while attempt.result.is_none()
            && attempt.stop.is_none()
            && let Some(log) = &mut self.log
        {
            // Meanwhile the model thinks on.
            Box::pin(log.keep_up(&self.run)).await;
            if log.is_lost() {
                self.shared.request_stop(lost);
            }
            let due = log.due_within();
            attempt = Box::pin(self.stops.attempt(&mut effect, due)).await;
        }
        drop(effect);
        drop(turn);
        let attempts = self.shared.deciding().take_attempts();
        let attempted = !attempts.is_empty();
        let told = match attempted {
            true => Box::pin(self.note_attempts(step, attempts)).await,
            false => Ok(()),
        };
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
            // A child has no hold of its own that would be settled with what it used in vain.
            None if attempted && self.parent_hold.is_some() => Box::pin(self.charge()).await,
            None => Ok(()),
        };
        match attempt.stop {
            Some(stop) => Err(stop),
            None => told.and(noted),
        }
    }

    /// What comes before the model is asked: steering, a save that is due, the critic.
    async fn before_step(&mut self, step: u32) -> Flow {
        // A run whose effects never wait would not hear of it otherwise.
        if let Some(stop) = self.stops.directed() {
            return Err(stop);
        }
        self.steer().await?;
        if let Some(log) = &mut self.log
            && log.save_is_due()
        {
            // A save fails open: what was not saved waits for the next one.
            let _ = log.save(&self.run).await;
            if log.is_lost() {
                return Err(lost());
            }
        }
        self.tell_watcher(|watcher| watcher.step(step));
        Ok(())
    }

    /// Takes in what failed on the way to a decision, or to none. All of it counts, whether or not
    /// it can be recorded.
    async fn note_attempts(&mut self, step: u32, attempts: Vec<Attempt>) -> Flow {
        let mut flow = Ok(());
        for attempt in attempts {
            // One that was told late, by a part that outlived its step, counts for this one.
            let attempt = Attempt { step, ..attempt };
            let noted = self.note(Fact::Attempted(Arc::new(attempt))).await;
            flow = flow.and(noted);
        }
        flow
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
        hide(&mut reply, &self.secrets, &self.tools);
        cap(&mut reply, self.run.spec().limits.max_reply_bytes, &self.tools);
        self.shared.said(step);
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
        self.tell_watcher(|watcher| watcher.decided(step, &reply));
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
