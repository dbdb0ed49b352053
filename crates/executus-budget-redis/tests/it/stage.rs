//! A server, a budget on it, and what tests ask of both.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_budget_redis::{Config, RedisBudget};
use executus_core::port::{Account, Accounts, Amounts, Budget, Limit};
use executus_core::{HoldId, RunId, Timestamp};
use executus_testkit::conformance::BudgetProbe;
use executus_testkit::redis::{RedisServer, Settings};

/// A budget as the kit and the model look at it.
pub(crate) struct View {
    /// What is asked: perhaps through a proxy.
    pub(crate) asked: RedisBudget,
    /// What is read, from the server itself.
    pub(crate) read: RedisBudget,
    pub(crate) window: Duration,
}

impl View {
    pub(crate) fn direct(budget: RedisBudget, window: Duration) -> Self {
        Self { asked: budget.clone(), read: budget, window }
    }
}

#[async_trait]
impl BudgetProbe for View {
    async fn with_accounts(&self, accounts: Accounts) -> Arc<dyn Budget> {
        Arc::new(self.asked.with_accounts(accounts))
    }

    async fn set_limits(&self, account: &str, limits: &[Limit]) {
        self.read.set_limits(account, limits).await.unwrap();
    }

    async fn account(&self, account: &str) -> Account {
        self.read.account(account).await.unwrap()
    }

    async fn now(&self) -> Timestamp {
        self.read.now().await.unwrap()
    }

    async fn advance(&self, by: Duration) {
        // The server's clock is real: nobody can move it.
        let until = self.now().await.after(by);
        while self.now().await < until {
            let left = until.since(self.now().await);
            tokio::time::sleep(left + Duration::from_millis(1)).await;
        }
    }

    async fn abandon(&self, hold: &HoldId) {
        self.asked.abandon(hold);
    }

    fn lease(&self) -> Option<Duration> {
        Some(self.asked.lease())
    }

    fn window(&self) -> Duration {
        self.window
    }
}

pub(crate) async fn kept() -> RedisServer {
    RedisServer::started(Settings { append_only: true, ..Settings::default() }).await
}

/// A budget that is set up.
pub(crate) async fn budget(url: &str) -> RedisBudget {
    with(Config::new(url).unwrap()).await
}

pub(crate) async fn with(config: Config) -> RedisBudget {
    RedisBudget::connect(&config.seed_if_empty()).await.unwrap()
}

/// A configuration whose decisions take 400 ms at most.
pub(crate) fn quick(url: &str) -> Config {
    let mut config = Config::new(url).unwrap();
    config.server = config.server.with_deadline(Duration::from_millis(400));
    config
}

pub(crate) fn hold() -> HoldId {
    HoldId { run: RunId::random(), attempt: 1 }
}

pub(crate) const fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, runtime_ms: 0, cost_micros: 0, runs: 0 }
}

/// A caller that may hold and spend so many tokens.
pub(crate) async fn caller(budget: &RedisBudget, most: u64) -> Arc<str> {
    let caller: Arc<str> = RunId::random().as_str().into();
    let limit = Limit::total(Amounts { tokens: most, ..Amounts::UNLIMITED });
    budget.set_limits(&caller, &[limit]).await.unwrap();
    caller
}

pub(crate) async fn account(budget: &RedisBudget, caller: &str) -> Account {
    budget.account(caller).await.unwrap()
}

/// Held, spent and overrun, in tokens.
pub(crate) async fn standing(budget: &RedisBudget, caller: &str) -> (u64, u64, u64) {
    let account = account(budget, caller).await;
    (account.held.tokens, account.spent.tokens, account.overrun.tokens)
}
