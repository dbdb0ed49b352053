//! What a client holds of a circuit: asks before each call, and goes on while the store is away.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Clock;
use executus_core::isolate;

use crate::alert::OnAlert;
use crate::breaker::{Admission, Outcome};
use crate::error::{CircuitOpen, StoreError};
use crate::key::{CircuitKey, Owner};
use crate::policy::{Policy, PolicyError, span};
use crate::snapshot::Snapshot;
use crate::store::CircuitStore;
use crate::sync::Mutex;

mod ask;
mod held;
mod local;
mod permit;
mod resolve;

pub use held::HeldFailures;
use local::{Local, Turn};
pub use permit::Permit;

/// One circuit of one peer, as its callers see it. Clones share it.
///
/// The store decides. While the store is away nothing fails for that: the circuit goes on with
/// what it saw last, asks the store again every second by one call at a time, and tells it once
/// what was seen meanwhile.
#[derive(Clone)]
pub struct Circuit(Arc<Inner>);

struct Inner {
    store: Arc<dyn CircuitStore>,
    key: CircuitKey,
    policy: Policy,
    owner: Owner,
    on_alert: Option<Arc<dyn OnAlert>>,
    store_limit: Duration,
    retry_every: Duration,
    clock: Clock,
    local: Mutex<Local>,
}

/// By how much the lease of a probe outlives its call.
const LEASE_MARGIN: Duration = Duration::from_secs(10);

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.0.local.lock().seen();
        f.debug_struct("Circuit").field("key", &self.0.key).field("last_seen", &seen).finish()
    }
}

impl Circuit {
    /// A circuit with defaults: see [`CircuitBuilder`].
    #[must_use]
    pub fn new(store: Arc<dyn CircuitStore>, key: CircuitKey, policy: Policy) -> Self {
        let builder = Self::builder(store, key).policy(policy);
        builder.finish()
    }

    /// Starts with the default policy.
    pub fn builder(store: Arc<dyn CircuitStore>, key: CircuitKey) -> CircuitBuilder {
        CircuitBuilder {
            store,
            key,
            policy: Policy::default(),
            owner: None,
            on_alert: None,
            store_limit: Duration::from_millis(250),
            retry_every: Duration::from_secs(1),
        }
    }

    /// The circuit's name.
    #[must_use]
    pub fn key(&self) -> &CircuitKey {
        &self.0.key
    }

    /// When it opens, and for how long.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }

    /// Asks whether a call may pass. It may take as long as the policy's lease of a probe; one that
    /// has a limit of its own says so to [`acquire_for`](Self::acquire_for).
    ///
    /// Waits no longer than the store's limit, and only for a store that is not in this process.
    /// **Cancellation**: a probe's place that was granted meanwhile is given back at the latest
    /// when its lease is over; in [`MemoryCircuits`](crate::MemoryCircuits) that never happens.
    ///
    /// # Errors
    /// [`CircuitOpen`]: the call is not to be made.
    pub async fn acquire(&self) -> Result<Permit, CircuitOpen> {
        self.0.acquire(self.0.policy.probe_lease).await
    }

    /// As [`acquire`](Self::acquire), for a call that takes no longer than `limit`.
    ///
    /// # Errors
    /// [`CircuitOpen`]: the call is not to be made.
    pub async fn acquire_for(&self, limit: Duration) -> Result<Permit, CircuitOpen> {
        self.0.acquire(limit.saturating_add(LEASE_MARGIN)).await
    }

    /// What the circuit looks like: to the store, or to this process while the store is away.
    pub async fn snapshot(&self) -> Snapshot {
        let stored = self.0.ask(|store| store.snapshot(&self.0.key)).await;
        stored.unwrap_or_else(|_| self.0.local.lock().snapshot(self.0.clock.now()))
    }

    /// Says what somebody saw who looked without asking, such as a health check: it is not refused,
    /// and pushes an open circuit towards dormant, or closes it. While the store is away it is lost.
    pub async fn observe(&self, outcome: Outcome) {
        if outcome == Outcome::Neutral {
            return;
        }
        let observing = self.0.ask(|store| store.observe(&self.0.key, &self.0.policy, outcome));
        match observing.await {
            Ok(change) => {
                self.0.local.lock().see(change.seen, &self.0.clock);
                self.0.announce(&change, false);
            }
            Err(error) => self.0.lost(&error),
        }
    }

    /// An operator's word: the circuit is closed and its record gone, here and in the store.
    ///
    /// # Errors
    /// [`StoreError`]: it is done here, but not in the store.
    pub async fn reset(&self) -> Result<(), StoreError> {
        self.0.local.lock().reset();
        self.0.ask(|store| store.reset(&self.0.key)).await?;
        tracing::info!(circuit = %self.0.key, "an operator reset the circuit");
        Ok(())
    }

    /// An operator's word: the circuit is dormant, for the policy's `forced_dormant`.
    ///
    /// # Errors
    /// [`StoreError`]: it is done here, if the store was away before, but not in the store.
    pub async fn force_dormant(&self) -> Result<Snapshot, StoreError> {
        let now = self.0.clock.now();
        self.0.local.lock().force_dormant(now, &self.0.policy);
        let change = self.0.ask(|store| store.force_dormant(&self.0.key, &self.0.policy)).await?;
        self.0.local.lock().see(change.seen, &self.0.clock);
        if change.applied {
            tracing::warn!(circuit = %self.0.key, "an operator made the circuit dormant");
        }
        Ok(change.seen)
    }
}

impl Inner {
    async fn acquire(self: &Arc<Self>, lease: Duration) -> Result<Permit, CircuitOpen> {
        let turn = self.local.lock().turn(&self.clock, self.retry_every);
        let asks = match turn {
            Turn::Store => true,
            Turn::Away => false,
            Turn::Try => self.tell().await,
        };
        if asks {
            let asked =
                self.ask(|store| store.admit(&self.key, &self.policy, &self.owner, lease)).await;
            match asked {
                Ok(admission) => {
                    let seen = match &admission {
                        Admission::Admitted { seen, .. } | Admission::Refused { seen, .. } => *seen,
                    };
                    self.local.lock().see(seen, &self.clock);
                    if turn == Turn::Try && self.local.lock().come_back() {
                        tracing::info!(circuit = %self.key, "the circuit store is back");
                    }
                    return self.permit(admission, None);
                }
                Err(error) => self.lost(&error),
            }
        }
        let (admission, epoch) = self.local.lock().admit(self.clock.now(), &self.owner, lease);
        self.permit(admission, Some(epoch))
    }

    /// A permit of the store, or of this process in such an epoch of its own.
    fn permit(
        self: &Arc<Self>,
        admission: Admission,
        epoch: Option<u64>,
    ) -> Result<Permit, CircuitOpen> {
        match admission {
            Admission::Admitted { ticket, .. } => Ok(Permit::new(self.clone(), ticket, epoch)),
            Admission::Refused { seen, retry_after } => Err(CircuitOpen {
                key: self.key.clone(),
                state: seen.state,
                retry_after,
                probing: seen.probing,
            }),
        }
    }
}

/// Makes a [`Circuit`].
#[must_use = "a builder does nothing until it builds"]
pub struct CircuitBuilder {
    store: Arc<dyn CircuitStore>,
    key: CircuitKey,
    policy: Policy,
    owner: Option<Owner>,
    on_alert: Option<Arc<dyn OnAlert>>,
    store_limit: Duration,
    retry_every: Duration,
}

impl fmt::Debug for CircuitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBuilder").field("key", &self.key).finish_non_exhaustive()
    }
}

impl CircuitBuilder {
    /// When the circuit opens, and for how long. The same for all who share it.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Who asks; a random name unless told. The circuits of one process may share it.
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Who tells an operator that the circuit became dormant. It is logged in any case.
    pub fn on_alert(mut self, on_alert: Arc<dyn OnAlert>) -> Self {
        self.on_alert = Some(on_alert);
        self
    }

    /// How long the store is waited for; 250 ms unless told.
    pub fn store_limit(mut self, limit: Duration) -> Self {
        self.store_limit = limit;
        self
    }

    /// How often a store that is away is asked again; each second unless told.
    pub fn retry_every(mut self, every: Duration) -> Self {
        self.retry_every = every;
        self
    }

    /// Checks the times.
    ///
    /// # Errors
    /// [`PolicyError`] naming the time that means nothing.
    pub fn build(self) -> Result<Circuit, PolicyError> {
        span("store_limit", self.store_limit)?;
        span("retry_every", self.retry_every)?;
        Ok(self.finish())
    }

    fn finish(self) -> Circuit {
        let clock = Clock::system();
        Circuit(Arc::new(Inner {
            store: self.store,
            key: self.key,
            policy: self.policy,
            owner: self.owner.unwrap_or_else(Owner::random),
            on_alert: self.on_alert,
            store_limit: self.store_limit,
            retry_every: self.retry_every,
            clock,
            local: Mutex::new(Local::new(clock.now())),
        }))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The alert hook is foreign: its drop stays here.
        if let Some(hook) = self.on_alert.take() {
            isolate::drop_quietly(hook);
        }
    }
}
