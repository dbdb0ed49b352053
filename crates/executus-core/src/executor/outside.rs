//! What reaches a run from outside: who waits for somebody's approval, and ends that are asked for
//! by the run's id.

use std::sync::Arc;

use serde_json::Value;

use super::resume::{ResumeError, Resumed};
use super::shared::cancelled;
use super::{Executor, RunHandle, RunRequest, spawn};
use crate::id::RunId;
use crate::machine::Run;
use crate::time::Timestamp;

/// A call of a kept run that awaits approval.
#[derive(Debug, Clone, PartialEq)]
pub struct Awaited {
    /// The step, from 1.
    pub step: u32,
    /// The call within the step, from 0.
    pub call: u32,
    /// The tool.
    pub name: Arc<str>,
    /// The arguments as the model gave them, without sensitive parameters. Scrub them before they
    /// are shown.
    pub args: Value,
    /// Until when an answer counts.
    pub until: Timestamp,
}

impl Executor {
    /// The calls of a kept run that await approval; none when it can go on by itself. Claims and
    /// records nothing.
    ///
    /// # Errors
    /// [`ResumeError::Unknown`] when nothing is kept of the run, and whatever keeps it from being
    /// read.
    pub async fn awaited(&self, run: &RunId) -> Result<Vec<Awaited>, ResumeError> {
        Ok(awaited(&self.kept(run).await?.run))
    }

    /// Asks a run that is under way in this executor to stop: status `cancelled`. Whether there is
    /// one.
    #[must_use]
    pub fn cancel(&self, run: &RunId) -> bool {
        // Not under the lock: the run's task may give its place back while it is woken.
        let found = self.0.runs.lock().find(run);
        let is_there = found.is_some();
        if let Some(run) = found {
            run.request_stop(|| cancelled("the run was cancelled from outside"));
        }
        is_there
    }

    /// Ends a kept run as `cancelled`, one that awaits approval too: claims it as
    /// [`resume`](Self::resume) does, and settles it. No model or tool is called.
    ///
    /// A run that had ended and was not settled keeps the end that it had.
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub async fn cancel_kept(
        &self,
        run: &RunId,
        request: impl FnOnce(&Resumed) -> RunRequest + Send,
    ) -> Result<RunHandle, ResumeError> {
        let (handle, life) = self.revive(run, request, true).await?;
        handle.cancel();
        spawn(life)?;
        Ok(handle)
    }
}

/// The calls of a run that await approval.
pub(super) fn awaited(run: &Run) -> Vec<Awaited> {
    if run.end().is_some_and(|end| end.stop.status.is_terminal()) {
        return Vec::new();
    }
    let waiting = run.approvals().iter().filter(|approval| approval.answer.is_none());
    let calls = waiting.filter_map(|approval| {
        let call = run.reply()?.calls.get(approval.call as usize)?;
        Some(Awaited {
            step: run.step(),
            call: approval.call,
            name: Arc::clone(&call.name),
            args: call.args.clone(),
            until: approval.until,
        })
    });
    calls.collect()
}
