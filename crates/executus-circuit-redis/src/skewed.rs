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

mod tests {
    //! Clocks that are a minute apart.

    use std::sync::Arc;

    use executus_circuit::{Circuit, CircuitStore, Jitter, Policy, State};
    use tokio::time::{Instant, sleep};

    use super::{CircuitKey, Duration, Skewed};

    /// CB-16: the server's clock is a minute ahead of the processes, or behind: cooldowns last what
    /// they last, in the store and in the process while the store is away, and the absence is
    /// merged once with its ages.
    #[tokio::test]
    async fn clocks_may_be_a_minute_apart() {
        for (nth, minute) in [60_000_000, -60_000_000].into_iter().enumerate() {
            let clock = Skewed::start().await;
            clock.ahead(minute).await;
            let key = CircuitKey::new(format!("peer-{nth}"));
            let cooldown = Duration::from_millis(1500);
            let policy = Policy::builder().jitter(Jitter::Off).cooldown(cooldown, cooldown);
            let (store, every) = (clock.circuits(), Duration::from_millis(50));
            let shared: Arc<dyn CircuitStore> = Arc::new(store.clone());
            let circuit = Circuit::builder(shared, key.clone()).policy(policy.build().unwrap());
            let circuit = circuit.retry_every(every).build().unwrap();
            circuit.acquire().await.unwrap().failure().await;
            clock.server.pause();
            for _ in 0..2 {
                circuit.acquire().await.unwrap().failure().await;
            }
            let opened = Instant::now();
            let left = circuit.acquire().await.unwrap_err().retry_after;
            assert!(left <= cooldown, "{left:?}");
            clock.server.resume();
            while store.snapshot(&key).await.unwrap().state != State::Open {
                assert!(opened.elapsed() < Duration::from_secs(20), "the store never learns of it");
                let _ = circuit.acquire().await.map(drop);
                sleep(every).await;
            }
            let seen = store.snapshot(&key).await.unwrap();
            assert_eq!(seen.failure_count, 3);
            assert!(seen.next_probe <= cooldown, "{seen:?}");
            let most = seen.next_probe + Duration::from_secs(24 * 3600 + 1);
            assert!(clock.kept(&key).await <= most, "{:?}", clock.kept(&key).await);
            while circuit.acquire().await.is_err() {
                assert!(opened.elapsed() < Duration::from_secs(20), "no probe ever passes");
                sleep(every).await;
            }
            assert!(opened.elapsed() >= cooldown, "after {:?}", opened.elapsed());
        }
    }
}
