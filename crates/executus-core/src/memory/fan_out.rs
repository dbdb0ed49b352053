//! One audit made of several.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::isolate::{Foreign, call, drop_quietly, isolate};
use crate::port::{Audit, AuditError, Recorder, RunStart};
use crate::record::Record;
use crate::status::Outcome;

/// Records every run in several audits.
///
/// A **required** member keeps the contract: when it fails, the whole fails, and the run with it. An
/// **optional** one that fails, panics or does not answer within its limit is warned of and left out
/// for the rest of that life of the run. Required members are asked first, each group in the order
/// in which it was given.
///
/// Records go on after the longest trail of the members: one that lagged when the process died
/// has a gap before the record of the resumption.
#[derive(Clone, Default)]
pub struct FanOutAudit {
    required: Vec<Arc<dyn Audit>>,
    optional: Vec<(Arc<dyn Audit>, Duration)>,
}

impl FanOutAudit {
    /// Without members: no run is recorded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a member that must record.
    #[must_use]
    pub fn required(mut self, audit: Arc<dyn Audit>) -> Self {
        self.required.push(audit);
        self
    }

    /// With a member that may fail; it is waited for no longer than `limit` per call.
    #[must_use]
    pub fn optional(mut self, audit: Arc<dyn Audit>, limit: Duration) -> Self {
        self.optional.push((audit, limit));
        self
    }
}

impl fmt::Debug for FanOutAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOutAudit")
            .field("required", &self.required.len())
            .field("optional", &self.optional.len())
            .finish()
    }
}

#[async_trait]
impl Audit for FanOutAudit {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        let mut fan = FanOutRecorder::default();
        for audit in &self.required {
            if let Some(recorder) = audit.start(start).await? {
                fan.required.push(Member::new(recorder));
            }
        }
        for (audit, limit) in &self.optional {
            if let Some(Some(recorder)) = spared(*limit, "start", || audit.start(start)).await {
                fan.optional.push(Optional {
                    member: Mutex::new(Some(Arc::new(Member::new(recorder)))),
                    limit: *limit,
                });
            }
        }
        if fan.required.is_empty() && fan.optional.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(fan)))
    }
}

/// What an optional member answers; `None` when it failed, which is warned of.
async fn spared<'a, T>(
    limit: Duration,
    call: &str,
    make: impl FnOnce() -> Foreign<'a, Result<T, AuditError>>,
) -> Option<T> {
    let why = match timeout(limit, isolate(make)).await {
        Ok(Ok(Ok(answer))) => return Some(answer),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panicked)) => panicked.to_string(),
        Err(_) => format!("no answer within {limit:?}"),
    };
    tracing::warn!(call, why, "an optional audit is left out for the rest of this run");
    None
}

#[derive(Default)]
struct FanOutRecorder {
    required: Vec<Member>,
    optional: Vec<Optional>,
}

struct Member {
    recorder: Box<dyn Recorder>,
    /// The record that it answered with [`AuditError::Full`], 0 for none.
    full: AtomicU64,
}

struct Optional {
    /// `None` once it has failed.
    member: Mutex<Option<Arc<Member>>>,
    limit: Duration,
}

impl Member {
    fn new(recorder: Box<dyn Recorder>) -> Self {
        Self { recorder, full: AtomicU64::new(0) }
    }
}

impl Optional {
    fn get(&self) -> Option<Arc<Member>> {
        self.member.lock().clone()
    }

    fn leave_out(&self) {
        let member = self.member.lock().take();
        drop_quietly(member);
    }

    fn last_seq(&self) -> Option<u64> {
        let member = self.get()?;
        let last = call(|| member.recorder.last_seq());
        if last.is_err() {
            self.leave_out();
        }
        last.ok()
    }

    /// Whether a flush may help; everything else is dealt with here.
    fn record(&self, record: &Record) -> bool {
        let Some(member) = self.get() else { return false };
        let why = match call(|| member.recorder.record(record)) {
            Ok(Ok(())) => return false,
            // Once more after a flush, as the contract says.
            Ok(Err(AuditError::Full))
                if member.full.swap(record.seq, Ordering::Relaxed) != record.seq =>
            {
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(panicked) => panicked.to_string(),
        };
        tracing::warn!(
            call = "record",
            why,
            "an optional audit is left out for the rest of this run"
        );
        self.leave_out();
        false
    }
}

/// Performs a call on every member, the required ones first.
macro_rules! each {
    ($fan:expr, $call:ident ( $($arg:expr)? )) => {{
        for member in &$fan.required {
            member.recorder.$call($($arg)?).await?;
        }
        for optional in &$fan.optional {
            let Some(member) = optional.get() else { continue };
            let call = stringify!($call);
            if spared(optional.limit, call, || member.recorder.$call($($arg)?)).await.is_none() {
                optional.leave_out();
            }
        }
        Ok(())
    }};
}

#[async_trait]
impl Recorder for FanOutRecorder {
    fn last_seq(&self) -> u64 {
        let required = self.required.iter().map(|member| member.recorder.last_seq());
        let optional = self.optional.iter().filter_map(Optional::last_seq);
        required.chain(optional).max().unwrap_or(0)
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        // One that is given a record again, because another member had no room, keeps the first.
        for member in &self.required {
            member.recorder.record(record)?;
        }
        let mut full = false;
        for optional in &self.optional {
            full |= optional.record(record);
        }
        if full { Err(AuditError::Full) } else { Ok(()) }
    }

    async fn flush(&self) -> Result<(), AuditError> {
        each!(self, flush())
    }

    async fn close(&self, outcome: &Outcome) -> Result<(), AuditError> {
        each!(self, close(outcome))
    }

    async fn suspend(&self, outcome: &Outcome) -> Result<(), AuditError> {
        each!(self, suspend(outcome))
    }
}
