//! Caps that processes share: one lane for each key, one script for each step.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::Timestamp;
use executus_core::caps::{Cap, CapAsk, CapLimits, Caps, CapsError, Permit};
use executus_redis::redis::{self, Value};
use tokio::time::{Instant, timeout_at};

use crate::answer::{number, text};
use crate::config::Config;
use crate::error::OpenError;

mod keeper;
mod lane;

use keeper::{Keeper, Undo};
use lane::Lanes;

/// The longest pause of a waiter between two looks.
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// Caps on Redis. Clones share the connection and the task that renews permits.
///
/// Waiters of all processes stand in one queue for each key, in the order of asking, and look again
/// the more often the nearer they are to its head; one that is not heard of for three seconds has
/// left it. A permit has a lease, which is renewed while it is held: the place of a process that
/// died is free when it is over. Every look ends within the server's deadline; without an answer
/// nobody goes ahead.
#[derive(Debug, Clone)]
pub struct RedisCaps {
    lanes: Arc<Lanes>,
    keeper: Arc<Keeper>,
    default: CapLimits,
}

impl RedisCaps {
    /// Caps on the server of a budget, in its namespace; keys without limits of their own have
    /// these. The server is asked with the first call. Needs a tokio runtime that outlives them.
    #[must_use]
    pub fn open(config: &Config, default: CapLimits) -> Self {
        let lanes = Arc::new(Lanes::new(config));
        let keeper = Arc::new(Keeper::start(Arc::clone(&lanes)));
        Self { lanes, keeper, default }
    }

    /// This key has these limits, in every process. Permits that were granted stay so.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn set_limits(&self, key: &str, limits: CapLimits) -> Result<(), OpenError> {
        let mut cmd = redis::cmd("HSET");
        cmd.arg(self.lanes.limits_key()).arg(key).arg(write(limits));
        self.lanes.redis.command(&cmd).await.map(|_| ()).map_err(OpenError::Server)
    }

    /// The server's clock.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn now(&self) -> Result<Timestamp, OpenError> {
        self.lanes.redis.time().await.map_err(OpenError::Server)
    }

    fn permit(&self, key: &Arc<str>, id: &Arc<str>, granted: u64, estimate: u64) -> Permit {
        self.keeper.hold(key, id);
        let (undo, key, id) = (self.keeper.undo(), Arc::clone(key), Arc::clone(id));
        Permit::new(move |used| undo.send(Undo { key, id, granted, estimate, used }))
    }
}

/// A place in the queue, or a permit nobody has heard of yet; dropped, it is left.
struct Place<'a> {
    caps: &'a RedisCaps,
    key: &'a Arc<str>,
    id: Arc<str>,
    kept: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let (key, id) = (Arc::clone(self.key), Arc::clone(&self.id));
            self.caps.keeper.undo().send(Undo { key, id, granted: 0, estimate: 0, used: None });
        }
    }
}

#[async_trait]
impl Caps for RedisCaps {
    async fn acquire(&self, key: &Arc<str>, ask: CapAsk) -> Result<Permit, CapsError> {
        let began = Instant::now();
        let far = began + Duration::from_secs(100 * 365 * 86_400);
        let deadline = began.checked_add(ask.patience).map_or(far, |at| at.min(far));
        let id: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let mut place = Place { caps: self, key, id: Arc::clone(&id), kept: false };
        let limits = write(self.default);
        loop {
            let look = self.keeper.look();
            let waits = Instant::now() < deadline;
            let answer = self.lanes.acquire(key, &id, ask.tokens, waits, &limits).await;
            let answer = answer.map_err(|error| CapsError::Unavailable {
                message: error.to_string(),
                source: Some(Arc::new(error)),
            })?;
            match step(key, &answer) {
                Some(Step::Granted(second)) => {
                    place.kept = true;
                    return Ok(self.permit(key, &id, second, ask.tokens));
                }
                Some(Step::Full(error)) => {
                    place.kept = true;
                    return Err(error);
                }
                Some(Step::Wait(position)) => {
                    let pause =
                        Duration::from_millis(10) * u32::try_from(position + 1).unwrap_or(25);
                    let until = deadline.min(Instant::now() + pause.min(LONGEST_LOOK));
                    // A permit that came back here may be the one: a look at once.
                    let _ = timeout_at(until, look).await;
                }
                None => {
                    let error = self.lanes.redis.unreadable("no answer of the caps'");
                    return Err(CapsError::Unavailable {
                        message: error.to_string(),
                        source: Some(Arc::new(error)),
                    });
                }
            }
        }
    }
}

enum Step {
    Granted(u64),
    Wait(u64),
    Full(CapsError),
}

fn step(key: &Arc<str>, answer: &Value) -> Option<Step> {
    let Value::Array(parts) = answer else { return None };
    let part = |at: usize| parts.get(at).and_then(text);
    match part(0)?.as_str() {
        "ok" => Some(Step::Granted(number(parts.get(1)?)?)),
        "wait" => Some(Step::Wait(number(parts.get(4)?)?)),
        "full" => {
            let cap = match part(1)?.as_str() {
                "at_once" => Cap::AtOnce,
                "requests" => Cap::Requests,
                "tokens" => Cap::Tokens,
                _ => Cap::Queue,
            };
            let again = part(3)?.parse().ok().map(Timestamp::from_millis);
            let (key, limit) = (Arc::clone(key), number(parts.get(2)?)?);
            Some(Step::Full(CapsError::Full { key, cap, limit, again }))
        }
        _ => None,
    }
}

/// Limits as the script reads them; `-` is no cap.
fn write(limits: CapLimits) -> String {
    let CapLimits { at_once, requests_per_minute, tokens_per_minute } = limits;
    let of = |limit: Option<u64>| limit.map_or_else(|| "-".into(), |limit| limit.to_string());
    [of(at_once), of(requests_per_minute), of(tokens_per_minute)].join(",")
}
