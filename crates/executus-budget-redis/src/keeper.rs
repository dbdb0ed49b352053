//! The task that renews leases and tells Redis what it has not heard.

use std::sync::Arc;
use std::time::Duration;

use executus_core::HoldId;
use executus_core::port::{Amounts, BudgetError};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::book::Book;
use crate::live::{Charge, Ended, Live};
use crate::local::Local;

/// How many leases one call renews.
const BATCH: usize = 256;
/// How often what is owed is told again.
const OWED: Duration = Duration::from_millis(500);

/// What the handles of a budget and its task share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) book: Book,
    pub(crate) live: Live,
    pub(crate) local: Option<Local>,
    pub(crate) lease: Duration,
}

/// The task; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(crate) fn start(shared: Arc<Shared>) -> Self {
        let (stop, stopped) = watch::channel(false);
        #[expect(clippy::disallowed_methods, reason = "owned by the budget, ends with it")]
        let task = tokio::spawn(keep(shared, stopped));
        Self { stop, task: Mutex::new(Some(task)) }
    }

    /// Ends the task and waits for it.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

async fn keep(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let every = shared.lease / 3;
    let mut renewal = Instant::now() + every;
    loop {
        let owed = Instant::now() + OWED;
        // Told to stop, or the last handle is gone.
        if timeout_at(owed.min(renewal), stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
        if Instant::now() >= renewal {
            // Counted from before the call: the lease does not wait for a slow answer.
            renewal = Instant::now() + every;
            shared.renew().await;
        }
        shared.tell().await;
    }
}

impl Shared {
    async fn renew(&self) {
        let ids = self.live.to_renew();
        for batch in ids.chunks(BATCH) {
            match self.book.renew(batch).await {
                // Some may have ended between the look and the call; they are gone here, too.
                Ok(over) => self.live.lapsed(&over),
                Err(error) => {
                    tracing::warn!(%error, holds = ids.len(), "leases could not be renewed");
                    return;
                }
            }
        }
    }

    /// Tells Redis what it has not heard. Returns whether it knows all now.
    pub(crate) async fn tell(&self) -> bool {
        for (hold, Charge { line, total, .. }) in self.live.owed_charges() {
            match self.book.charge(&hold, &line, total).await {
                Ok(()) => self.live.charged(&hold, &line, total),
                Err(BudgetError::Unavailable { .. }) => return false,
                // The hold is over: what it spent is counted when it is settled.
                Err(_) => {}
            }
        }
        for (hold, end) in self.live.owed() {
            if let Err(BudgetError::Unavailable { .. }) = self.end(&hold, &end).await {
                return false;
            }
            self.live.done(&hold);
        }
        if let Some(local) = &self.local {
            for (hold, end) in local.ended() {
                if let Err(BudgetError::Unavailable { .. }) = self.end(&hold, &end).await {
                    return false;
                }
                local.told(&hold);
            }
        }
        !self.live.owes()
    }

    /// Ends a hold, after the charges that come first.
    pub(crate) async fn end(&self, hold: &HoldId, end: &Ended) -> Result<(), BudgetError> {
        let mut unheard = Amounts::default();
        for Charge { line, total, heard } in &end.charges {
            match self.book.charge(hold, line, *total).await {
                Ok(()) => {}
                Err(error @ BudgetError::Unavailable { .. }) => return Err(error),
                // No longer possible: it is counted with what the hold itself spent.
                Err(_) if *line != hold.run => {
                    unheard = unheard.capped_add(total.saturating_sub(*heard));
                }
                Err(_) => {}
            }
        }
        match end.spent {
            Some(spent) => {
                let spent = spent.capped_add(unheard);
                self.book.settle(hold, spent, end.accounts.as_deref()).await
            }
            None => self.book.release(hold).await,
        }
    }
}
