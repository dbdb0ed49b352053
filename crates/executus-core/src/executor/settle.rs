//! Settling: one ordered list of phases, each isolated, under one total allowance.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::Inner;
use super::finalizer::FinalizerPhase;
use super::handle::Settled;
use super::life::Life;
use super::shared::{Shared, interrupted};
use super::stops::within;
use crate::event::Event;
use crate::id::HoldId;
use crate::isolate::Foreign;
use crate::isolate::{drop_quietly, isolate};
use crate::machine::Next;
use crate::port::{Amounts, AuditError, Parcel};
use crate::record::{Fact, Gate, Phase, Stop};
use crate::status::{ErrorKind, Outcome, RunError, RunStatus};

/// Settles a run that has nothing to wait for: no port, nothing registered, no children, and nobody
/// who watches its events. Returns whether it did; then nothing more is to be done.
pub(crate) fn settle_at_once(life: &mut Life) -> bool {
    let nothing = life.log.is_none()
        && life.watcher.is_none()
        && life.run.hold().is_none()
        && !life.run.spec().ports.delivery
        && !life.shared.is_watched()
        && !life.shared.has_finalizers_or_children();
    if !nothing {
        return false;
    }
    // Nothing observes the machine any more: it need not be told of phases that do nothing.
    let outcome = life.shared.finish(|| life.outcome());
    life.shared.executor().ended(&outcome);
    true
}

fn same(stop: &Stop, outcome: &Outcome) -> bool {
    stop.status == outcome.status && stop.error == outcome.error
}

/// Settles a run that has ended: every phase that it has, in order, whatever happens to the others.
pub(crate) async fn settle(life: &mut Life) {
    if let Err(error) = reopen_audit(life).await {
        life.postponed = Some(error);
    }
    if let Some(error) = life.postponed.take() {
        if let Some(log) = &life.log {
            log.release(&life.run).await;
        }
        postpone(life, error);
        return;
    }
    let claimed = life.shared.claim(|| life.outcome());
    if life.run.end().is_none_or(|end| !same(&end.stop, &claimed)) {
        // The deadline or a cancel was faster: the record says the same as the caller's answer.
        let stop = Stop { status: claimed.status, error: claimed.error.clone() };
        life.stop(stop).await;
    }
    let executor = Arc::clone(life.shared.executor());
    let mut settling = Settling {
        began: Instant::now(),
        outcome: claimed,
        failures: Vec::new(),
        closed: !life.run.spec().ports.audit,
        lost: life.log.as_ref().is_some_and(|log| log.is_lost()),
    };
    if settling.lost {
        settling.leave(life);
    }
    if (life.run.entered() || life.run.attempt() > 1)
        && let Some(log) = &mut life.log
    {
        // The end is known to a later life before the first phase takes effect. Fails open.
        let _ = settling.limited(&executor, Phase::StopCritic, Box::pin(log.save(&life.run))).await;
        if log.is_lost() {
            settling.leave(life);
        }
    }
    while let Next::Settle(phase) = life.run.plan() {
        let result = settling.perform(life, &executor, phase).await;
        let error = result.err();
        if let Some(error) = &error {
            let run = &life.run.spec().run_id;
            tracing::warn!(%run, %phase, %error, "a phase of settling failed");
            settling.failures.push((phase, error.clone()));
        }
        let noted = life.note(Fact::Settled { phase, error }).await;
        if noted.is_err_and(|stop| is_kernel(&stop)) {
            break;
        }
    }
    if !settling.outcome.status.is_terminal()
        && let Some(log) = &mut life.log
    {
        // What the next life must know of this one's settling.
        let _ = settling.limited(&executor, Phase::Checkpoint, Box::pin(log.save(&life.run))).await;
        let _ =
            settling.limited(&executor, Phase::Checkpoint, Box::pin(log.release(&life.run))).await;
    }
    if let Some(watcher) = life.watcher.take() {
        drop_quietly(watcher);
    }
    executor.ended(&settling.outcome);
    let Settling { outcome, failures, .. } = settling;
    life.shared.set_settled(Settled { outcome, failures });
}

/// A life that only settles what an earlier one ended has not asked the audit yet.
async fn reopen_audit(life: &mut Life) -> Result<(), String> {
    let executor = Arc::clone(life.shared.executor());
    let Some(audit) = &executor.ports.audit else { return Ok(()) };
    if life.unrecorded || life.recorded_end || life.log.as_ref().is_none_or(|log| log.attached()) {
        return Ok(());
    }
    let start = life.start();
    let answer = within(isolate(|| audit.start(&start)), executor.config.audit_slice).await;
    let recorder = match answer {
        Some(Ok(Ok(recorder))) => recorder,
        Some(Ok(Err(AuditError::Closed { outcome }))) => {
            life.recorded_end = true;
            life.shared.claim(|| *outcome);
            None
        }
        Some(Ok(Err(error))) => return Err(error.to_string()),
        Some(Err(panicked)) => return Err(panicked.to_string()),
        None => return Err("the audit did not start in time".into()),
    };
    match &mut life.log {
        Some(log) => log.attach(recorder).await.map_err(|error| error.message),
        None => Ok(()),
    }
}

/// Leaves a run to a later life, as it is kept.
fn postpone(life: &Life, error: String) {
    let run = &life.run.spec().run_id;
    tracing::warn!(%run, %error, "the run is left to a later life: the audit is not there");
    let outcome = life.shared.claim(|| Outcome {
        status: RunStatus::Interrupted,
        error: interrupted().error,
        ..life.outcome()
    });
    life.shared.executor().ended(&outcome);
    life.shared.set_settled(Settled { outcome, failures: vec![(Phase::CloseAudit, error)] });
}

/// Ends the waiting for a run that cannot be settled by its own task any more.
pub(crate) fn give_up(life: &Life, why: &str) {
    let outcome = life.shared.claim(|| life.outcome());
    let failures = vec![(Phase::CloseAudit, why.to_owned())];
    life.shared.set_settled(Settled { outcome, failures });
}

fn is_kernel(stop: &Stop) -> bool {
    stop.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Kernel)
}

struct Settling {
    began: Instant,
    /// What caller, record and delivery read; replaced only when the record cannot be closed.
    outcome: Arc<Outcome>,
    failures: Vec<(Phase, String)>,
    closed: bool,
    /// Another process goes on with the run: what it will do itself is not done here.
    lost: bool,
}

impl Settling {
    /// Leaves record, budget, delivery and checkpoint to whoever has the run.
    fn leave(&mut self, life: &mut Life) {
        self.lost = true;
        self.closed = true;
        if let Some(log) = &mut life.log {
            log.lose();
        }
    }

    async fn perform(
        &mut self,
        life: &mut Life,
        executor: &Arc<Inner>,
        phase: Phase,
    ) -> Result<(), String> {
        let is_shared = matches!(
            phase,
            Phase::SettleBudget | Phase::CloseAudit | Phase::Deliver | Phase::Checkpoint
        );
        if self.lost && is_shared {
            return Err("left to the process that goes on with the run".into());
        }
        match phase {
            Phase::StopCritic => match &life.watcher {
                Some(watcher) => {
                    self.foreign(executor, phase, || {
                        let stop = watcher.stop();
                        Box::pin(async move {
                            stop.await;
                            Ok::<(), String>(())
                        })
                    })
                    .await
                }
                None => Ok(()),
            },
            Phase::Finishing => {
                let status = self.outcome.status;
                life.shared.emit(|| Event::Finishing { status });
                Ok(())
            }
            Phase::CleanUp => {
                self.finalize(&life.shared, executor, phase, FinalizerPhase::CleanUp).await
            }
            Phase::Children => self.end_children(&life.shared, executor).await,
            Phase::SettleBudget => {
                let Some((hold, _)) = life.run.hold() else { return Ok(()) };
                let granted = life.run.gate() != Some(Gate::Reserve);
                self.settle_budget(executor, hold, granted.then(|| life.spent())).await
            }
            Phase::Persist => {
                self.finalize(&life.shared, executor, phase, FinalizerPhase::Persist).await
            }
            Phase::CloseAudit => {
                let closed = self.close_audit(life, executor).await;
                self.closed = true;
                let known = self.outcome.error.as_ref().map(|error| error.kind);
                // An earlier failure of the audit says more than what follows from it.
                if let Err(error) = &closed
                    && known != Some(ErrorKind::Audit)
                {
                    let error = RunError::new(ErrorKind::Audit, error.clone());
                    let mut outcome = Outcome::clone(&self.outcome);
                    outcome.status = RunStatus::Error;
                    outcome.error = Some(error);
                    self.outcome = Arc::new(outcome);
                }
                closed
            }
            Phase::Finished => {
                let outcome = &self.outcome;
                life.shared.emit(|| Event::Finished { outcome: Arc::clone(outcome) });
                Ok(())
            }
            Phase::Deliver => {
                let Some(delivery) = &executor.ports.delivery else { return Ok(()) };
                let parcel = Parcel {
                    spec: Arc::clone(life.run.spec()),
                    outcome: Arc::clone(&self.outcome),
                };
                self.foreign(executor, phase, || delivery.deliver(&parcel)).await
            }
            Phase::Checkpoint => {
                let Some(checkpointer) = &executor.ports.checkpointer else { return Ok(()) };
                let run = &life.run.spec().run_id;
                let error = self.outcome.error.clone();
                self.foreign(executor, phase, || match &error {
                    Some(error) => checkpointer.fail(run, error),
                    None => checkpointer.complete(run),
                })
                .await
            }
        }
    }

    async fn finalize(
        &self,
        shared: &Shared,
        executor: &Inner,
        phase: Phase,
        which: FinalizerPhase,
    ) -> Result<(), String> {
        let mut failed = Vec::new();
        for finalizer in shared.take_finalizers(which) {
            let done = self.foreign(executor, phase, finalizer.action).await;
            if let Err(error) = done {
                failed.push(format!("{}: {error}", finalizer.name));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    async fn end_children(&self, shared: &Shared, executor: &Inner) -> Result<(), String> {
        let children = shared.take_children();
        if children.is_empty() {
            return Ok(());
        }
        for child in &children {
            if self.outcome.status == RunStatus::Interrupted {
                child.request_stop(interrupted);
            }
            // The claim has cancelled the token that theirs hang from.
        }
        let work = async {
            for child in &children {
                child.wait_settled().await;
            }
        };
        match self.limited(executor, Phase::Children, Box::pin(work)).await {
            Some(()) => Ok(()),
            None => Err("a child run did not settle in time".into()),
        }
    }

    /// Settles the hold, or releases one that may not have been granted. Idempotent by its id, so
    /// it is tried again while there is time.
    async fn settle_budget(
        &self,
        executor: &Inner,
        hold: &HoldId,
        spent: Option<Amounts>,
    ) -> Result<(), String> {
        let Some(budget) = &executor.ports.budget else { return Ok(()) };
        let mut result = Ok(());
        for attempt in 0..3 {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result = self
                .foreign(executor, Phase::SettleBudget, || match spent {
                    Some(spent) => budget.settle(hold, spent),
                    None => budget.release(hold),
                })
                .await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn close_audit(&mut self, life: &mut Life, executor: &Arc<Inner>) -> Result<(), String> {
        if life.unrecorded {
            return Err("the audit did not start a record".into());
        }
        let Some(log) = &mut life.log else { return Ok(()) };
        let Some(recorder) = log.recorder() else { return Ok(()) };
        let outcome = Arc::clone(&self.outcome);
        let closed = self
            .foreign(executor, Phase::CloseAudit, || {
                if outcome.status.is_terminal() {
                    recorder.close(&outcome)
                } else {
                    recorder.suspend(&outcome)
                }
            })
            .await;
        log.detach();
        closed
    }

    /// Performs foreign work within the phase's share of the time.
    async fn foreign<'a, E: std::fmt::Display>(
        &self,
        executor: &Inner,
        phase: Phase,
        make: impl FnOnce() -> Foreign<'a, Result<(), E>>,
    ) -> Result<(), String> {
        match self.limited(executor, phase, isolate(make)).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(crate::text::bounded(error.to_string())),
            Some(Err(panicked)) => Err(panicked.to_string()),
            None => Err("not done in time".into()),
        }
    }

    /// When a phase must end: half of what is left goes to one phase, the close has its own slice.
    fn until(&self, executor: &Inner, phase: Phase) -> Instant {
        let config = &executor.config;
        let own = self.began + config.settle_allowance;
        let end = executor.shutdown_deadline().map_or(own, |shutdown| shutdown.min(own));
        let now = Instant::now();
        let left = end.saturating_duration_since(now);
        now + match phase {
            Phase::CloseAudit => left * 3 / 4,
            Phase::Checkpoint => left,
            _ if self.closed => left / 2,
            _ => left.saturating_sub(config.audit_slice.min(left / 2)) / 2,
        }
    }

    /// `None` when the work was not done in time. A shutdown that begins meanwhile shrinks the time.
    async fn limited<T>(
        &self,
        executor: &Inner,
        phase: Phase,
        mut work: impl Future<Output = T> + Unpin,
    ) -> Option<T> {
        let mut work = Pin::new(&mut work);
        // What is done at once needs no timer.
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
            return Some(done);
        }
        let mut sleep = pin!(tokio::time::sleep_until(self.until(executor, phase)));
        let mut shutdown = pin!(executor.shutdown.cancelled());
        let mut shrunk = executor.shutdown.is_cancelled();
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if !shrunk && shutdown.as_mut().poll(cx).is_ready() {
                shrunk = true;
                let until = self.until(executor, phase).min(sleep.deadline());
                sleep.as_mut().reset(until);
            }
            sleep.as_mut().poll(cx).map(|()| None)
        })
        .await
    }
}
