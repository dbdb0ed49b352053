//! The circuits of a fleet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_circuit::{
    Absence, Admission, Breaker, Change, CircuitKey, CircuitStore, Outcome, Owner, Policy,
    Snapshot, StoreError, Ticket,
};
use executus_redis::redis::Value;
use executus_redis::{RedisError, Script};

use crate::answer;
use crate::args;
use crate::calls::{Calls, Keys};
use crate::config::Config;
use crate::keeper::{Job, Keeper};
use crate::scripts::Scripts;

/// The circuits of a fleet, on a server that all of it shares. Clones share the connection.
///
/// Needs a tokio runtime. Each call is one script, and ends within the deadline of
/// [`Config::server`]. A dropped call of [`admit`](CircuitStore::admit), and a call without an
/// answer, give back what they may have taken, by a task that ends with the last clone and what it
/// was handed. A place that cannot be given back while the server is away is tried again until the
/// server is there, for as long as the process lives.
///
/// A circuit that nothing happens to is forgotten after [`Config::idle`]: it is closed then. The
/// same is true of a server that lost its data. Calls under way from before do not count any more.
#[derive(Clone)]
pub struct RedisCircuits(Arc<Inner>);

struct Inner {
    calls: Arc<Calls>,
    keeper: Keeper,
}

impl fmt::Debug for RedisCircuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCircuits").field("calls", &self.0.calls).finish_non_exhaustive()
    }
}

/// A call under way: dropped before it was answered, it leaves a job behind.
struct UnderWay<'a> {
    keeper: &'a Keeper,
    left: Option<Job>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.left.take() {
            self.keeper.hand(job);
        }
    }
}

impl RedisCircuits {
    /// Circuits on this server, which is connected to with the first call. A server that is away
    /// is no error: the circuits that use this store go on without it.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self::with(config, Scripts::new())
    }

    /// Circuits on this server, if it is there and fit.
    ///
    /// # Errors
    /// [`RedisError::Unfit`] for a server that evicts or is too old; any other when it does not
    /// answer within the deadline.
    pub async fn connect(config: &Config) -> Result<Self, RedisError> {
        let circuits = Self::new(config);
        circuits.0.calls.connect().await?;
        Ok(circuits)
    }

    pub(crate) fn with(config: &Config, scripts: Scripts) -> Self {
        let calls = Arc::new(Calls::new(config, scripts));
        Self(Arc::new(Inner { keeper: Keeper::new(Arc::clone(&calls)), calls }))
    }

    /// What is stored of a circuit, if anything is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stored(&self, key: &CircuitKey) -> Result<Option<Breaker>, StoreError> {
        let value = self.0.calls.stored(key).await?;
        if value == Value::Nil {
            return Ok(None);
        }
        let read = serde_json::from_str(answer::text(&value)?);
        read.map(Some).map_err(|error| StoreError::Unreadable { message: error.to_string() })
    }

    /// Makes a call; what it leaves behind is done when it is dropped, or fails.
    async fn call(
        &self,
        script: &Script,
        keys: &Keys,
        args: &[&str],
        left: Job,
    ) -> Result<Value, StoreError> {
        self.0.keeper.start();
        let mut under_way = UnderWay { keeper: &self.0.keeper, left: Some(left) };
        let value = self.0.calls.eval(script, keys, args).await?;
        under_way.left = None;
        Ok(value)
    }

    pub(crate) async fn record_with(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        ticket: &Ticket,
        said: (Outcome, u32),
        draw: f64,
    ) -> Result<Change, StoreError> {
        self.0.keeper.start();
        let mut under_way = UnderWay { keeper: &self.0.keeper, left: Some(Job::Look) };
        let keys = self.0.calls.keys(key);
        let value = self.0.calls.result(&keys, policy, ticket, said, draw).await;
        let value = value.map_err(answer::failed)?;
        under_way.left = None;
        answer::change(answer::text(&value)?)
    }

    pub(crate) async fn observe_with(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        outcome: Outcome,
        draw: f64,
    ) -> Result<Change, StoreError> {
        let args = [&*args::policy(policy, draw), args::outcome(outcome)];
        self.change(&self.0.calls.scripts.observe, key, &args).await
    }

    pub(crate) async fn merge_with(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        absence: &Absence,
        draw: f64,
    ) -> Result<Change, StoreError> {
        let (policy, absence) = (args::policy(policy, draw), args::absence(absence));
        let mut args = vec![&*policy];
        args.extend(absence.iter().map(String::as_str));
        self.change(&self.0.calls.scripts.merge, key, &args).await
    }

    async fn change(
        &self,
        script: &Script,
        key: &CircuitKey,
        args: &[&str],
    ) -> Result<Change, StoreError> {
        let value = self.call(script, &self.0.calls.keys(key), args, Job::Look).await?;
        answer::change(answer::text(&value)?)
    }
}

#[async_trait]
impl CircuitStore for RedisCircuits {
    async fn admit(
        &self,
        key: &CircuitKey,
        _policy: &Policy,
        owner: &Owner,
        lease: Duration,
    ) -> Result<Admission, StoreError> {
        let keys = self.0.calls.keys(key);
        let revoke = Job::Revoke { keys: keys.clone(), owner: owner.clone() };
        let args = [owner.as_str(), &args::micros(lease)];
        let value = self.call(&self.0.calls.scripts.admit, &keys, &args, revoke).await?;
        answer::admission(answer::text(&value)?, owner)
    }

    async fn record(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        ticket: &Ticket,
        outcome: Outcome,
        times: u32,
    ) -> Result<Change, StoreError> {
        self.record_with(key, policy, ticket, (outcome, times), fastrand::f64()).await
    }

    async fn observe(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        outcome: Outcome,
    ) -> Result<Change, StoreError> {
        self.observe_with(key, policy, outcome, fastrand::f64()).await
    }

    fn give_back(&self, key: &CircuitKey, policy: &Policy, ticket: Ticket) {
        if ticket.is_probe() {
            let (keys, policy) = (self.0.calls.keys(key), Box::new(policy.clone()));
            self.0.keeper.hand(Job::GiveBack { keys, policy, ticket });
        }
    }

    async fn snapshot(&self, key: &CircuitKey) -> Result<Snapshot, StoreError> {
        let keys = self.0.calls.keys(key);
        let value = self.call(&self.0.calls.scripts.snapshot, &keys, &[], Job::Look).await?;
        answer::snapshot(answer::text(&value)?)
    }

    async fn reset(&self, key: &CircuitKey) -> Result<(), StoreError> {
        self.0.calls.forget(key).await
    }

    async fn force_dormant(&self, key: &CircuitKey, policy: &Policy) -> Result<Change, StoreError> {
        self.change(&self.0.calls.scripts.force, key, &[&*args::policy(policy, 0.0)]).await
    }

    async fn merge(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        absence: &Absence,
    ) -> Result<Change, StoreError> {
        self.merge_with(key, policy, absence, fastrand::f64()).await
    }
}
