//! What a boot does with the runs that were left: the dead are recorded as interrupted, and those
//! that killed their worker each time are set aside.

use std::sync::Arc;

use super::Executor;
use super::outside::Awaited;
use super::resume::{KeptRun, ResumeError, answered};
use super::shared::millis;
use super::stops::within;
use crate::id::RunId;
use crate::isolate::isolate;
use crate::machine::Next;
use crate::port::{AuditError, RunStart};
use crate::spec::RunSpec;
use crate::status::{ErrorKind, Outcome, RunError, RunStatus, Stats};

/// A run that was left.
#[derive(Debug, Clone)]
pub struct Left {
    /// Which run.
    pub run: RunId,
    /// What it was asked to be; `None` when what is kept cannot be read.
    pub spec: Option<Arc<RunSpec>>,
    /// How it was left.
    pub state: LeftState,
}

/// How a run was left.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LeftState {
    /// It was interrupted in order, or its process died; it can be resumed.
    Interrupted {
        /// Whether it died. That is recorded now, if it was not before.
        died: bool,
    },
    /// It waits for somebody's approval.
    AwaitingApproval {
        /// The calls that wait.
        calls: Vec<Awaited>,
    },
    /// It killed its worker again and again, and is resumed only after [`Executor::unpark`].
    Parked {
        /// Why it is parked.
        why: RunError,
    },
    /// It cannot be resumed now.
    Unusable {
        /// Why.
        error: ResumeError,
    },
}

impl Executor {
    /// The runs that were left, each looked at: whose process died is recorded as `interrupted`,
    /// with its budget settled; who killed his worker too often is parked. Nothing is resumed.
    ///
    /// # Errors
    /// [`ResumeError::NoCheckpointer`] and [`ResumeError::Checkpointer`]. What concerns one run is
    /// told with it.
    pub async fn recover(&self) -> Result<Vec<Left>, ResumeError> {
        let mut left = Vec::new();
        for run in self.resumable().await? {
            match self.recover_run(&run).await {
                Ok(Some(found)) => left.push(found),
                // Ended or taken meanwhile.
                Ok(None) | Err(ResumeError::Unknown { .. } | ResumeError::Claimed { .. }) => {}
                Err(ResumeError::Parked { .. }) => {}
                Err(error) => {
                    let state = LeftState::Unusable { error };
                    left.push(Left { run, spec: None, state });
                }
            }
        }
        for run in self.parked().await? {
            let (spec, why) = match self.kept(&run).await {
                Ok(kept) => (Some(Arc::clone(kept.run.spec())), kept.parked),
                Err(_) => (None, None),
            };
            let why = why.unwrap_or_else(|| RunError::new(ErrorKind::Parked, "it is parked"));
            left.push(Left { run, spec, state: LeftState::Parked { why } });
        }
        Ok(left)
    }

    async fn recover_run(&self, run: &RunId) -> Result<Option<Left>, ResumeError> {
        let kept = self.kept(run).await?;
        self.park_in_vain(&kept).await?;
        let resumed = kept.resumed();
        let spec = Some(resumed.spec);
        let died = kept.died();
        if died && !self.record_death(run).await? {
            return Ok(None);
        }
        let state = if kept.run.waits().is_some() {
            LeftState::AwaitingApproval { calls: resumed.awaited }
        } else {
            LeftState::Interrupted { died }
        };
        Ok(Some(Left { run: run.clone(), spec, state }))
    }

    /// The parked runs.
    ///
    /// # Errors
    /// [`ResumeError::NoCheckpointer`] and [`ResumeError::Checkpointer`].
    pub async fn parked(&self) -> Result<Vec<RunId>, ResumeError> {
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        answered(within(isolate(|| checkpointer.parked()), self.0.config.port_limit).await)
    }

    /// Lets a parked run be resumed again, with all its attempts. Whether it was parked.
    ///
    /// # Errors
    /// [`ResumeError::NoCheckpointer`] and [`ResumeError::Checkpointer`].
    pub async fn unpark(&self, run: &RunId) -> Result<bool, ResumeError> {
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        answered(within(isolate(|| checkpointer.unpark(run)), self.0.config.port_limit).await)
    }

    pub(super) async fn unpark_kept(&self, kept: &KeptRun) -> Result<(), ResumeError> {
        if kept.parked.is_some() {
            self.unpark(&kept.run.spec().run_id).await?;
        }
        Ok(())
    }

    /// Refuses a run that is parked, and parks one that is to be.
    pub(super) async fn park_in_vain(&self, kept: &KeptRun) -> Result<(), ResumeError> {
        let run = kept.run.spec().run_id.clone();
        if let Some(why) = &kept.parked {
            return Err(ResumeError::Parked { run, why: why.clone() });
        }
        let lives = self.0.config.saving.lives;
        if lives == 0 || kept.in_vain < lives {
            return Ok(());
        }
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        let message =
            format!("its last {} lives ended with their process, without an advance", kept.in_vain);
        let why = RunError::new(ErrorKind::Parked, message);
        if kept.died() {
            // Fails open: what is recorded of the run is then what the dead process left.
            if let Err(error) = self.record_death_as(&run, &why).await {
                tracing::warn!(%run, %error, "that the run is parked was not recorded");
            }
        }
        let parked = within(isolate(|| checkpointer.park(&run, &why)), self.0.config.port_limit);
        answered(parked.await)?;
        tracing::warn!(%run, "the run is parked");
        Err(ResumeError::Parked { run, why })
    }

    /// Records as `interrupted` what died. `false`: somebody else has the run.
    async fn record_death(&self, run: &RunId) -> Result<bool, ResumeError> {
        let error = RunError::new(
            ErrorKind::Interrupted,
            "the process that performed the run died; the run can be resumed",
        );
        self.record_death_as(run, &error.retryable(true)).await
    }

    async fn record_death_as(&self, run: &RunId, error: &RunError) -> Result<bool, ResumeError> {
        let checkpointer = self.0.ports.checkpointer.as_ref().ok_or(ResumeError::NoCheckpointer)?;
        let (limit, lease) = (self.0.config.port_limit, self.0.config.saving.lease);
        if !answered(within(isolate(|| checkpointer.claim(run, lease)), limit).await)? {
            return Ok(false);
        }
        let recorded = self.record_claimed(run, error).await;
        // Nothing was appended: the claim does not count as a life.
        self.give_back(run).await;
        recorded.map(|()| true)
    }

    async fn record_claimed(&self, run: &RunId, error: &RunError) -> Result<(), ResumeError> {
        let kept = self.kept(run).await?;
        self.settle_dead_hold(&kept).await?;
        let Some(audit) = self.0.ports.audit.as_ref().filter(|_| kept.run.spec().ports.audit)
        else {
            return Ok(());
        };
        let failed = |message: String| ResumeError::Audit { run: run.clone(), message };
        let limit = self.0.config.port_limit;
        let spec = Arc::clone(kept.run.spec());
        let start = RunStart { spec, attempt: kept.run.attempt(), at: kept.began() };
        let recorder = match within(isolate(|| audit.start(&start)), limit).await {
            Some(Ok(Ok(recorder))) => recorder,
            // Its record is closed: a resume settles what is left.
            Some(Ok(Err(AuditError::Closed { .. }))) => None,
            Some(Ok(Err(error))) => return Err(failed(error.to_string())),
            Some(Err(panicked)) => return Err(failed(panicked.to_string())),
            None => return Err(failed("no answer in time".into())),
        };
        let Some(recorder) = recorder else { return Ok(()) };
        let outcome = kept.outcome(error);
        match within(isolate(|| recorder.suspend(&outcome)), limit).await {
            Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(failed(error.to_string())),
            Some(Err(panicked)) => Err(failed(panicked.to_string())),
            None => Err(failed("no answer in time".into())),
        }
    }
}

impl KeptRun {
    /// Whether its newest life ended with its process: neither in order nor settled.
    fn died(&self) -> bool {
        !matches!(self.run.plan(), Next::Done)
    }

    /// The outcome of the life that died.
    fn outcome(&self, error: &RunError) -> Outcome {
        let spec = self.run.spec();
        Outcome {
            run_id: spec.run_id.clone(),
            status: RunStatus::Interrupted,
            output: None,
            error: Some(error.clone()),
            stats: Stats {
                tally: *self.run.tally(),
                runtime_ms: millis(self.run.last_at().since(spec.started_at)),
            },
            artifacts: Vec::new(),
        }
    }
}
