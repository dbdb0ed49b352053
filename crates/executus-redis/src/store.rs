//! The connection that is there when it is needed, and calls with a deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::Config;
use crate::error::{Cause, RedisError, Remedy, refused, remedy};
use crate::link::Link;
use crate::script::Script;
use crate::server;

/// The first pause before a call is made again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A server that can be called. Clones share the connection.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    server: String,
    slot: Mutex<Slot>,
    /// Held by whoever connects; the others wait for the outcome.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Slot {
    link: Option<Link>,
    /// The number of the link: a failure gives up the link it was seen on, not a newer one.
    generation: u64,
    /// How many attempts to connect ended, and how the last one failed.
    attempts: u64,
    failure: Option<RedisError>,
}

/// A call that can be made again.
enum Call<'a> {
    Command(&'a Cmd),
    Script { script: &'a Script, keys: &'a [&'a str], args: &'a [&'a [u8]], by_hash: Cmd },
}

impl Redis {
    /// A server that is connected to with the first call.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let server = config.endpoint.to_string();
        let (slot, connecting) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { inner: Arc::new(Inner { config, server, slot, connecting }) }
    }

    /// A server that is connected and fit.
    ///
    /// # Errors
    /// [`RedisError::Unfit`] for a server that evicts or is too old; any other when it does not
    /// answer within the deadline.
    pub async fn connect(config: Config) -> Result<Self, RedisError> {
        let redis = Self::new(config);
        redis.command(&redis::cmd("PING")).await?;
        Ok(redis)
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The server's clock.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn time(&self) -> Result<Timestamp, RedisError> {
        let answer = self.command(&redis::cmd("TIME")).await?;
        let time: Result<(i64, i64), _> = redis::from_redis_value(answer);
        match time {
            Ok((seconds, micros)) => Ok(Timestamp::from_micros(seconds * 1_000_000 + micros)),
            Err(error) => Err(self.inner.unreadable(&error.to_string())),
        }
    }

    /// Runs a script within the deadline of the configuration.
    ///
    /// It may be run more than once, so it must be idempotent. A script that the server does not
    /// know is sent in full, once.
    ///
    /// # Errors
    /// [`RedisError::maybe_applied`] says whether it may have taken effect all the same.
    ///
    /// # Cancellation
    /// A dropped call may have taken effect.
    pub async fn eval(
        &self,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value, RedisError> {
        self.eval_within(self.inner.config.deadline, script, keys, args).await
    }

    /// [`Self::eval`] with a deadline of its own.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub async fn eval_within(
        &self,
        limit: Duration,
        script: &Script,
        keys: &[&str],
        args: &[&[u8]],
    ) -> Result<Value, RedisError> {
        let by_hash = script.by_hash(keys, args);
        self.inner.call(limit, &Call::Script { script, keys, args, by_hash }).await
    }

    /// Runs a command within the deadline; it may be run more than once.
    ///
    /// # Errors
    /// As [`Self::eval`].
    pub async fn command(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        self.inner.call(self.inner.config.deadline, &Call::Command(cmd)).await
    }

    /// What an answer that cannot be read means.
    #[must_use]
    pub fn unreadable(&self, what: &str) -> RedisError {
        self.inner.unreadable(what)
    }
}

impl Inner {
    async fn call(&self, limit: Duration, call: &Call<'_>) -> Result<Value, RedisError> {
        let deadline = Instant::now() + limit;
        let mut last = None;
        // On a link that is there an answer has its own limit, twice for a script that is sent again:
        // a timer of ours beside it would cost as much as the call.
        if self.config.response_timeout * 2 <= limit
            && let Some((generation, link)) = self.present()
            && link.keeps_time()
        {
            match self.ask(generation, link, call).await {
                Ok(answer) => return answer,
                Err(error) => last = Some(error),
            }
        }
        let answer = timeout_at(deadline, self.attempts(call, &mut last)).await;
        answer.unwrap_or_else(|_| {
            let server = self.server.clone();
            Err(RedisError::Silent { server, after: limit, source: last })
        })
    }

    /// Asks until there is a final answer; the caller's deadline ends it.
    async fn attempts(
        &self,
        call: &Call<'_>,
        last: &mut Option<Cause>,
    ) -> Result<Value, RedisError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(call).await {
                Ok(answer) => return answer,
                Err(error) => *last = Some(error),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks once. `Err`: what failed may work another time.
    async fn attempt(&self, call: &Call<'_>) -> Result<Result<Value, RedisError>, Cause> {
        match self.link().await {
            Ok((generation, link)) => self.ask(generation, link, call).await,
            Err(error) if error.retry() => Err(Arc::new(error)),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Asks once on a link.
    async fn ask(
        &self,
        generation: u64,
        mut link: Link,
        call: &Call<'_>,
    ) -> Result<Result<Value, RedisError>, Cause> {
        let mut answer = match call {
            Call::Command(cmd) => link.ask(cmd).await,
            Call::Script { by_hash, .. } => link.ask(by_hash).await,
        };
        if let (Err(error), Call::Script { script, keys, args, .. }) = (&answer, call)
            && remedy(error) == Remedy::Load
        {
            answer = link.ask(&script.by_source(keys, args)).await;
        }
        match answer {
            Ok(value) => Ok(Ok(value)),
            Err(error) => match remedy(&error) {
                Remedy::Reconnect => {
                    self.give_up(generation);
                    Err(Arc::new(error))
                }
                Remedy::Pause => Err(Arc::new(error)),
                Remedy::Load | Remedy::Fail => Ok(Err(refused(&self.server, &error))),
            },
        }
    }

    /// The link that is there.
    fn present(&self) -> Option<(u64, Link)> {
        let slot = self.slot.lock();
        slot.link.as_ref().map(|link| (slot.generation, link.clone()))
    }

    /// The link that is there, or a new one.
    async fn link(&self) -> Result<(u64, Link), RedisError> {
        let attempts = self.slot.lock().attempts;
        if let Some(present) = self.present() {
            return Ok(present);
        }
        let _one_at_a_time = self.connecting.lock().await;
        {
            let slot = self.slot.lock();
            if let Some(link) = &slot.link {
                return Ok((slot.generation, link.clone()));
            }
            if let Some(failure) = slot.failure.as_ref().filter(|_| slot.attempts != attempts) {
                return Err(failure.clone());
            }
        }
        let opened = timeout(self.config.connect_timeout, self.open()).await.unwrap_or_else(|_| {
            let (server, after) = (self.server.clone(), self.config.connect_timeout);
            Err(RedisError::Silent { server, after, source: None })
        });
        let mut slot = self.slot.lock();
        slot.attempts += 1;
        match opened {
            Ok(link) => {
                slot.generation += 1;
                slot.failure = None;
                slot.link = Some(link.clone());
                Ok((slot.generation, link))
            }
            Err(error) => {
                tracing::debug!(server = self.server, %error, "no connection to Redis");
                slot.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// A connection that is checked.
    async fn open(&self) -> Result<Link, RedisError> {
        let server = || self.server.clone();
        let unreachable = |error: redis::RedisError| match remedy(&error) {
            Remedy::Fail | Remedy::Load => refused(&self.server, &error),
            Remedy::Reconnect | Remedy::Pause => {
                RedisError::Unreachable { server: server(), source: Arc::new(error) }
            }
        };
        let mut link = Link::open(&self.config).await.map_err(unreachable)?;
        let info = link.ask(&redis::cmd("INFO")).await.map_err(unreachable)?;
        match server::unfit(&info) {
            None => Ok(link),
            Some(what) => Err(RedisError::Unfit { server: server(), what }),
        }
    }

    fn give_up(&self, generation: u64) {
        let mut slot = self.slot.lock();
        if slot.generation == generation {
            slot.link = None;
        }
    }

    fn unreadable(&self, what: &str) -> RedisError {
        RedisError::Refused {
            server: self.server.clone(),
            message: format!("its answer cannot be read: {what}"),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("server", &self.inner.server).finish_non_exhaustive()
    }
}
