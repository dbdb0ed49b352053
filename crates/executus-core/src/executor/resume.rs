//! Another life for a run that a crash or a shutdown left: fold the facts, ask the plan, go on.

use std::sync::Arc;

use thiserror::Error;

use super::build::{Origin, Unlived, life};
use super::outside::{Awaited, awaited};
use super::stops::within;
use super::{Executor, RunHandle, RunRequest, RunTask, StartError, spawn};
use crate::id::RunId;
use crate::isolate::isolate;
use crate::machine::{FoldError, Run};
use crate::port::{Amounts, CheckpointError, Saved};
use crate::record::{Fact, Record};
use crate::spec::RunSpec;
use crate::status::RunError;
use crate::time::{Clock, Timestamp};

/// Why a run was not resumed. What is kept of it is still kept.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The executor has no checkpointer.
    #[error("this executor has no checkpointer to resume from")]
    NoCheckpointer,
    /// Nothing is kept of the run: it ended, or never was.
    #[error("nothing is kept of run {run}: it has ended, or never was")]
    Unknown {
        /// Which run.
        run: RunId,
    },
    /// Somebody else resumes it.
    #[error("run {run} is being resumed by somebody else")]
    Claimed {
        /// Which run.
        run: RunId,
    },
    /// What is kept is not the log of a run.
    #[error("what is kept of run {run} cannot be used")]
    Log {
        /// Which run.
        run: RunId,
        /// What is wrong with it.
        #[source]
        source: FoldError,
    },
    /// The checkpointer did not answer as it should.
    #[error("the checkpointer failed: {message}")]
    Checkpointer {
        /// What happened.
        message: String,
    },
    /// The hold of the dead life could not be settled; try again later.
    #[error("the budget hold of the earlier life could not be settled: {message}")]
    Budget {
        /// What happened.
        message: String,
    },
    /// The audit did not take what became of the run; try again later.
    #[error("what became of run {run} was not recorded: {message}")]
    Audit {
        /// Which run.
        run: RunId,
        /// What happened.
        message: String,
    },
    /// The run can do nothing before somebody approves a call, or the time for that is over.
    /// Nothing was claimed, and nothing recorded.
    #[error("run {run} awaits approval until {}", until.utc())]
    AwaitingApproval {
        /// Which run.
        run: RunId,
        /// When the first of its calls that wait is denied for want of an answer.
        until: Timestamp,
    },
    /// The run killed its worker again and again: it is left alone until it is
    /// [unparked](Executor::unpark).
    #[error("run {run} is parked: {}; unpark it to try again", why.message)]
    Parked {
        /// Which run.
        run: RunId,
        /// Why.
        why: RunError,
    },
    /// The run could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What resuming needs to know of a run: its spec, for the host to build model and tools from.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// What the run was asked to be.
    pub spec: Arc<RunSpec>,
    /// The calls that await approval, for [`RunRequest::answers`].
    pub awaited: Vec<Awaited>,
    /// How many lives the run has had.
    pub lives: u32,
}

/// What is kept of a run, and the state that it folds to.
pub(super) struct KeptRun {
    pub(super) run: Run,
    pub(super) records: Vec<Record>,
    pub(super) in_vain: u32,
    pub(super) parked: Option<RunError>,
}

impl KeptRun {
    /// When its newest life began.
    pub(super) fn began(&self) -> Timestamp {
        let opens = |fact: &Fact| matches!(fact, Fact::Opened(_) | Fact::Resumed { .. });
        let began = self.records.iter().rev().find(|record| opens(&record.fact));
        began.map_or(self.run.last_at(), |record| record.at)
    }

    pub(super) fn resumed(&self) -> Resumed {
        let spec = Arc::clone(self.run.spec());
        Resumed { spec, awaited: awaited(&self.run), lives: self.run.attempt() }
    }
}

impl Executor {
    /// The runs that a crash or a shutdown left, for a boot to resume. Those under way in this
    /// executor are left out.
    ///
    /// # Errors
    /// [`ResumeError::NoCheckpointer`] and [`ResumeError::Checkpointer`].
    pub async fn resumable(&self) -> Result<Vec<RunId>, ResumeError> {
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        let listed = within(isolate(|| checkpointer.list()), self.0.config.port_limit).await;
        let mut runs = answered(listed)?;
        let under_way = self.0.runs.lock();
        runs.retain(|run| !under_way.contains(run));
        Ok(runs)
    }

    /// Goes on with a run: claims it, folds its facts, settles the hold of the dead life and
    /// starts the next one. `request` makes model, tools and secrets from the run's spec; its
    /// names, inputs and limits are those of the spec, whatever it says.
    ///
    /// A run that had ended but not settled is settled; its model is not asked. The next life has
    /// the time that the last one had left: a run is not timed out for having been down, nor for
    /// having waited. One that waits for an approval goes on with an answer to it, or when the time
    /// for that is over; until then it is left as it is.
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn resume(
        &self,
        run: &RunId,
        request: impl FnOnce(&Resumed) -> RunRequest + Send,
    ) -> Result<RunHandle, ResumeError> {
        let (handle, life) = self.revive(run, request, false).await?;
        spawn(life)?;
        Ok(handle)
    }

    /// As [`resume`](Self::resume), for whoever wants to drive the task by himself; see
    /// [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// See [`ResumeError`].
    pub async fn prepare_resume(
        &self,
        run: &RunId,
        request: impl FnOnce(&Resumed) -> RunRequest + Send,
    ) -> Result<(RunHandle, RunTask), ResumeError> {
        let (handle, life) = self.revive(run, request, false).await?;
        Ok((handle, RunTask(Box::pin(life.live()))))
    }

    /// `though_waiting`: even if the run can do nothing but wait.
    pub(super) async fn revive(
        &self,
        run: &RunId,
        request: impl FnOnce(&Resumed) -> RunRequest + Send,
        though_waiting: bool,
    ) -> Result<(RunHandle, Unlived), ResumeError> {
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        // Before anything is claimed or settled: what is kept of a living run is not a dead one's.
        if self.0.runs.lock().contains(run) {
            return Err(StartError::Running { run: run.clone() }.into());
        }
        // Before anything is claimed: a run that can only wait on is left as it is.
        let limit = self.0.config.port_limit;
        let kept = self.kept(run).await?;
        if though_waiting {
            self.unpark_kept(&kept).await?;
        } else {
            self.park_in_vain(&kept).await?;
        }
        let mut request = request(&kept.resumed());
        request.ask.run_id = Some(run.clone());
        let known = kept.run;
        if let Some(until) = known.waits()
            && !(though_waiting || Timestamp::now() > until)
            && !request.work.setup.iter().flat_map(|it| &it.answers).any(|it| known.is_awaited(it))
        {
            return Err(ResumeError::AwaitingApproval { run: run.clone(), until });
        }
        let lease = self.0.config.saving.lease;
        if !answered(within(isolate(|| checkpointer.claim(run, lease)), limit).await)? {
            return Err(ResumeError::Claimed { run: run.clone() });
        }
        let revived = self.revive_claimed(run, request).await;
        if revived.is_err() {
            self.give_back(run).await;
        }
        revived
    }

    async fn revive_claimed(
        &self,
        run: &RunId,
        request: RunRequest,
    ) -> Result<(RunHandle, Unlived), ResumeError> {
        // Anew: until the claim somebody else may have gone on with it.
        let kept = self.kept(run).await?;
        self.settle_dead_hold(&kept).await?;
        let KeptRun { run: mut folded, records, .. } = kept;
        let from_seq = records.last().map_or(0, |record| record.seq);

        let clock = Clock::system();
        let now = clock.start();
        let left = folded.deadline().since(folded.last_at());
        let attempt = folded.attempt() + 1;
        let fact = Fact::Resumed { from_seq, attempt, deadline: now.after(left) };
        let seq = from_seq + 1;
        folded.apply(now, &fact).map_err(|misuse| ResumeError::Log {
            run: run.clone(),
            source: FoldError::Misuse { seq, misuse },
        })?;
        let origin = Origin {
            run: folded,
            first: fact,
            earlier: records,
            refusal: None,
            clock,
            chosen: true,
        };
        Ok(life(&self.0, request.work, origin, None)?)
    }

    /// What is kept of a run: its state, and the records that it is the fold of.
    pub(super) async fn kept(&self, run: &RunId) -> Result<KeptRun, ResumeError> {
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        let loaded = within(isolate(|| checkpointer.load(run)), self.0.config.port_limit).await;
        let saved: Option<Saved> = answered(loaded)?;
        let Saved { records, in_vain, parked, .. } =
            saved.ok_or_else(|| ResumeError::Unknown { run: run.clone() })?;
        let folded =
            Run::fold(&records).map_err(|source| ResumeError::Log { run: run.clone(), source })?;
        Ok(KeptRun { run: folded, records, in_vain, parked })
    }

    /// Gives back a run that was claimed for nothing. Fails open: its lease runs out.
    pub(super) async fn give_back(&self, run: &RunId) {
        let Some(checkpointer) = &self.0.ports.checkpointer else { return };
        let limit = self.0.config.port_limit;
        if let Err(error) = answered(within(isolate(|| checkpointer.release(run)), limit).await) {
            tracing::warn!(%run, %error, "the run was not given back; it is free when its lease ends");
        }
    }

    /// The dead life's hold is settled with what the facts say it spent. Settling twice is nothing,
    /// so a crash here loses nothing.
    pub(super) async fn settle_dead_hold(&self, kept: &KeptRun) -> Result<(), ResumeError> {
        let (run, began) = (&kept.run, kept.began());
        let ended = run.end().is_some_and(|end| end.stop.status.is_terminal());
        let (Some(budget), Some((hold, spent)), false) = (&self.0.ports.budget, run.hold(), ended)
        else {
            return Ok(());
        };
        let spent = Amounts {
            tokens: spent.tokens(),
            runtime_ms: super::shared::millis(run.last_at().since(began)),
            cost_micros: spent.cost_micros,
            runs: 0,
        };
        let settled =
            within(isolate(|| budget.settle(hold, spent)), self.0.config.port_limit).await;
        match settled {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(ResumeError::Budget { message: error.to_string() }),
            Some(Err(panicked)) => Err(ResumeError::Budget { message: panicked.to_string() }),
            None => Err(ResumeError::Budget { message: "no answer in time".into() }),
        }
    }
}

pub(super) fn answered<T>(
    answer: Option<Result<Result<T, CheckpointError>, crate::isolate::Panicked>>,
) -> Result<T, ResumeError> {
    let message = match answer {
        Some(Ok(Ok(answer))) => return Ok(answer),
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(panicked)) => panicked.to_string(),
        None => "no answer in time".into(),
    };
    Err(ResumeError::Checkpointer { message })
}
