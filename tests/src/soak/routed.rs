//! Ports that send each run to ports of its own: faults of one run stay where they are aimed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{
    Amounts, Audit, AuditError, Budget, BudgetError, CheckpointError, Checkpointer, Critic,
    CriticError, Delegation, Delivery, DeliveryError, EntryKind, Palette, PaletteEntry,
    PaletteError, Parcel, Recorder, RunStart, Saved, Watcher,
};
use executus_core::{HoldId, Ports, Record, RunError, RunId, ToolOutput};
use parking_lot::Mutex;

/// Where runs are sent. Clones share it.
#[derive(Debug, Clone)]
pub struct Routes {
    /// For every run that is not sent elsewhere.
    others: Ports,
    sent: Arc<Mutex<HashMap<RunId, Ports>>>,
}

impl Routes {
    /// All runs go to these ports. One that is asked for and is not there fails, or does nothing.
    #[must_use]
    pub fn new(others: Ports) -> Self {
        Self { others, sent: Arc::default() }
    }

    /// Sends a run to these ports.
    pub fn send(&self, run: &RunId, ports: Ports) {
        self.sent.lock().insert(run.clone(), ports);
    }

    /// Ports that follow the routes.
    #[must_use]
    pub fn ports(&self) -> Ports {
        Ports {
            audit: Some(Arc::new(self.clone())),
            budget: Some(Arc::new(self.clone())),
            critic: Some(Arc::new(self.clone())),
            checkpointer: Some(Arc::new(self.clone())),
            palette: Some(Arc::new(self.clone())),
            delivery: Some(Arc::new(self.clone())),
        }
    }

    fn of(&self, run: &RunId) -> Ports {
        self.sent.lock().get(run).cloned().unwrap_or_else(|| self.others.clone())
    }
}

#[async_trait]
impl Audit for Routes {
    async fn start(&self, start: &RunStart) -> Result<Option<Box<dyn Recorder>>, AuditError> {
        match self.of(&start.spec.run_id).audit {
            Some(audit) => audit.start(start).await,
            None => Ok(None),
        }
    }
}

fn no_budget() -> BudgetError {
    BudgetError::Unavailable { message: "no route".into(), source: None }
}

#[async_trait]
impl Budget for Routes {
    async fn reserve(
        &self,
        hold: &HoldId,
        caller: &Arc<str>,
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        self.of(&hold.run).budget.ok_or_else(no_budget)?.reserve(hold, caller, ask).await
    }

    async fn charge(&self, hold: &HoldId, line: &RunId, total: Amounts) -> Result<(), BudgetError> {
        self.of(&hold.run).budget.ok_or_else(no_budget)?.charge(hold, line, total).await
    }

    async fn settle(&self, hold: &HoldId, spent: Amounts) -> Result<(), BudgetError> {
        self.of(&hold.run).budget.ok_or_else(no_budget)?.settle(hold, spent).await
    }

    async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        self.of(&hold.run).budget.ok_or_else(no_budget)?.release(hold).await
    }
}

#[async_trait]
impl Critic for Routes {
    async fn monitor(
        &self,
        start: &RunStart,
        soft_timeout: Duration,
    ) -> Result<Option<Box<dyn Watcher>>, CriticError> {
        match self.of(&start.spec.run_id).critic {
            Some(critic) => critic.monitor(start, soft_timeout).await,
            None => Ok(None),
        }
    }
}

fn no_checkpointer() -> CheckpointError {
    CheckpointError::Unavailable { message: "no route".into(), source: None }
}

#[async_trait]
impl Checkpointer for Routes {
    async fn append(
        &self,
        run: &RunId,
        records: &[Record],
        lease: Duration,
    ) -> Result<(), CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.append(run, records, lease).await
    }

    async fn complete(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.complete(run).await
    }

    async fn fail(&self, run: &RunId, error: &RunError) -> Result<(), CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.fail(run, error).await
    }

    async fn list(&self) -> Result<Vec<RunId>, CheckpointError> {
        self.others.checkpointer.as_ref().ok_or_else(no_checkpointer)?.list().await
    }

    async fn claim(&self, run: &RunId, lease: Duration) -> Result<bool, CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.claim(run, lease).await
    }

    async fn renew(&self, runs: &[RunId], lease: Duration) -> Result<Vec<RunId>, CheckpointError> {
        self.others.checkpointer.as_ref().ok_or_else(no_checkpointer)?.renew(runs, lease).await
    }

    async fn release(&self, run: &RunId) -> Result<(), CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.release(run).await
    }

    async fn park(&self, run: &RunId, why: &RunError) -> Result<(), CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.park(run, why).await
    }

    async fn unpark(&self, run: &RunId) -> Result<bool, CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.unpark(run).await
    }

    async fn parked(&self) -> Result<Vec<RunId>, CheckpointError> {
        self.others.checkpointer.as_ref().ok_or_else(no_checkpointer)?.parked().await
    }

    async fn load(&self, run: &RunId) -> Result<Option<Saved>, CheckpointError> {
        self.of(run).checkpointer.ok_or_else(no_checkpointer)?.load(run).await
    }
}

fn no_palette() -> PaletteError {
    PaletteError::Unavailable { message: "no route".into(), source: None }
}

#[async_trait]
impl Palette for Routes {
    async fn resolve(
        &self,
        start: &RunStart,
        names: &[(EntryKind, Arc<str>)],
    ) -> Result<Vec<PaletteEntry>, PaletteError> {
        self.of(&start.spec.run_id).palette.ok_or_else(no_palette)?.resolve(start, names).await
    }

    async fn invoke(&self, delegation: Delegation<'_>) -> Result<ToolOutput, PaletteError> {
        let run = delegation.context.run_id().clone();
        self.of(&run).palette.ok_or_else(no_palette)?.invoke(delegation).await
    }
}

#[async_trait]
impl Delivery for Routes {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        match self.of(&parcel.spec.run_id).delivery {
            Some(delivery) => delivery.deliver(parcel).await,
            None => Ok(()),
        }
    }
}
