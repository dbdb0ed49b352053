//! Faulty budgets, checkpointers, palettes and deliveries.

use std::sync::Arc;
use std::time::Duration;

use executus_core::port::{
    Amounts, Budget, BudgetError, CheckpointError, Checkpointer, Delegation, Delivery,
    DeliveryError, EntryKind, Palette, PaletteEntry, PaletteError, Parcel, RunStart, Saved,
};
use executus_core::{HoldId, Record, RunError, RunId, ToolOutput};

use super::{Answer, Faulty, Site, call};

const PLANNED: &str = "planned";

fn budget_error() -> Option<BudgetError> {
    Some(BudgetError::Unavailable { message: PLANNED.into(), source: None })
}

fn checkpoint_error() -> Option<CheckpointError> {
    Some(CheckpointError::Unavailable { message: PLANNED.into(), source: None })
}

fn palette_error() -> Option<PaletteError> {
    Some(PaletteError::Unavailable { message: PLANNED.into(), source: None })
}

fn delivery_error() -> Option<DeliveryError> {
    Some(DeliveryError::Unavailable { message: PLANNED.into(), source: None })
}

impl Budget for Faulty<dyn Budget> {
    fn reserve<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        hold: &'life1 HoldId,
        caller: &'life2 Arc<str>,
        ask: Amounts,
    ) -> Answer<'async_trait, Result<(), BudgetError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Reserve, Some(&hold.run), budget_error, move || {
            self.inner.reserve(hold, caller, ask)
        })
    }

    fn charge<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        hold: &'life1 HoldId,
        line: &'life2 RunId,
        total: Amounts,
    ) -> Answer<'async_trait, Result<(), BudgetError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Charge, Some(line), budget_error, move || {
            self.inner.charge(hold, line, total)
        })
    }

    fn settle<'life0, 'life1, 'async_trait>(
        &'life0 self,
        hold: &'life1 HoldId,
        spent: Amounts,
    ) -> Answer<'async_trait, Result<(), BudgetError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Settle, Some(&hold.run), budget_error, move || {
            self.inner.settle(hold, spent)
        })
    }

    fn release<'life0, 'life1, 'async_trait>(
        &'life0 self,
        hold: &'life1 HoldId,
    ) -> Answer<'async_trait, Result<(), BudgetError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Release, Some(&hold.run), budget_error, move || {
            self.inner.release(hold)
        })
    }
}

impl Checkpointer for Faulty<dyn Checkpointer> {
    fn append<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
        records: &'life2 [Record],
        lease: Duration,
    ) -> Answer<'async_trait, Result<(), CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Append, Some(run), checkpoint_error, move || {
            self.inner.append(run, records, lease)
        })
    }

    fn complete<'life0, 'life1, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
    ) -> Answer<'async_trait, Result<(), CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Complete, Some(run), checkpoint_error, move || {
            self.inner.complete(run)
        })
    }

    fn fail<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
        error: &'life2 RunError,
    ) -> Answer<'async_trait, Result<(), CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Fail, Some(run), checkpoint_error, move || {
            self.inner.fail(run, error)
        })
    }

    fn list<'life0, 'async_trait>(
        &'life0 self,
    ) -> Answer<'async_trait, Result<Vec<RunId>, CheckpointError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::List, None, checkpoint_error, move || self.inner.list())
    }

    fn claim<'life0, 'life1, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
        lease: Duration,
    ) -> Answer<'async_trait, Result<bool, CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Claim, Some(run), checkpoint_error, move || {
            self.inner.claim(run, lease)
        })
    }

    fn renew<'life0, 'life1, 'async_trait>(
        &'life0 self,
        runs: &'life1 [RunId],
        lease: Duration,
    ) -> Answer<'async_trait, Result<Vec<RunId>, CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Claim, None, checkpoint_error, move || self.inner.renew(runs, lease))
    }

    fn release<'life0, 'life1, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
    ) -> Answer<'async_trait, Result<(), CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Claim, Some(run), checkpoint_error, move || self.inner.release(run))
    }

    fn park<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
        why: &'life2 RunError,
    ) -> Answer<'async_trait, Result<(), CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Claim, Some(run), checkpoint_error, move || {
            self.inner.park(run, why)
        })
    }

    fn unpark<'life0, 'life1, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
    ) -> Answer<'async_trait, Result<bool, CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Claim, Some(run), checkpoint_error, move || self.inner.unpark(run))
    }

    fn parked<'life0, 'async_trait>(
        &'life0 self,
    ) -> Answer<'async_trait, Result<Vec<RunId>, CheckpointError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::List, None, checkpoint_error, move || self.inner.parked())
    }

    fn load<'life0, 'life1, 'async_trait>(
        &'life0 self,
        run: &'life1 RunId,
    ) -> Answer<'async_trait, Result<Option<Saved>, CheckpointError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Load, Some(run), checkpoint_error, move || self.inner.load(run))
    }
}

impl Palette for Faulty<dyn Palette> {
    fn resolve<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        start: &'life1 RunStart,
        names: &'life2 [(EntryKind, Arc<str>)],
    ) -> Answer<'async_trait, Result<Vec<PaletteEntry>, PaletteError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Resolve, Some(&start.spec.run_id), palette_error, move || {
            self.inner.resolve(start, names)
        })
    }

    fn invoke<'life0, 'life1, 'async_trait>(
        &'life0 self,
        delegation: Delegation<'life1>,
    ) -> Answer<'async_trait, Result<ToolOutput, PaletteError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(
            &self.plan,
            Site::Invoke,
            Some(delegation.context.run_id()),
            palette_error,
            move || self.inner.invoke(delegation),
        )
    }
}

impl Delivery for Faulty<dyn Delivery> {
    fn deliver<'life0, 'life1, 'async_trait>(
        &'life0 self,
        parcel: &'life1 Parcel,
    ) -> Answer<'async_trait, Result<(), DeliveryError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Deliver, Some(&parcel.spec.run_id), delivery_error, move || {
            self.inner.deliver(parcel)
        })
    }
}
