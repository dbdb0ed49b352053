//! A server whose clock is not that of its clients: set to a time, or so much ahead.

use std::time::Duration;

use executus_circuit::CircuitKey;
use executus_core::Timestamp;
use executus_redis::{Redis, redis};
use executus_testkit::redis::RedisServer;

use crate::circuits::RedisCircuits;
use crate::config::Config;
use crate::scripts::Scripts;

/// The time that was set, or the server's own and what it is ahead by.
const CLOCK: &str = "
local time = redis.call('TIME')
local now = tonumber(redis.call('GET', '{clock}:set'))
  or time[1] * 1000000 + time[2] + (redis.call('GET', '{clock}:ahead') or 0)
";

/// A server, and its clock.
pub(crate) struct Skewed {
    pub(crate) server: RedisServer,
    redis: Redis,
}

impl Skewed {
    pub(crate) async fn start() -> Self {
        let server = RedisServer::plain().await;
        let redis = Redis::new(Config::new(&server.url()).unwrap().server);
        Self { server, redis }
    }

    pub(crate) fn circuits(&self) -> RedisCircuits {
        RedisCircuits::with(&Config::new(&self.server.url()).unwrap(), Scripts::on(CLOCK))
    }

    pub(crate) async fn set(&self, now: Timestamp) {
        self.write("{clock}:set", &now.as_micros().to_string()).await;
    }

    pub(crate) async fn ahead(&self, micros: i64) {
        self.write("{clock}:ahead", &micros.to_string()).await;
    }

    async fn write(&self, key: &str, value: &str) {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value);
        self.redis.command(&set).await.unwrap();
    }

    /// How long the server keeps a circuit's record from now.
    pub(crate) async fn kept(&self, key: &CircuitKey) -> Duration {
        let mut ttl = redis::cmd("PTTL");
        ttl.arg(format!("{{executus:circuit:{key}}}:record"));
        let ttl = self.redis.command(&ttl).await.unwrap();
        Duration::from_millis(redis::from_redis_value(ttl).unwrap())
    }
}
