//! How a call went: to the store, or to this process while the store is away.

use super::Inner;
use super::local::Said;
use crate::breaker::{Change, Outcome, Ticket};

/// Somebody is telling the store what it missed, until this is dropped.
struct Busy<'a>(&'a Inner);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.local.lock().rest();
    }
}

impl Inner {
    pub(super) async fn resolve(
        &self,
        ticket: &Ticket,
        epoch: Option<u64>,
        outcome: Outcome,
        times: u32,
    ) {
        if outcome == Outcome::Neutral && !ticket.is_probe() {
            return;
        }
        let mut said = Said { ticket, epoch, outcome, times, told: true };
        if epoch.is_none() {
            let away = self.local.lock().is_away();
            if !away {
                let recorded = self
                    .ask(|store| store.record(&self.key, &self.policy, ticket, outcome, times))
                    .await;
                match recorded {
                    Ok(change) => {
                        self.local.lock().see(change.seen, &self.clock);
                        self.announce(&change, false);
                        return;
                    }
                    // It may have been recorded. One that is missing does less harm than one that
                    // counts twice.
                    Err(error) => {
                        said.told = false;
                        self.lost(&error);
                    }
                }
            }
            self.give_back(ticket, None);
        }
        let change = self.local.lock().record(self.clock.now(), &self.policy, &said);
        self.announce(&change, true);
        let tells = self.local.lock().tells();
        if tells {
            self.tell().await;
        }
    }

    /// Gives a probe's place back, without waiting.
    pub(super) fn give_back(&self, ticket: &Ticket, epoch: Option<u64>) {
        if !ticket.is_probe() {
            return;
        }
        if let Some(epoch) = epoch {
            self.local.lock().give_back(self.clock.now(), &self.policy, ticket, epoch);
            return;
        }
        let given = executus_core::isolate::call(|| {
            self.store.give_back(&self.key, &self.policy, ticket.clone());
        });
        if let Err(panicked) = given {
            tracing::warn!(circuit = %self.key, %panicked, "a probe's place was not given back");
        }
    }

    /// Tells the store what it missed; `false` when it is away. For one caller at a time.
    pub(super) async fn tell(&self) -> bool {
        let _busy = Busy(self);
        // What comes in meanwhile is told too, but not for ever.
        for _ in 0..3 {
            let now = self.clock.now();
            let telling = self.local.lock().telling(now, &self.owner, &self.policy);
            let Some(absence) = telling else { break };
            match self.ask(|store| store.merge(&self.key, &self.policy, &absence)).await {
                Ok(change) => {
                    let alerted = self.local.lock().told();
                    self.local.lock().see(change.seen, &self.clock);
                    let became_dormant = change.became_dormant && !alerted;
                    self.announce(&Change { became_dormant, ..change }, false);
                }
                Err(error) => {
                    self.lost(&error);
                    return false;
                }
            }
        }
        true
    }
}
