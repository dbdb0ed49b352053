//! The ports in memory keep their contracts, and the kits find ports that do not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::memory::{
    FanOutAudit, MemoryAudit, MemoryBudget, MemoryCheckpointer, MemoryDelivery,
};
use executus_core::port::{
    Account, Accounts, Budget, Checkpointer, Critic, Delivery, EntryKind, Limit, Palette,
};
use executus_core::{HoldId, Reply, RunId, Timestamp, Toolbox};
use executus_testkit::conformance::{
    self, AuditProbe, BudgetProbe, CheckpointProbe, CriticProbe, DeliveryProbe, PaletteProbe,
};
use executus_testkit::scripted::{
    Behind, Say, ScriptedCritic, ScriptedModel, ScriptedPalette, Seen,
};
use serde_json::{Value, json};

mod broken;

struct AuditView(MemoryAudit);

#[async_trait]
impl AuditProbe for AuditView {
    async fn seqs(&self, run: &RunId) -> Vec<u64> {
        self.0.records(run).iter().map(|record| record.seq).collect()
    }

    async fn closes(&self, run: &RunId) -> u64 {
        self.0.trail(run).map_or(0, |trail| trail.closed.len() as u64)
    }

    async fn text(&self, run: &RunId) -> String {
        format!("{:?}", self.0.trail(run))
    }
}

/// A1 A2 A3 A4 A5 A6 A7: the audit in memory.
#[tokio::test(start_paused = true)]
async fn the_audit_in_memory_conforms() {
    let audit = MemoryAudit::default();
    conformance::audit(&audit, &AuditView(audit.clone())).await;
}

/// A1 A2 A3 A4 A5 A6 A7: a fan-out is an audit like any other, in each of its members.
#[tokio::test(start_paused = true)]
async fn a_fan_out_conforms() {
    let (one, two) = (MemoryAudit::default(), MemoryAudit::default());
    let fan = FanOutAudit::new()
        .required(Arc::new(one.clone()))
        .optional(Arc::new(two.clone()), Duration::from_secs(1));
    conformance::audit(&fan, &AuditView(one)).await;
    conformance::audit(&fan, &AuditView(two)).await;
}

pub(crate) struct BudgetView {
    pub(crate) budget: MemoryBudget,
    pub(crate) lease: Option<Duration>,
    pub(crate) window: Duration,
    /// Whether the runtime's clock is paused.
    pub(crate) paused: bool,
}

impl BudgetView {
    /// Of a budget without leases, under a paused clock.
    pub(crate) fn paused(budget: MemoryBudget) -> Self {
        Self { budget, lease: None, window: Duration::from_secs(6), paused: true }
    }
}

#[async_trait]
impl BudgetProbe for BudgetView {
    async fn with_accounts(&self, accounts: Accounts) -> Arc<dyn Budget> {
        Arc::new(self.budget.clone().with_accounts(accounts))
    }

    async fn set_limits(&self, account: &str, limits: &[Limit]) {
        self.budget.set_limits(account, limits).unwrap();
    }

    async fn account(&self, account: &str) -> Account {
        self.budget.account(account)
    }

    async fn now(&self) -> Timestamp {
        self.budget.now()
    }

    async fn advance(&self, by: Duration) {
        match self.paused {
            true => tokio::time::advance(by).await,
            false => tokio::time::sleep(by).await,
        }
    }

    async fn abandon(&self, _: &HoldId) {}

    fn lease(&self) -> Option<Duration> {
        self.lease
    }

    fn window(&self) -> Duration {
        self.window
    }
}

/// B1 B2 B3 B4 B5 B6 B7 B8 B9 B10: the budget in memory, with a lease.
#[tokio::test(start_paused = true)]
async fn the_budget_in_memory_conforms() {
    let lease = Duration::from_secs(30);
    let budget = MemoryBudget::unlimited().with_lease(lease);
    let port: Arc<dyn Budget> = Arc::new(budget.clone());
    conformance::budget(&port, &BudgetView { lease: Some(lease), ..BudgetView::paused(budget) })
        .await;
}

/// B1 B2 B8: the same with reservers on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_budget_in_memory_conforms_on_threads() {
    let budget = MemoryBudget::unlimited();
    let port: Arc<dyn Budget> = Arc::new(budget.clone());
    conformance::budget(
        &port,
        &BudgetView {
            window: Duration::from_millis(300),
            paused: false,
            ..BudgetView::paused(budget)
        },
    )
    .await;
}

struct CheckpointView(MemoryCheckpointer);

#[async_trait]
impl CheckpointProbe for CheckpointView {
    async fn open(&self) -> Arc<dyn Checkpointer> {
        Arc::new(self.0.clone())
    }

    async fn written(&self) -> u64 {
        self.0.appended()
    }
}

/// K1 K2 K3 K4 K5 K6: the checkpointer in memory.
#[tokio::test(start_paused = true)]
async fn the_checkpointer_in_memory_conforms() {
    conformance::checkpointer(&CheckpointView(MemoryCheckpointer::default())).await;
}

struct DeliveryView(MemoryDelivery);

#[async_trait]
impl DeliveryProbe for DeliveryView {
    async fn arrivals(&self, run: &RunId) -> Vec<String> {
        let parcel = self.0.parcel(run).into_iter();
        let keys = parcel.map(|parcel| parcel.spec.run_id.to_string());
        let arrivals = usize::try_from(self.0.arrivals(run)).unwrap();
        keys.flat_map(|key| std::iter::repeat_n(key, arrivals)).collect()
    }
}

/// D1 D2 D3: the delivery into memory.
#[tokio::test(start_paused = true)]
async fn the_delivery_in_memory_conforms() {
    let delivery = MemoryDelivery::default();
    let port: Arc<dyn Delivery> = Arc::new(delivery.clone());
    conformance::delivery(&port, &DeliveryView(delivery)).await;
}

struct CriticView(ScriptedCritic);

#[async_trait]
impl CriticProbe for CriticView {
    async fn steer(&self, run: &RunId, text: &str) {
        self.0.steer(run, text);
    }

    async fn move_deadline(&self, run: &RunId, deadline: Option<Timestamp>) {
        self.0.move_deadline(run, deadline);
    }

    async fn alive(&self, run: &RunId) -> usize {
        usize::from(self.0.started(run).is_some() && !self.0.seen(run).contains(&Seen::Stop))
    }
}

/// C1 C2 C3 C4 C5: the scripted critic.
#[tokio::test(start_paused = true)]
async fn the_scripted_critic_conforms() {
    let critic = ScriptedCritic::new();
    let probe: Arc<dyn CriticProbe> = Arc::new(CriticView(critic.clone()));
    conformance::critic(&critic as &dyn Critic, &probe).await;
}

struct Agents;

#[async_trait]
impl PaletteProbe for Agents {
    async fn agent(&self) -> (Arc<str>, Value) {
        ("good".into(), json!({"input": {"n": 1}}))
    }

    async fn hanging(&self) -> (Arc<str>, Value) {
        ("endless".into(), json!({}))
    }
}

/// P1 P2 P3: the scripted palette.
#[tokio::test(start_paused = true)]
async fn the_scripted_palette_conforms() {
    let good = ScriptedModel::new([Reply::text("42")]).shared();
    let endless = ScriptedModel::new([Say::Hang]).shared();
    let palette = ScriptedPalette::new()
        .with(EntryKind::Agent, "good", Behind::Run(good, Toolbox::default()))
        .with(EntryKind::Agent, "endless", Behind::Run(endless, Toolbox::default()));
    let palette: Arc<dyn Palette> = Arc::new(palette);
    conformance::palette(&palette, &Agents).await;
}
