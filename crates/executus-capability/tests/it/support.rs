//! A kernel whose every part can be told to fail, and what it left behind.

use std::sync::Arc;

use executus_capability::budget::SessionBudget;
use executus_capability::handle::MemoryHandles;
use executus_capability::kernel::{Invocation, KernelBuilder, KernelStats};
use executus_capability::policy::DefaultPolicy;
use executus_capability::record::{
    ActionKind, ActionLog as _, ActionQuery, ActionRecord, MemoryActions,
};
use executus_capability::route::Router;
use executus_capability::token::{Grant, TokenAuthority};
use executus_capability::{
    Capability, CapabilityId, Constraints, Driver, Firewall, Kernel, Principal, Registry, Safety,
    Token,
};
use executus_core::Clock;
use serde_json::{Value, json};

mod driver;
mod faulty;

pub(crate) use driver::{Act, Piece, Scripted};
pub(crate) use faulty::{Fault, Faults, Faulty, Fixed};

/// The capability that most tests perform.
pub(crate) fn id() -> CapabilityId {
    CapabilityId::new("tickets.list").unwrap()
}

pub(crate) fn ann() -> Arc<Principal> {
    Arc::new(Principal::user("ann").role("reader"))
}

pub(crate) fn admin() -> Arc<Principal> {
    Arc::new(Principal::user("root").role("admin"))
}

pub(crate) fn rows(count: usize) -> Value {
    (0..count).map(|n| json!({"id": n, "state": "open"})).collect()
}

/// Gathers a scene.
pub(crate) struct Setup {
    drivers: Vec<Arc<Scripted>>,
    route: Option<Vec<&'static str>>,
    budget: Option<SessionBudget>,
    more: Box<dyn FnOnce(KernelBuilder) -> KernelBuilder>,
    capabilities: Vec<Capability>,
}

/// A kernel and what can be seen of it.
pub(crate) struct Scene {
    pub(crate) kernel: Kernel,
    pub(crate) authority: Arc<TokenAuthority>,
    pub(crate) log: MemoryActions,
    pub(crate) faults: Faults,
    pub(crate) budget: Option<SessionBudget>,
    pub(crate) drivers: Vec<Arc<Scripted>>,
}

impl Setup {
    /// With these drivers, tried in this order.
    pub(crate) fn new(drivers: impl IntoIterator<Item = Scripted>) -> Self {
        Self {
            drivers: drivers.into_iter().map(Arc::new).collect(),
            route: None,
            budget: None,
            more: Box::new(|builder| builder),
            capabilities: vec![Capability::new(id(), Safety::Read, "Lists tickets.")],
        }
    }

    /// One driver that gives some rows.
    pub(crate) fn good() -> Self {
        Self::new([Scripted::new("a", Act::Give(rows(3)))])
    }

    /// Tried in this order, whether they exist or not.
    pub(crate) fn route(mut self, route: &[&'static str]) -> Self {
        self.route = Some(route.to_vec());
        self
    }

    pub(crate) fn budget(mut self, total: i64, reservation: i64) -> Self {
        self.budget = Some(SessionBudget::new(total, reservation).unwrap());
        self
    }

    pub(crate) fn capability(mut self, capability: Capability) -> Self {
        self.capabilities.push(capability);
        self
    }

    pub(crate) fn with(
        mut self,
        more: impl FnOnce(KernelBuilder) -> KernelBuilder + 'static,
    ) -> Self {
        let before = self.more;
        self.more = Box::new(|builder| more(before(builder)));
        self
    }

    pub(crate) fn build(self) -> Scene {
        let clock = Clock::system();
        let authority = Arc::new(TokenAuthority::random(clock).unwrap());
        let (log, faults) = (MemoryActions::default(), Faults::default());
        let registry = self.capabilities.iter().fold(Registry::builder(), |builder, capability| {
            builder.register(capability.clone()).unwrap()
        });
        let named: Vec<&str> = self.drivers.iter().map(|driver| driver.id()).collect();
        let route = self.route.unwrap_or(named.clone().into_iter().map(leak).collect());
        let router = self.capabilities.iter().fold(Router::new(), |router, capability| {
            router.route(capability.id.clone(), route.iter().copied()).unwrap()
        });
        let mut builder = Kernel::builder(registry.build(), Arc::clone(&authority))
            .clock(clock)
            .router(router)
            .policy(Faulty::shared(DefaultPolicy::default(), &faults))
            .screen(Faulty::shared(Firewall::default(), &faults))
            .handles(Faulty::shared(MemoryHandles::default(), &faults))
            .counter(Faulty::shared(executus_capability::budget::SizeCounter, &faults))
            .log(Faulty::shared(log.clone(), &faults));
        for driver in &self.drivers {
            builder = builder.driver(Arc::<Scripted>::clone(driver));
        }
        if let Some(budget) = &self.budget {
            builder = builder.budget(budget.clone());
        }
        let kernel = (self.more)(builder).build().unwrap();
        Scene { kernel, authority, log, faults, budget: self.budget, drivers: self.drivers }
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

impl Scene {
    /// A token of `ann`'s that no record knows of.
    pub(crate) fn token(&self, constraints: Constraints) -> Token {
        self.token_of(&ann(), constraints)
    }

    pub(crate) fn token_of(&self, principal: &Principal, constraints: Constraints) -> Token {
        let id = id();
        self.authority.issue(Grant::new(principal, &id).constraints(constraints)).unwrap()
    }

    pub(crate) fn invocation(&self) -> Invocation {
        self.constrained(Constraints::default())
    }

    pub(crate) fn constrained(&self, constraints: Constraints) -> Invocation {
        Invocation::new(self.token(constraints), ann())
    }

    pub(crate) fn as_admin(&self) -> Invocation {
        Invocation::new(self.token_of(&admin(), Constraints::default()), admin())
    }

    /// With this attempt limit in the token.
    pub(crate) fn limited(&self, seconds: impl Into<Value>) -> Invocation {
        self.constrained(Constraints::default().with(Constraints::INVOKE_TIMEOUT_S, seconds))
    }

    /// The driver with this name.
    pub(crate) fn driver(&self, id: &str) -> &Scripted {
        self.drivers.iter().find(|driver| driver.id() == id).unwrap()
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.budget.as_ref().unwrap().remaining()
    }

    pub(crate) fn stats(&self) -> KernelStats {
        self.kernel.stats()
    }

    /// Every record of a kind.
    pub(crate) async fn records(&self, kind: ActionKind) -> Vec<ActionRecord> {
        // What a dropped future left to a task is written when others had their turn.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let all = self.log.query(&ActionQuery::default()).await.unwrap();
        all.into_iter().filter(|record| record.kind == kind).collect()
    }

    /// The one record of an invocation that there is.
    pub(crate) async fn record(&self) -> ActionRecord {
        let records = self.records(ActionKind::Invoke).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.into_iter().next().unwrap()
    }

    /// Everything that was reserved was settled or given back, and this is what is left.
    pub(crate) fn assert_settled(&self, remaining: u64) {
        let state = self.budget.as_ref().unwrap().state();
        assert_eq!(state.reserved, 0, "{state:?}");
        assert_eq!(state.reservations, state.settled + state.released, "{state:?}");
        assert_eq!(state.remaining, remaining, "{state:?}");
    }
}
