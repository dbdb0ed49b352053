//! One life of a run: its task, from the first plan to the last.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use super::build::Unlived;
use super::log::Log;
use super::shared::{Shared, lost, millis, stop};
use super::stops::Stops;
use crate::id::{HoldId, Key};
use crate::isolate::{Panicked, call};
use crate::machine::{Misuse, Next, Run};
use crate::model::Model;
use crate::port::palette::EntryKind;
use crate::port::{Amounts, Watcher};
use crate::record::{Answer, Fact, Gate, Stop};
use crate::secret::Secrets;
use crate::status::{ErrorKind, Outcome, RunError, RunStatus, Stats};
use crate::time::Timestamp;
use crate::tool::{Effect, Toolbox};
use crate::transcript::{Artifact, CallOutcome, Entry};

/// See the module.
pub(crate) struct Life {
    pub(crate) run: Run,
    pub(crate) shared: Arc<Shared>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) tools: Toolbox,
    pub(crate) secrets: Secrets,
    pub(crate) stops: Stops,
    pub(crate) log: Option<Box<Log>>,
    pub(crate) watcher: Option<Box<dyn Watcher>>,
    pub(crate) setup: Option<Box<Setup>>,
    /// The hold that the delegating run spends on, for a child: it spends on the same.
    pub(crate) parent_hold: Option<HoldId>,
    pub(crate) started_at: Timestamp,
    /// The audit was asked and did not begin a record.
    pub(crate) unrecorded: bool,
    /// An earlier life closed the record: it is not opened or closed again.
    pub(crate) recorded_end: bool,
    /// Why this life leaves what is kept to the next one: the audit is not there.
    pub(crate) postponed: Option<String>,
    pub(crate) begun: bool,
    /// Room for the effects of the next decision.
    pub(crate) effects: Vec<Effect>,
    /// The watcher panicked: it is not asked again, only stopped.
    pub(crate) deaf: bool,
}

/// What only admission needs, and a step that an earlier life left waiting.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) refusal: Option<RunError>,
    pub(crate) reserve: Option<Amounts>,
    pub(crate) palette: Vec<(EntryKind, Arc<str>)>,
    /// What was said to calls that await approval.
    pub(crate) answers: Vec<Answer>,
}

/// Why the loop cannot go on as planned: the run is to be stopped.
pub(crate) type Flow = Result<(), Stop>;

impl Unlived {
    /// Lives the life to its end. Nothing of it unwinds into the task.
    pub(crate) async fn live(mut self) {
        let life = &mut *self.life;
        if let Some(first) = self.first.take() {
            Box::pin(life.open(first)).await;
        }
        let crashed = {
            let mut work = pin!(drive(life));
            poll_fn(|cx| poll_guarded(work.as_mut(), cx)).await
        };
        if let Some(panicked) = crashed {
            life.crashed(&panicked);
        }
        if !super::settle::settle_at_once(life) {
            // On the heap: a run that waits for its model should not carry the room for this.
            Box::pin(settle(life)).await;
        }
    }
}

async fn settle(life: &mut Life) {
    let crashed = {
        let mut work = pin!(super::settle::settle(life));
        poll_fn(|cx| poll_guarded(work.as_mut(), cx)).await
    };
    if let Some(panicked) = crashed {
        tracing::error!(run = %life.run.spec().run_id, panic = %panicked.0, "settling crashed");
        life.crashed(&panicked);
        super::settle::give_up(life, "settling crashed");
    }
}

/// Polls our own code, which should not panic; if it does all the same, the run must still settle.
fn poll_guarded(
    work: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<Option<Panicked>> {
    match catch_unwind(AssertUnwindSafe(|| work.poll(cx))) {
        Ok(poll) => poll.map(|()| None),
        Err(payload) => Poll::Ready(Some(Panicked::from_payload(payload))),
    }
}

async fn drive(life: &mut Life) {
    loop {
        let next = life.run.plan();
        if matches!(next, Next::Settle(_) | Next::Done) {
            return;
        }
        if next != Next::Admit(Gate::Record) {
            life.shared.release();
        }
        if matches!(next, Next::Decide { .. }) {
            // An instant loop must give way too, and see a cancel.
            tokio::task::consume_budget().await;
        }
        let flow = match life.must_stop(next) {
            Some(stop) => Err(stop),
            None => match next {
                Next::Admit(gate) => Box::pin(life.admit(gate)).await,
                Next::Decide { step } => life.decide(step).await,
                Next::Act { step } => life.act(step).await,
                Next::Wait { .. } => Box::pin(life.wait()).await,
                Next::Settle(_) | Next::Done => Ok(()),
            },
        };
        if let Err(stop) = flow {
            // The first stop that was asked for counts, whatever failed after it.
            let is_lost = life.log.as_ref().is_some_and(|log| log.is_lost());
            let stop = if is_lost { lost() } else { stop };
            let stop = life.shared.requested_stop().unwrap_or(stop);
            Box::pin(life.stop(stop)).await;
        }
    }
}

impl Life {
    /// Begins this life's part of the log: with what the run was asked to be, or its resumption.
    async fn open(&mut self, first: Fact) {
        if let Some(log) = &mut self.log {
            // Nobody records yet, so nothing can refuse.
            let _ = log.put(&self.run, first, Key::step(self.run.step())).await;
        }
    }

    /// A stop that is due before the next effect. The start of the record comes before any.
    fn must_stop(&mut self, next: Next) -> Option<Stop> {
        if next == Next::Admit(Gate::Record) {
            return None;
        }
        if let Some(error) = self.setup.as_mut().and_then(|setup| setup.refusal.take()) {
            return Some(Stop { status: RunStatus::Error, error: Some(error) });
        }
        self.shared.requested_stop()
    }

    /// Takes in a fact and appends it to the log.
    pub(crate) async fn note(&mut self, fact: Fact) -> Flow {
        let at = self.shared.clock().now();
        self.note_at(at, fact).await
    }

    /// Takes in a fact that happened at this time.
    pub(crate) async fn note_at(&mut self, at: Timestamp, fact: Fact) -> Flow {
        if self.log.is_none() {
            return self.take_in(at, fact);
        }
        let applied = self.run.apply(at, &fact).map(|()| Vec::new());
        self.applied(applied)?;
        let key = self.key_of(&fact);
        let Some(log) = &mut self.log else { return Ok(()) };
        // On the heap: every wait of a run would else carry the room for it.
        let put = Box::pin(log.put(&self.run, fact, key)).await;
        put.map_err(|error| Stop { status: RunStatus::Error, error: Some(error) })
    }

    /// The time of what happened just now. Where nobody sees it, the clock is looked at only after
    /// an effect that waited, and now and then: instant ones take no time worth a look.
    pub(crate) fn moment(&mut self) -> Timestamp {
        const NOW_AND_THEN: u32 = 16;
        let seen = self.log.is_some() || self.shared.is_watched();
        if seen || self.stops.waited || (self.run.step() + 1).is_multiple_of(NOW_AND_THEN) {
            self.stops.waited = false;
            self.shared.clock().now()
        } else {
            self.run.last_at()
        }
    }

    /// Takes in a fact, for a run without a log.
    pub(crate) fn take_in(&mut self, at: Timestamp, fact: Fact) -> Flow {
        let applied = self.run.apply_owned(at, fact);
        self.applied(applied)
    }

    fn applied(&mut self, applied: Result<Vec<Effect>, Misuse>) -> Flow {
        match applied {
            Ok(effects) => {
                if effects.capacity() > 0 {
                    self.effects = effects;
                }
                self.shared.tally().write(self.run.tally());
                Ok(())
            }
            Err(misuse) => {
                let run = &self.run.spec().run_id;
                tracing::error!(%run, %misuse, "the executor broke the plan");
                Err(stop(RunStatus::Error, ErrorKind::Kernel, misuse.to_string()))
            }
        }
    }

    fn key_of(&self, fact: &Fact) -> Key {
        let call = match fact {
            Fact::Decided(decided) => return Key::step(decided.step),
            Fact::Started { call, .. } | Fact::Asked { call, .. } => Some(*call),
            Fact::Answered(answer) => Some(answer.call),
            Fact::Acted(acted) => Some(acted.call),
            _ => None,
        };
        let args = call
            .and_then(|call| self.run.reply()?.calls.get(call as usize))
            .map(|call| crate::digest::Digest::of_json(&call.args));
        Key { step: self.run.step(), call, args }
    }

    /// Ends the run with a stop. An audit that cannot record does not keep a run from ending.
    pub(crate) async fn stop(&mut self, stop: Stop) {
        if self.note(Fact::Stopped(stop)).await.is_err() {
            tracing::warn!(run = %self.run.spec().run_id, "the end of the run was not recorded");
        }
    }

    fn crashed(&mut self, panicked: &Panicked) {
        tracing::error!(run = %self.run.spec().run_id, panic = %panicked.0, "the executor panicked");
        let stop = stop(RunStatus::Error, ErrorKind::Kernel, format!("the executor {panicked}"));
        // Not recorded: the log may be what panicked. The close tells the end.
        let _ = self.run.apply(self.shared.clock().now(), &Fact::Stopped(stop));
    }

    /// What this life has spent so far.
    pub(crate) fn spent(&self) -> Amounts {
        let spent = self.run.hold().map_or(*self.run.tally(), |(_, spent)| spent);
        Amounts {
            tokens: spent.tokens(),
            runtime_ms: millis(self.shared.clock().now().since(self.started_at)),
            cost_micros: spent.cost_micros,
            runs: 0,
        }
    }

    /// The hold that this run spends on: its own, or that of the run at the top.
    pub(crate) fn hold(&self) -> Option<HoldId> {
        let own = self.run.hold().map(|(hold, _)| hold.clone());
        own.or_else(|| self.parent_hold.clone())
    }

    /// Tells the watcher something; one that panics is left alone from then on.
    pub(crate) fn tell_watcher(&mut self, tell: impl FnOnce(&dyn Watcher)) {
        self.ask_watcher(tell);
    }

    pub(crate) fn ask_watcher<T>(&mut self, ask: impl FnOnce(&dyn Watcher) -> T) -> Option<T> {
        let watcher = self.watcher.as_deref().filter(|_| !self.deaf)?;
        match call(|| ask(watcher)) {
            Ok(answer) => Some(answer),
            Err(panicked) => {
                let run = &self.run.spec().run_id;
                tracing::warn!(%run, panic = %panicked.0, "the critic panicked; the run goes on unwatched");
                self.stops.unfollow();
                self.deaf = true;
                None
            }
        }
    }

    /// The outcome as the facts have it.
    pub(crate) fn outcome(&self) -> Outcome {
        let spec = self.run.spec();
        let end = self.run.end();
        let (status, error) = match end {
            Some(end) => (end.stop.status, end.stop.error.clone()),
            None => {
                let error = RunError::new(ErrorKind::Kernel, "the run settled without an end");
                (RunStatus::Error, Some(error))
            }
        };
        let at = end.map_or(self.run.last_at(), |end| end.at);
        Outcome {
            run_id: spec.run_id.clone(),
            status,
            output: self.run.output().map(str::to_owned),
            error,
            stats: Stats {
                tally: *self.run.tally(),
                runtime_ms: millis(at.since(spec.started_at)),
            },
            artifacts: self.artifacts(),
        }
    }

    fn artifacts(&self) -> Vec<Arc<Artifact>> {
        let entries = self.run.transcript().entries().iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Result(acted) => match &acted.outcome {
                    CallOutcome::Output(output) => Some(&output.artifacts),
                    CallOutcome::Failed(_) | CallOutcome::Unknown => None,
                },
                Entry::Reply(_) | Entry::Steer(_) => None,
            })
            .flatten()
            .cloned()
            .collect()
    }
}
