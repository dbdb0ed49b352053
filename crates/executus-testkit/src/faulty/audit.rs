//! Faulty audits.

use executus_core::port::{Audit, AuditError, Recorder, RunStart};
use executus_core::{Outcome, Record, RunId};

use super::{Answer, Fault, Faulty, Plan, Site, boom, call};

fn error() -> Option<AuditError> {
    Some(AuditError::Unavailable { message: "planned".into(), source: None })
}

impl Audit for Faulty<dyn Audit> {
    fn start<'life0, 'life1, 'async_trait>(
        &'life0 self,
        start: &'life1 RunStart,
    ) -> Answer<'async_trait, Result<Option<Box<dyn Recorder>>, AuditError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let run = &start.spec.run_id;
        call(&self.plan, Site::AuditStart, Some(run), error, move || {
            Box::pin(async move {
                let inner = self.inner.start(start).await?;
                Ok(inner.map(|inner| {
                    let (plan, run) = (self.plan.clone(), run.clone());
                    Box::new(FaultyRecorder { plan, run, inner }) as Box<dyn Recorder>
                }))
            })
        })
    }
}

struct FaultyRecorder {
    plan: Plan,
    run: RunId,
    inner: Box<dyn Recorder>,
}

impl Recorder for FaultyRecorder {
    fn last_seq(&self) -> u64 {
        self.inner.last_seq()
    }

    fn record(&self, record: &Record) -> Result<(), AuditError> {
        let site = Site::AuditRecord;
        match self.plan.enter(site, Some(&self.run)) {
            Some(Fault::Error) => Err(error().unwrap_or(AuditError::Full)),
            Some(Fault::Lost) => {
                self.inner.record(record)?;
                Err(error().unwrap_or(AuditError::Full))
            }
            Some(Fault::Panic | Fault::PanicEarly | Fault::PanicInDrop) => boom(site),
            Some(Fault::Hang | Fault::Stuck | Fault::Late(_)) => Err(AuditError::Full),
            None => self.inner.record(record),
        }
    }

    fn flush<'life0, 'async_trait>(&'life0 self) -> Answer<'async_trait, Result<(), AuditError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::AuditFlush, Some(&self.run), error, move || self.inner.flush())
    }

    fn close<'life0, 'life1, 'async_trait>(
        &'life0 self,
        outcome: &'life1 Outcome,
    ) -> Answer<'async_trait, Result<(), AuditError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::AuditClose, Some(&self.run), error, move || {
            self.inner.close(outcome)
        })
    }

    fn suspend<'life0, 'life1, 'async_trait>(
        &'life0 self,
        outcome: &'life1 Outcome,
    ) -> Answer<'async_trait, Result<(), AuditError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::AuditSuspend, Some(&self.run), error, move || {
            self.inner.suspend(outcome)
        })
    }
}
