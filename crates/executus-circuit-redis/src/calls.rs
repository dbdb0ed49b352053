//! Calls to the server, each of which may be made again.

use std::time::Duration;

use executus_circuit::{CircuitKey, Outcome, Owner, Policy, StoreError, Ticket};
use executus_redis::redis::{self, Value};
use executus_redis::{Redis, RedisError, Script};

use crate::answer::failed;
use crate::args;
use crate::config::Config;
use crate::scripts::Scripts;

/// How long a request may be on its way that nobody waits for any more.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// The server's side of circuits.
#[derive(Debug)]
pub(crate) struct Calls {
    redis: Redis,
    pub(crate) scripts: Scripts,
    namespace: String,
    idle: String,
    /// How long an answer is kept for a call that is made again. It is, within the call's deadline.
    remember: String,
}

/// The keys of one call.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) record: String,
    pub(crate) answer: String,
}

impl Calls {
    pub(crate) fn new(config: &Config, scripts: Scripts) -> Self {
        let remember = config.server.deadline * 3 + Duration::from_secs(4);
        Self {
            redis: Redis::new(config.server.clone()),
            scripts,
            namespace: config.namespace.to_string(),
            idle: config.idle.as_millis().to_string(),
            remember: remember.as_millis().to_string(),
        }
    }

    /// The keys of a new call, in the circuit's own slot.
    pub(crate) fn keys(&self, key: &CircuitKey) -> Keys {
        let tag = format!("{{{}:circuit:{key}}}", self.namespace);
        let answer = format!("{tag}:answer:{:032x}", fastrand::u128(..));
        Keys { record: format!("{tag}:record"), answer }
    }

    pub(crate) async fn eval(
        &self,
        script: &Script,
        keys: &Keys,
        args: &[&str],
    ) -> Result<Value, StoreError> {
        self.script(script, keys, args).await.map_err(failed)
    }

    async fn script(
        &self,
        script: &Script,
        keys: &Keys,
        args: &[&str],
    ) -> Result<Value, RedisError> {
        let mut all: Vec<&[u8]> = Vec::with_capacity(args.len() + 2);
        all.extend([self.idle.as_bytes(), self.remember.as_bytes()]);
        all.extend(args.iter().map(|arg| arg.as_bytes()));
        self.redis.eval(script, &[&keys.record, &keys.answer], &all).await
    }

    /// Says how a call went.
    pub(crate) async fn result(
        &self,
        keys: &Keys,
        policy: &Policy,
        ticket: &Ticket,
        (outcome, times): (Outcome, u32),
        draw: f64,
    ) -> Result<Value, RedisError> {
        let (policy, generation) = (args::policy(policy, draw), ticket.generation().to_string());
        let (owner, probe) = (ticket.owner().as_str(), args::flag(ticket.is_probe()));
        let (outcome, times) = (args::outcome(outcome), times.to_string());
        let args = [&*policy, &generation, owner, probe, outcome, &times];
        self.script(&self.scripts.result, keys, &args).await
    }

    /// Gives back what a call took whose caller is gone.
    pub(crate) async fn revoke(&self, keys: &Keys, owner: &Owner) -> Result<Value, RedisError> {
        let on_its_way = ON_ITS_WAY.as_millis().to_string();
        self.script(&self.scripts.revoke, keys, &[owner.as_str(), &on_its_way]).await
    }

    /// Whether the server answers. A connection that does not is given up by it.
    pub(crate) async fn look(&self) -> Result<Value, RedisError> {
        self.redis.command(&redis::cmd("PING")).await
    }

    /// The record as it is stored.
    pub(crate) async fn stored(&self, key: &CircuitKey) -> Result<Value, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(self.keys(key).record);
        self.redis.command(&get).await.map_err(failed)
    }

    /// Removes the record.
    pub(crate) async fn forget(&self, key: &CircuitKey) -> Result<(), StoreError> {
        let mut del = redis::cmd("DEL");
        del.arg(self.keys(key).record);
        self.redis.command(&del).await.map(drop).map_err(failed)
    }

    pub(crate) async fn connect(&self) -> Result<(), RedisError> {
        self.look().await.map(drop)
    }
}
