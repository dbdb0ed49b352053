//! Looking at all peers, again and again, by one process of the fleet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_circuit::{
    Circuit, CircuitKey, CircuitStore, Lease, LeaseStore, Owner, Policy, State,
};
use executus_core::Clock;
use executus_core::isolate::{self, isolate};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::alarm::{Alarms, HealthAlert, OnHealthAlert};
use super::facts::{ApplicationFacts, Facts, ProcessFacts};
use super::history::{HealthHistory, HealthRow};
use super::probe;
use super::verdict::{HealthStatus, Layer, Verdict};
use crate::client::Client;
use crate::pool::Base;

/// How many peers are looked at at once.
const AT_ONCE: usize = 10;
/// What the lease of the one who looks is called.
const LEASE: &str = "health-monitor";
/// How long the reason of a look that crashed may be, in characters.
const MAX_REASON: usize = 100;
/// How long keeping a row may take.
const KEEPING: Duration = Duration::from_secs(5);

/// A peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthTarget {
    /// Its name in rows and alerts.
    pub id: Arc<str>,
    /// Its base address, `http://host:port`; `/health` is asked for below it.
    pub base: Arc<str>,
}

/// What a host can see of a peer beside the network.
///
/// **Called** once per look, within its limit. **Cancellation**: the future is dropped at the
/// limit. **Panics**: the peer is `unknown` this time, the others are looked at all the same.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// The peer's process; `None` when nothing is known of it.
    async fn process(&self, target: &HealthTarget) -> Option<ProcessFacts>;

    /// What the peer does; `said` is what it answered, where that is JSON.
    async fn application(
        &self,
        target: &HealthTarget,
        said: Option<&Value>,
    ) -> Option<ApplicationFacts>;
}

/// Looks at peers, tells their circuits, keeps rows, and alerts.
///
/// A peer whose circuit is open is looked at all the same: that is how it is found to be back, or
/// pushed towards dormant. One that is dormant is left alone. Clones share it.
#[derive(Clone)]
pub struct HealthMonitor(Arc<Inner>);

struct Inner {
    client: Client,
    circuits: Arc<dyn CircuitStore>,
    policy: Policy,
    leases: Arc<dyn LeaseStore>,
    owner: Owner,
    inspect: Option<Arc<dyn Inspect>>,
    history: Option<Arc<dyn HealthHistory>>,
    on_alert: Option<Arc<dyn OnHealthAlert>>,
    limit: Duration,
    clock: Clock,
    alarms: Mutex<Alarms>,
    places: Semaphore,
}

impl fmt::Debug for HealthMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthMonitor").field("owner", &self.0.owner).finish_non_exhaustive()
    }
}

impl HealthMonitor {
    /// Looks by connections like this client's, but none of its own, and tells these circuits. Of
    /// all monitors over these leases one works at a time.
    pub fn builder(
        client: Client,
        circuits: Arc<dyn CircuitStore>,
        policy: Policy,
        leases: Arc<dyn LeaseStore>,
    ) -> HealthMonitorBuilder {
        HealthMonitorBuilder(Inner {
            client,
            circuits,
            policy,
            leases,
            owner: Owner::random(),
            inspect: None,
            history: None,
            on_alert: None,
            limit: Duration::from_secs(10),
            clock: Clock::system(),
            alarms: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
        })
    }

    /// Looks at these peers every so often, while it is the one to do so. Never returns; dropping
    /// the future ends it, and another monitor takes over when the lease is over.
    pub async fn watch(&self, targets: &[HealthTarget], every: Duration) {
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // A leader that hangs loses its lease after having missed two looks.
            let ttl = every.saturating_mul(3).saturating_add(self.0.limit);
            let leading = self.0.leases.acquire(LEASE, &self.0.owner, ttl).await;
            match leading {
                Ok(Some(lease)) => {
                    self.look(targets, &lease).await;
                }
                Ok(None) => tracing::trace!("another process looks at the peers"),
                Err(error) => tracing::warn!(%error, "nobody knows who looks at the peers"),
            }
        }
    }

    /// Looks at these peers now, as the holder of this lease; the rows are in the order of the
    /// peers, and those of dormant ones are not kept.
    ///
    /// **Cancellation**: looks under way are given up, and nothing is recorded of them.
    pub async fn look(&self, targets: &[HealthTarget], lease: &Lease) -> Vec<HealthRow> {
        self.0.alarms.lock().retain(|id| targets.iter().any(|target| &*target.id == id));
        let mut looks = tokio::task::JoinSet::new();
        for (place, target) in targets.iter().enumerate() {
            let (inner, target, term) = (Arc::clone(&self.0), target.clone(), lease.term);
            looks.spawn(async move { (place, inner.look_at(&target, term).await) });
        }
        let mut rows: Vec<Option<HealthRow>> = vec![None; targets.len()];
        while let Some(looked) = looks.join_next().await {
            if let Ok((place, row)) = looked {
                rows[place] = Some(row);
            }
        }
        rows.into_iter().flatten().collect()
    }
}

impl Inner {
    async fn look_at(&self, target: &HealthTarget, term: u64) -> HealthRow {
        let _place = self.places.acquire().await;
        let looking = isolate(|| Box::pin(self.find(target)));
        let (facts, verdict, is_dormant) = match looking.await {
            Ok(Some((facts, verdict))) => (facts, verdict, false),
            Ok(None) => {
                let reason = "its circuit is dormant: it is not looked at";
                let layer = Some(Layer::Network);
                let verdict = Verdict::new(HealthStatus::Unhealthy, layer, reason);
                (Facts::default(), verdict, true)
            }
            Err(panicked) => {
                tracing::error!(target = %target.id, %panicked, "a look at a peer crashed");
                let reason = panicked.to_string().chars().take(MAX_REASON).collect::<String>();
                (Facts::default(), Verdict::new(HealthStatus::Unknown, None, reason), false)
            }
        };
        let at = self.clock.now();
        let row = HealthRow { target: Arc::clone(&target.id), at, facts, verdict, term };
        if !is_dormant {
            self.keep(&row).await;
            self.alert(&row);
        }
        row
    }

    /// What is known of a peer; `None` when it is to be left alone.
    async fn find(&self, target: &HealthTarget) -> Option<(Facts, Verdict)> {
        let key = base_of(&target.base);
        let circuit = Circuit::new(
            Arc::clone(&self.circuits),
            CircuitKey::transport(&key),
            self.policy.clone(),
        );
        if circuit.snapshot().await.state == State::Dormant {
            return None;
        }
        let looked = probe::look(&self.client, &target.base, self.limit).await;
        circuit.observe(looked.outcome).await;
        let mut facts = Facts { network: Some(looked.facts), ..Facts::default() };
        if let Some(inspect) = &self.inspect {
            let process = timeout(self.limit, inspect.process(target)).await;
            facts.process = process.unwrap_or_default();
            let application = inspect.application(target, looked.said.as_ref());
            facts.application = timeout(self.limit, application).await.unwrap_or_default();
        }
        let verdict = Verdict::of(&facts);
        Some((facts, verdict))
    }

    async fn keep(&self, row: &HealthRow) {
        let Some(history) = &self.history else { return };
        match timeout(KEEPING, isolate(|| history.keep(row))).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "a row of health was not kept"),
            Ok(Err(panicked)) => tracing::warn!(%panicked, "a row of health was not kept"),
            Err(_) => tracing::warn!("a row of health was not kept in time"),
        }
    }

    fn alert(&self, row: &HealthRow) {
        let status = row.verdict.status;
        if !self.alarms.lock().is_due(&row.target, status, row.at) {
            return;
        }
        tracing::warn!(target = %row.target, %status, reason = row.verdict.reason, "a peer is not well");
        let Some(hook) = &self.on_alert else { return };
        let alert = HealthAlert { target: Arc::clone(&row.target), verdict: row.verdict.clone() };
        if let Err(panicked) = isolate::call(|| hook.alert(&alert)) {
            tracing::warn!(%panicked, "an alert was not given");
        }
    }
}

/// What the circuit of a peer is called: as a client calls it.
fn base_of(base: &str) -> String {
    let uri = base.parse::<http::Uri>().ok();
    uri.and_then(|uri| Base::of(&uri).ok()).map_or_else(|| base.to_owned(), |base| base.to_string())
}

/// Makes a [`HealthMonitor`].
#[must_use = "a builder does nothing until it builds"]
pub struct HealthMonitorBuilder(Inner);

impl fmt::Debug for HealthMonitorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthMonitorBuilder").finish_non_exhaustive()
    }
}

impl HealthMonitorBuilder {
    /// What the host can see beside the network.
    pub fn inspect(mut self, inspect: Arc<dyn Inspect>) -> Self {
        self.0.inspect = Some(inspect);
        self
    }

    /// Where rows are kept.
    pub fn history(mut self, history: Arc<dyn HealthHistory>) -> Self {
        self.0.history = Some(history);
        self
    }

    /// Who tells an operator. It is logged in any case.
    pub fn on_alert(mut self, on_alert: Arc<dyn OnHealthAlert>) -> Self {
        self.0.on_alert = Some(on_alert);
        self
    }

    /// How long one layer of one look may take; 10 s without this.
    pub const fn limit(mut self, limit: Duration) -> Self {
        self.0.limit = limit;
        self
    }

    /// The monitor.
    pub fn build(self) -> HealthMonitor {
        HealthMonitor(Arc::new(self.0))
    }
}
