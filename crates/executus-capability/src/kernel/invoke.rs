//! Performing a capability: from the token to the frame.

use std::future::Future;
use std::sync::Arc;

use executus_core::isolate::{Panicked, call};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::action::{Action, unused};
use super::admit::Admitted;
use super::attempt::Attempts;
use super::error::{InvokeError, Stage, StageError};
use super::wait::{Unanswered, within};
use super::{Inner, Invocation, Kernel};
use crate::budget::Shown;
use crate::driver::DriverError;
use crate::firewall::{ScreenRequest, scrub_text};
use crate::frame::{Frame, Mode};
use crate::handle::{HandleRef, NewHandle};
use crate::record::{ActionKind, recorded};

/// The last frame of an invocation, not shown yet, and what all its frames cost.
pub(super) struct Served {
    pub(super) frame: Frame,
    pub(super) cost: u64,
}

impl Kernel {
    /// Performs a capability and answers one frame: verify, look up, route, deadline, mode, reserve,
    /// drivers, handle, firewall, count, settle, record.
    ///
    /// # Errors
    /// [`InvokeError`]: nothing is shown. There is a record of it all the same, unless the error
    /// says that there is none.
    pub async fn invoke(&self, invocation: Invocation) -> Result<Frame, InvokeError> {
        let mut action = self.0.begin(&invocation);
        let stop = invocation.cancellation.clone();
        let work = self.0.perform(&mut action, &invocation);
        let ended = self.0.unless_cancelled(stop.as_ref(), work).await;
        finish(action, ended).await
    }
}

/// Settles an invocation, records it, and shows its last frame.
pub(super) async fn finish(
    mut action: Action,
    ended: Result<Served, InvokeError>,
) -> Result<Frame, InvokeError> {
    match ended {
        Ok(Served { mut frame, cost }) => {
            frame.is_final = true;
            action.shows(&frame);
            frame.action_id = action.end(Ok(cost)).await?;
            Ok(frame)
        }
        Err(error) => {
            // Nothing is shown: a log that cannot record does not hide why.
            let _ = action.end(Err((error.code().to_owned(), error.text()))).await;
            Err(error)
        }
    }
}

impl Inner {
    pub(super) fn begin(self: &Arc<Self>, invocation: &Invocation) -> Action {
        let Invocation { principal, action_id, run_id, .. } = invocation;
        let named = action_id.as_deref();
        let mut action = Action::begin(self, ActionKind::Invoke, principal, named, run_id.clone());
        let draft = action.draft();
        let id = invocation.capability.as_str();
        id.clone_into(&mut draft.record.capability_id);
        // It may be anybody's text, as the token is not verified yet.
        draft.record.token_id = Some(scrub_text(shortened(&invocation.token.token_id)));
        draft.record.args = recorded(id, &invocation.args, &invocation.secrets);
        draft.secrets = invocation.secrets.clone();
        action
    }

    /// Waits for an invocation that begins, until it is given up.
    pub(super) async fn unless_cancelled<T>(
        &self,
        asked: Option<&CancellationToken>,
        work: impl Future<Output = Result<T, InvokeError>>,
    ) -> Result<T, InvokeError> {
        if self.tracker.is_closed() {
            return Err(InvokeError::Closed);
        }
        let asked = async {
            match asked {
                Some(token) => token.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = asked => Err(InvokeError::Cancelled),
            () = self.stop.cancelled() => Err(InvokeError::Cancelled),
            ended = work => ended,
        }
    }

    async fn perform(
        &self,
        action: &mut Action,
        invocation: &Invocation,
    ) -> Result<Served, InvokeError> {
        self.number(action, invocation).await?;
        let admitted = self.admit(action, invocation)?;
        let mut attempts = Attempts::new(self, invocation, &admitted);
        for (id, driver) in attempts.drivers() {
            let answer = attempts.attempt(action, id, |request, limit| async move {
                within(limit, || driver.execute(&request)).await
            });
            if let Some(raw) = answer.await? {
                return self.whole(action, invocation, &admitted, raw).await;
            }
        }
        Err(attempts.exhausted(action))
    }

    /// Gives the action an id of which there is no record yet.
    pub(super) async fn number(
        &self,
        action: &mut Action,
        invocation: &Invocation,
    ) -> Result<(), InvokeError> {
        if invocation.action_id.is_some() {
            let id = unused(self, action.id()).await?;
            action.draft().record.action_id = id;
        }
        Ok(())
    }

    /// What follows when a driver has given a whole result: handle, firewall, count.
    pub(super) async fn whole(
        &self,
        action: &mut Action,
        invocation: &Invocation,
        admitted: &Admitted<'_>,
        raw: Value,
    ) -> Result<Served, InvokeError> {
        let raw = Arc::new(raw);
        let handle = match admitted.mode {
            // All of it is shown: there is nothing to come back for.
            Mode::Raw => None,
            Mode::Table | Mode::Summary | Mode::HandleOnly => {
                Some(self.keep(invocation, admitted, Arc::clone(&raw)).await?)
            }
        };
        let request = self.screened(action, invocation, admitted, handle.as_ref());
        let screened = call(|| self.screen.screen(&raw, &request));
        let mut frame = screened.map_err(|why| panicked(Stage::Firewall, why))??;
        frame.handle = handle;
        self.confine(action, admitted, &mut frame);
        invocation.tell_mode(&mut frame);
        let cost = self.count(&frame)?;
        self.left(admitted.until)?;
        Ok(Served { frame, cost })
    }

    /// Keeps a whole result behind a handle.
    pub(super) async fn keep(
        &self,
        invocation: &Invocation,
        admitted: &Admitted<'_>,
        data: Arc<Value>,
    ) -> Result<HandleRef, InvokeError> {
        let limit = self.capped(self.limits.handle, admitted.until)?;
        let new = NewHandle {
            data,
            principal_id: Arc::clone(&invocation.principal.id),
            capability_id: admitted.capability.id.clone(),
            constraints: (*admitted.constraints).clone(),
            now: self.clock.now(),
        };
        let kept = within(limit, || self.handles.store(new)).await;
        Ok(kept.map_err(|why| StageError::new(Stage::Handle, why))??)
    }

    /// What the firewall is asked with.
    pub(super) fn screened<'a>(
        &self,
        action: &'a Action,
        invocation: &'a Invocation,
        admitted: &'a Admitted<'_>,
        handle: Option<&'a HandleRef>,
    ) -> ScreenRequest<'a> {
        ScreenRequest {
            mode: admitted.mode,
            constraints: &admitted.constraints,
            capability: &admitted.capability,
            principal: &invocation.principal,
            handle,
            action_id: action.id(),
        }
    }

    /// Holds a screen to what it may say: this invocation's id, and no more than its mode.
    pub(super) fn confine(&self, action: &mut Action, admitted: &Admitted<'_>, frame: &mut Frame) {
        action.id().clone_into(&mut frame.action_id);
        frame.mode = frame.mode.min(admitted.mode);
        action.draft().record.mode = Some(frame.mode);
    }

    pub(super) fn count(&self, frame: &Frame) -> Result<u64, InvokeError> {
        let counted = call(|| self.counter.count(Shown::of(frame)));
        Ok(counted.map_err(|why| panicked(Stage::Count, why))??)
    }

    /// An error of a driver as it may be told.
    pub(super) fn clean(&self, invocation: &Invocation, error: DriverError) -> DriverError {
        error.scrubbed(|text| scrub_text(&invocation.secrets.redact(text)))
    }
}

pub(super) fn panicked(stage: Stage, why: Panicked) -> StageError {
    StageError::new(stage, Unanswered::Panicked(why))
}

/// As much of an id as a record takes.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(128)]
}

impl Invocation {
    /// Says on the last frame that less is shown than was asked for.
    pub(super) fn tell_mode(&self, frame: &mut Frame) {
        if frame.mode != self.mode {
            let (asked, used) = (self.mode, frame.mode);
            frame.warnings.push(format!("`{asked}` was asked for, `{used}` is shown"));
        }
    }
}

impl Action {
    /// Counts what a frame shows.
    pub(super) fn shows(&mut self, frame: &Frame) {
        let counts = &mut self.draft().record.counts;
        counts.fact_count += frame.facts.len() as u64;
        counts.row_count += frame.rows.len() as u64;
        counts.warning_count += frame.warnings.len() as u64;
        counts.has_handle |= frame.handle.is_some();
        counts.frame_count += 1;
    }
}
