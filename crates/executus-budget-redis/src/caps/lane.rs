//! The lanes on the server.

use std::sync::Arc;
use std::time::Duration;

use executus_redis::redis::Value;
use executus_redis::{Redis, RedisError, Script};

use super::keeper::Undo;
use crate::config::Config;

/// How many may wait for one key.
const QUEUE: &str = "10000";
/// After how long without a word a waiter has left the queue, in milliseconds.
const SILENT: &str = "3000";

const LANE: &str = include_str!("lane.lua");

#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) redis: Redis,
    pub(super) lease: Duration,
    prefix: String,
    lease_ms: String,
    acquire: Script,
    leave: Script,
    renew: Script,
}

impl Lanes {
    pub(super) fn new(config: &Config) -> Self {
        let of = |source: &str| Script::of_parts(&[LANE, source]);
        Self {
            redis: Redis::new(config.server.clone()),
            lease: config.lease,
            prefix: config.namespace.prefix("caps"),
            lease_ms: config.lease.as_millis().to_string(),
            acquire: of(include_str!("acquire.lua")),
            leave: of(include_str!("leave.lua")),
            renew: of(include_str!("renew.lua")),
        }
    }

    pub(super) fn limits_key(&self) -> String {
        format!("{}limits", self.prefix)
    }

    fn keys(&self, key: &str) -> [String; 3] {
        ["r", "p", "q"].map(|part| format!("{}{part}:{key}", self.prefix))
    }

    pub(super) async fn acquire(
        &self,
        key: &str,
        id: &str,
        tokens: u64,
        waits: bool,
        limits: &str,
    ) -> Result<Value, RedisError> {
        let [rates, permits, queue] = self.keys(key);
        let (tokens, waits) = (tokens.to_string(), if waits { "1" } else { "0" });
        let args = [id, &tokens, &self.lease_ms, waits, limits, key, QUEUE, SILENT];
        let keys = [rates.as_str(), &permits, &queue, &self.limits_key()];
        self.redis.eval(&self.acquire, &keys, &args.map(str::as_bytes)).await
    }

    pub(super) async fn leave(&self, undo: &Undo) -> Result<(), RedisError> {
        let [rates, permits, queue] = self.keys(&undo.key);
        let (granted, estimate) = (undo.granted.to_string(), undo.estimate.to_string());
        let used = undo.used.map_or_else(String::new, |used| used.to_string());
        let args = [&*undo.id, &granted, &estimate, &used].map(str::as_bytes);
        let keys = [rates.as_str(), &permits, &queue];
        self.redis.eval(&self.leave, &keys, &args).await.map(|_| ())
    }

    pub(super) async fn renew(&self, key: &str, ids: &[Arc<str>]) -> Result<(), RedisError> {
        let [rates, permits, queue] = self.keys(key);
        let mut args = vec![self.lease_ms.as_bytes()];
        args.extend(ids.iter().map(|id| id.as_bytes()));
        let keys = [rates.as_str(), &permits, &queue];
        self.redis.eval(&self.renew, &keys, &args).await.map(|_| ())
    }
}
