//! Taking in a fact.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{End, Misuse, Next, OpenCall, Run, State, bit, first_gate, limit_error};
use crate::record::{Decided, Fact, Gate, Phase, Stop};
use crate::status::{ErrorKind, RunStatus};
use crate::time::Timestamp;
use crate::tool::{Effect, ToolError};
use crate::transcript::{Acted, CallOutcome, Entry, Reply};

impl Run {
    /// Takes in what happened at a time.
    ///
    /// Facts of one step commute: calls may be answered in any order. A fact of the loop that is
    /// later than the deadline is taken in and ends the run as `timeout`; a failed attempt leaves
    /// that to what follows it. Only a [`Fact::Stopped`] changes an end, and only until the first
    /// [`Fact::Settled`].
    ///
    /// # Errors
    /// [`Misuse`] when the fact cannot follow those before it; the state is then as it was.
    pub fn apply(&mut self, at: Timestamp, fact: &Fact) -> Result<(), Misuse> {
        let fits = match fact {
            Fact::Opened(_) => false,
            Fact::Admitted(gate) => self.admitted(*gate),
            Fact::Refused { gate, stop, unknown } => self.refused(at, *gate, stop, *unknown),
            Fact::Attempted(attempt) => {
                let fits = self.plan() == Next::Decide { step: attempt.step };
                if fits {
                    self.state.tally.add(&attempt.usage);
                }
                fits
            }
            Fact::Decided(Decided { step, reply, effects }) => {
                self.decided(at, *step, Arc::clone(reply), effects)
            }
            Fact::Undecided { step, error } => {
                let fits = self.plan() == Next::Decide { step: *step };
                if fits && at > self.state.deadline {
                    self.time_out(at);
                } else if fits {
                    self.finish(at, Stop { status: RunStatus::Error, error: Some(error.clone()) });
                }
                fits
            }
            Fact::Asked { step, call, until } => self.asked(*step, *call, *until),
            Fact::Answered(answer) => self.answered(answer),
            Fact::Started { step, call } => self.started(*step, *call),
            Fact::Acted(acted) => self.acted(at, Arc::clone(acted)),
            Fact::Steered(steer) => {
                let fits = matches!(self.plan(), Next::Decide { .. });
                if fits {
                    self.state.push(Entry::Steer(Arc::clone(steer)));
                    self.check_history(at);
                }
                fits
            }
            Fact::Stopped(stop) => self.stopped(at, stop),
            Fact::Settled { phase, .. } => self.settled(*phase),
            Fact::Resumed { attempt, deadline, .. } => self.resumed(*attempt, *deadline),
        };
        let in_loop = !matches!(
            fact,
            // What decided the step, or stopped the run, comes next and is not to be lost.
            Fact::Attempted(_) | Fact::Settled { .. } | Fact::Resumed { .. }
        );
        self.taken(at, fits, fact.kind(), in_loop)
    }

    /// As [`apply`](Self::apply), for whoever does not need the fact any more. Gives the room of
    /// its effects back.
    pub(crate) fn apply_owned(&mut self, at: Timestamp, fact: Fact) -> Result<Vec<Effect>, Misuse> {
        match fact {
            Fact::Acted(acted) => {
                let fits = self.acted(at, acted);
                self.taken(at, fits, "acted", true)?;
            }
            Fact::Decided(Decided { step, reply, mut effects }) => {
                let fits = self.decided(at, step, reply, &effects);
                self.taken(at, fits, "decided", true)?;
                effects.clear();
                return Ok(effects);
            }
            other => self.apply(at, &other)?,
        }
        Ok(Vec::new())
    }

    /// What follows from every fact that fits.
    fn taken(
        &mut self,
        at: Timestamp,
        fits: bool,
        fact: &'static str,
        in_loop: bool,
    ) -> Result<(), Misuse> {
        if !fits {
            return Err(Misuse { fact, next: self.plan() });
        }
        self.state.last_at = at;
        if in_loop && at > self.state.deadline && self.state.end.is_none() {
            self.time_out(at);
        }
        Ok(())
    }

    fn admitted(&mut self, gate: Gate) -> bool {
        if self.plan() != Next::Admit(gate) {
            return false;
        }
        match gate {
            Gate::Reserve => self.state.hold = Some(Box::new((self.hold_id(), self.state.tally))),
            Gate::Watch => self.state.watched = true,
            Gate::Record | Gate::Resolve => {}
        }
        self.state.gate = first_gate(&self.spec, Some(gate));
        self.pass();
        true
    }

    fn refused(&mut self, at: Timestamp, gate: Gate, stop: &Stop, unknown: bool) -> bool {
        if self.plan() != Next::Admit(gate) {
            return false;
        }
        if gate == Gate::Reserve && unknown {
            self.state.hold = Some(Box::new((self.hold_id(), self.state.tally)));
        }
        self.finish(at, stop.clone());
        true
    }

    fn decided(&mut self, at: Timestamp, step: u32, reply: Arc<Reply>, effects: &[Effect]) -> bool {
        let fits = self.plan() == Next::Decide { step } && effects.len() == reply.calls.len();
        if !fits {
            return false;
        }
        let state = &mut self.state;
        state.step = step;
        state.tally.steps += 1;
        state.tally.add(&reply.usage);
        state.push(Entry::Reply(reply));
        state.reply = NonZeroUsize::new(state.transcript.entries().len());

        if at > state.deadline {
            self.time_out(at);
            return true;
        }
        match self.verdict() {
            Some(stop) => self.finish(at, stop),
            None => {
                // In place: the room of the last step's calls is used again.
                let open = effects.iter().map(|effect| OpenCall {
                    effect: *effect,
                    started: false,
                    answer: None,
                });
                self.state.open.clear();
                self.state.open.extend(open);
            }
        }
        true
    }

    /// How the newest reply ends the run, if it does: as the final answer, or by a limit.
    fn verdict(&self) -> Option<Stop> {
        let (state, limits) = (&self.state, &self.spec.limits);
        let reply = self.reply()?;
        let (tokens, cost) = (state.tally.tokens(), state.tally.cost_micros);
        if tokens > limits.max_tokens {
            let max = limits.max_tokens;
            Some(limit_error(ErrorKind::TokenLimit, format!("{tokens} tokens used of {max}")))
        } else if limits.max_cost_micros.is_some_and(|max| cost > max) {
            let max = limits.max_cost_micros.unwrap_or_default();
            Some(limit_error(ErrorKind::CostLimit, format!("{cost} micro-units spent of {max}")))
        } else if reply.calls.is_empty() {
            Some(match &reply.cut {
                None => Stop { status: RunStatus::Ok, error: None },
                Some(why) => {
                    limit_error(ErrorKind::Model, format!("the final answer is not whole: {why}"))
                }
            })
        } else if state.step >= limits.max_steps {
            let max = limits.max_steps;
            Some(limit_error(ErrorKind::StepLimit, format!("no final answer after {max} steps")))
        } else {
            None
        }
    }

    fn started(&mut self, step: u32, call: u32) -> bool {
        if self.plan() != (Next::Act { step }) || !self.may_begin(call) {
            return false;
        }
        match self.state.open.get_mut(call as usize) {
            Some(open) if open.answer.is_none() && !open.started => {
                open.started = true;
                true
            }
            Some(_) | None => false,
        }
    }

    fn acted(&mut self, at: Timestamp, acted: Arc<Acted>) -> bool {
        // Calls in flight when a sibling's late answer ended the run are still answered.
        if acted.step != self.state.step || self.state.settled != 0 {
            return false;
        }
        if !self.state.approvals.is_empty() && !self.may_end(&acted) {
            return false;
        }
        let Some(open) = self.state.open.get_mut(acted.call as usize) else { return false };
        if open.answer.is_some() {
            return false;
        }
        open.answer = Some(acted);
        self.state.tally.tool_calls += 1;
        if self.state.open.iter().all(|call| call.answer.is_some()) {
            let denial = self.fold_calls();
            if let (None, Some(error)) = (&self.state.end, denial) {
                self.finish(at, denied(&error));
            }
            self.check_history(at);
        }
        true
    }

    /// Ends a run whose transcript is too long for a further step.
    fn check_history(&mut self, at: Timestamp) {
        let (bytes, max) = (self.state.history, self.spec.limits.max_history_bytes);
        if bytes > max && self.state.end.is_none() {
            let message = format!("the transcript has {bytes} bytes, {max} are allowed");
            self.finish(at, limit_error(ErrorKind::ContextOverflow, message));
        }
    }

    fn stopped(&mut self, at: Timestamp, stop: &Stop) -> bool {
        if self.state.settled != 0 {
            return false;
        }
        if stop.status.is_terminal() {
            self.fold_calls();
        }
        self.finish(at, stop.clone());
        true
    }

    fn settled(&mut self, phase: Phase) -> bool {
        if self.plan() != Next::Settle(phase) {
            return false;
        }
        if self.state.end.as_ref().is_some_and(|end| end.stop.status.is_terminal()) {
            self.fold_calls();
        }
        self.state.settled |= bit(phase);
        match phase {
            Phase::StopCritic => self.state.watched = false,
            Phase::SettleBudget => self.state.hold = None,
            _ => {}
        }
        true
    }

    fn resumed(&mut self, attempt: u32, deadline: Timestamp) -> bool {
        if attempt <= self.state.attempt || self.plan() == Next::Done && self.ended_for_good() {
            return false;
        }
        self.state.attempt = attempt;
        self.state.watched = false;
        if !self.ended_for_good() {
            self.state.end = None;
            self.state.settled = 0;
            // Whoever resumes has settled the hold of the dead life; this one asks anew.
            self.state.hold = None;
            self.state.deadline = deadline;
            self.state.gate = first_gate(&self.spec, None);
            self.pass();
            // An interruption took an end back that the step had decided: it stands.
            match self.verdict().or_else(|| self.denial()) {
                Some(stop) => self.finish(self.state.last_at, stop),
                None => self.close_step(),
            }
            if self.state.open.is_empty() {
                self.check_history(self.state.last_at);
            }
        }
        true
    }

    /// The denial among the newest results that ends the run.
    fn denial(&self) -> Option<Stop> {
        let mut results = self.state.transcript.last_results();
        results.find_map(|acted| ends_run(acted)).map(denied)
    }

    /// Answers the calls of a step that an end cut short, when an interruption took that end back:
    /// nobody performs them any more, and the model is to read of every call that it asked for.
    fn close_step(&mut self) {
        let Some(reply) = self.reply().filter(|_| self.state.open.is_empty()).cloned() else {
            return;
        };
        let state = &mut self.state;
        let answered: Vec<u32> = state.transcript.last_results().map(|acted| acted.call).collect();
        for (call, asked) in (0..).zip(&reply.calls) {
            if !answered.contains(&call) {
                let (id, name) = (Arc::clone(&asked.id), Arc::clone(&asked.name));
                let outcome = CallOutcome::Unknown;
                let acted = Acted { step: state.step, call, id, name, outcome, duration_ms: 0 };
                state.push(Entry::Result(Arc::new(acted)));
            }
        }
    }

    fn ended_for_good(&self) -> bool {
        self.state.end.as_ref().is_some_and(|end| end.stop.status.is_terminal())
    }

    /// Moves the answered calls of the step to the transcript, in call order. Unanswered ones are
    /// gone: the run ended before they began. Returns the first denial that ends the run.
    fn fold_calls(&mut self) -> Option<ToolError> {
        let mut denial = None;
        if self.state.open.is_empty() {
            return denial;
        }
        let State { open, approvals, transcript, history, .. } = &mut self.state;
        approvals.clear();
        for acted in open.drain(..).filter_map(|call| call.answer) {
            denial = denial.or_else(|| ends_run(&acted).cloned());
            let entry = Entry::Result(acted);
            *history += entry.size();
            transcript.push(entry);
        }
        denial
    }

    fn time_out(&mut self, at: Timestamp) {
        self.finish(at, limit_error(ErrorKind::Timeout, "the deadline passed".into()));
    }

    fn finish(&mut self, at: Timestamp, stop: Stop) {
        self.state.end = Some(End { stop, at });
    }
}

impl State {
    /// One entry more in the transcript.
    fn push(&mut self, entry: Entry) {
        self.history += entry.size();
        self.transcript.push(entry);
    }
}

/// The denial in an answer, where it ends the run.
fn ends_run(acted: &Acted) -> Option<&ToolError> {
    match &acted.outcome {
        CallOutcome::Failed(error @ ToolError::Denied { ends_run: true, .. }) => Some(error),
        CallOutcome::Failed(_) | CallOutcome::Output(_) | CallOutcome::Unknown => None,
    }
}

fn denied(error: &ToolError) -> Stop {
    limit_error(ErrorKind::Denied, error.to_string())
}
