//! The one way out: whatever way an action ends, it is settled once and recorded once.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use executus_core::isolate::Foreign;
use executus_core::secret::Secrets;
use executus_core::text::{bounded, bounded_to};
use executus_core::{RunId, Timestamp};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::{CANCELLED, StageError};
use super::wait::{Unanswered, within};
use super::{Inner, Stage};
use crate::budget::Reservation;
use crate::firewall::scrub_text;
use crate::principal::Principal;
use crate::record::{ActionError, ActionKind, ActionLogError, ActionRecord, Counts};

/// How often a number is put behind an id that is taken.
const MAX_REPEATS: u32 = 64;
/// The longest id in a record, in bytes.
const MAX_ID: usize = 600;

/// What is known of an action under way: its record so far, and what it holds.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) record: ActionRecord,
    pub(super) reservation: Option<Reservation>,
    /// Whether it was let in: what ends before is a refusal.
    pub(super) admitted: bool,
    pub(super) secrets: Secrets,
}

impl Default for Draft {
    fn default() -> Self {
        let record = ActionRecord {
            action_id: String::new(),
            kind: ActionKind::Invoke,
            at: Timestamp::default(),
            duration_ms: 0,
            principal_id: Arc::default(),
            capability_id: String::new(),
            token_id: None,
            run_id: None,
            driver_id: String::new(),
            mode: None,
            args: Value::Null,
            counts: Counts::default(),
            error: None,
        };
        Self { record, reservation: None, admitted: false, secrets: Secrets::default() }
    }
}

/// How an action ended: what it cost, or a reason code and a text.
pub(super) type End = Result<u64, (String, String)>;

/// An action under way. One that is dropped before its end is cancelled: what it holds is given
/// back at once, and it is recorded by a task of the kernel's.
pub(super) struct Action {
    kernel: Arc<Inner>,
    draft: Draft,
    /// Where the record is written when nobody waits for it any more.
    runtime: Option<Handle>,
    tracked: TaskTrackerToken,
    open: bool,
}

impl Action {
    pub(super) fn begin(
        kernel: &Arc<Inner>,
        kind: ActionKind,
        principal: &Principal,
        action_id: Option<&str>,
        run_id: Option<RunId>,
    ) -> Self {
        let mut draft = Draft::default();
        draft.record.kind = kind;
        draft.record.at = kernel.clock.now();
        draft.record.principal_id = Arc::clone(&principal.id);
        draft.record.run_id = run_id;
        draft.record.action_id = match action_id {
            Some(named) if !named.is_empty() => bounded_to(named.to_owned(), MAX_ID),
            // Fresh ids of runs are what is needed here: unique, and sorted by time.
            _ => RunId::random().as_str().to_owned(),
        };
        Self {
            kernel: Arc::clone(kernel),
            draft,
            runtime: Handle::try_current().ok(),
            tracked: kernel.tracker.token(),
            open: true,
        }
    }

    pub(super) const fn draft(&mut self) -> &mut Draft {
        &mut self.draft
    }

    pub(super) fn id(&self) -> &str {
        &self.draft.record.action_id
    }

    /// Ends it. What it holds is settled at once, and the record is written even if nobody waits
    /// for the answer: the id that it was recorded under.
    pub(super) fn end(mut self, end: End) -> Completing {
        self.open = false;
        self.conclude(end)
    }

    fn conclude(&mut self, end: End) -> Completing {
        let draft = mem::take(&mut self.draft);
        let record = settle(&self.kernel, draft, end);
        let (kernel, tracked) = (Arc::clone(&self.kernel), self.tracked.clone());
        Completing {
            work: Some(Box::pin(async move {
                let written = write(&kernel, record).await;
                drop(tracked);
                written
            })),
            tracker: self.kernel.tracker.clone(),
            runtime: self.runtime.take(),
        }
    }
}

impl Drop for Action {
    fn drop(&mut self) {
        if self.open {
            // Dropping it hands it to a task.
            drop(self.conclude(Err(("cancelled".into(), CANCELLED.into()))));
        }
    }
}

/// Settles or releases what was reserved, and completes the record.
fn settle(kernel: &Inner, draft: Draft, end: End) -> ActionRecord {
    let Draft { mut record, reservation, admitted, secrets } = draft;
    let took = kernel.clock.now().since(record.at);
    record.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match end {
        Ok(cost) => {
            record.counts.cost_tokens = cost;
            if let Some(reservation) = reservation {
                let settlement = reservation.settle(cost);
                record.counts.overrun_tokens = settlement.overrun;
                if settlement.overrun > 0 {
                    let (action, over) = (&record.action_id, settlement.overrun);
                    tracing::warn!(%action, over, "a result cost more than the session had left");
                }
            }
        }
        Err((code, message)) => {
            drop(reservation);
            let message = bounded(scrub_text(&secrets.redact(message)));
            record.error = Some(ActionError { code, message });
        }
    }
    kernel.stats.ended(&record, admitted);
    record
}

/// Writes a record, within the limit of the log.
async fn write(kernel: &Inner, mut record: ActionRecord) -> Result<String, ActionLogError> {
    let id = record.action_id.clone();
    let limit = kernel.limits.log;
    let mut repeats = 1;
    let error = loop {
        match within(limit, || kernel.log.record(&record)).await {
            Ok(Ok(())) => return Ok(record.action_id),
            Ok(Err(ActionLogError::Duplicate { .. })) if repeats < MAX_REPEATS => {
                repeats += 1;
                record.action_id = repeated(&id, repeats);
            }
            Ok(Err(error)) => break error,
            Err(why) => break unwritten(why),
        }
    };
    kernel.stats.unrecorded();
    tracing::error!(action = %id, %error, "an action is not recorded");
    Err(error)
}

fn unwritten(why: Unanswered) -> ActionLogError {
    ActionLogError::Unwritten { message: StageError::new(Stage::Log, why).to_string() }
}

/// The id of an action that was done before under the same one, as after a crash.
fn repeated(id: &str, nth: u32) -> String {
    format!("{id}~{nth}")
}

/// The first id in the line of a named one of which there is no record.
///
/// A log that cannot say so is not there: what is done could not be recorded.
pub(super) async fn unused(kernel: &Inner, named: &str) -> Result<String, ActionLogError> {
    let mut id = named.to_owned();
    for nth in 2..=MAX_REPEATS {
        match within(kernel.limits.log, || kernel.log.get(&id)).await {
            Ok(Ok(Some(_))) => id = repeated(named, nth),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(error),
            Err(why) => return Err(unread(why)),
        }
    }
    Ok(id)
}

/// A log that could not be read.
pub(super) fn unread(why: Unanswered) -> ActionLogError {
    ActionLogError::Unread { message: StageError::new(Stage::Log, why).to_string() }
}

/// The writing of a record. It goes on in a task of the kernel's when it is dropped.
pub(super) struct Completing {
    work: Option<Foreign<'static, Result<String, ActionLogError>>>,
    tracker: TaskTracker,
    runtime: Option<Handle>,
}

impl Future for Completing {
    type Output = Result<String, ActionLogError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = self.work.as_mut() else {
            let message = "the record was asked for again".to_owned();
            return Poll::Ready(Err(ActionLogError::Unwritten { message }));
        };
        let written = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(written)
    }
}

impl Drop for Completing {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        match &self.runtime {
            Some(runtime) => drop(self.tracker.spawn_on(work, runtime)),
            None => tracing::error!("an action is not recorded: there is no runtime to do it in"),
        }
    }
}
