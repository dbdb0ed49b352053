//! How often something may be done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;
use parking_lot::Mutex;
use thiserror::Error;

use crate::capability::{Capability, CapabilityId, Safety};
use crate::principal::{Principal, PrincipalKind};

/// The most principals with their capabilities that are counted at a time.
const MAX_COUNTED: usize = 100_000;

/// How often one principal may do one capability within a window, by safety class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// What only reads.
    pub read: u32,
    /// What writes.
    pub write: u32,
    /// What cannot be undone.
    pub destructive: u32,
    /// How many times as much a service may.
    pub service_factor: u32,
    /// The window. What is as old as it is long counts no more.
    pub window: Duration,
}

impl Default for RateLimits {
    /// 60 reads, 10 writes, 2 destructive in 60 s, ten times as many for a service.
    fn default() -> Self {
        let window = Duration::from_secs(60);
        Self { read: 60, write: 10, destructive: 2, service_factor: 10, window }
    }
}

/// A limit that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the rate limit's `{field}` is {found}; expected {expected}")]
pub struct RateConfigError {
    /// Which number.
    pub field: &'static str,
    /// What it is.
    pub found: String,
    /// What it must be.
    pub expected: &'static str,
}

impl RateLimits {
    /// The highest limit, so that what is remembered stays small.
    pub const MOST: u32 = 100_000;
    /// The longest window: a day.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

    /// Whether every number means something.
    ///
    /// # Errors
    /// [`RateConfigError`] for a limit or factor of 0, a limit above [`MOST`](Self::MOST) when
    /// multiplied, and a window of 0 or above [`LONGEST`](Self::LONGEST).
    pub fn check(&self) -> Result<(), RateConfigError> {
        let counts = [
            ("read", self.read),
            ("write", self.write),
            ("destructive", self.destructive),
            ("service_factor", self.service_factor),
        ];
        for (field, found) in counts {
            let most = found.saturating_mul(match field {
                "service_factor" => 1,
                _ => self.service_factor,
            });
            if found == 0 || most > Self::MOST {
                let expected = "a number above 0, at most 100000 for a service";
                return Err(RateConfigError { field, found: found.to_string(), expected });
            }
        }
        if self.window.is_zero() || self.window > Self::LONGEST {
            let (field, expected) = ("window", "a time above 0, at most a day");
            let found = format!("{} s", self.window.as_secs_f64());
            return Err(RateConfigError { field, found, expected });
        }
        Ok(())
    }

    /// The limit of a capability for a principal.
    #[must_use]
    pub const fn of(&self, principal: &Principal, capability: &Capability) -> RateLimit {
        let most = match capability.safety {
            Safety::Read => self.read,
            Safety::Write => self.write,
            Safety::Destructive => self.destructive,
        };
        let most = match principal.kind {
            PrincipalKind::User => most,
            PrincipalKind::Service => most.saturating_mul(self.service_factor),
        };
        RateLimit { most, window: self.window }
    }
}

/// So many in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub most: u32,
    /// In how long.
    pub window: Duration,
}

/// It was done too often.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "at most {} in {} s for one principal and capability; try again in {:.3} s",
    limit.most, limit.window.as_secs_f64(), retry_after.as_secs_f64()
)]
pub struct RateLimited {
    /// The limit.
    pub limit: RateLimit,
    /// When there is room again.
    pub retry_after: Duration,
}

/// Counts what each principal did of each capability, within a sliding window.
///
/// What it remembers is bounded: by the limits for each of them, and by 100,000 of them; beyond that
/// newcomers are refused until others fall out of the window.
#[derive(Debug)]
pub struct RateLimiter {
    limits: RateLimits,
    counted: Mutex<Counted>,
}

type Key = (Arc<str>, CapabilityId);

#[derive(Debug, Default)]
struct Counted {
    times: HashMap<Key, VecDeque<Timestamp>>,
    swept: Timestamp,
}

impl RateLimiter {
    /// A limiter that has counted nothing.
    ///
    /// # Errors
    /// [`RateConfigError`], see [`RateLimits::check`].
    pub fn new(limits: RateLimits) -> Result<Self, RateConfigError> {
        limits.check()?;
        Ok(Self::of(limits))
    }

    /// With limits that are known to mean something.
    pub(super) fn of(limits: RateLimits) -> Self {
        Self { limits, counted: Mutex::default() }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// Counts one more, if there is room.
    ///
    /// # Errors
    /// [`RateLimited`]; then nothing is counted.
    pub fn admit(
        &self,
        principal: &Principal,
        capability: &Capability,
        now: Timestamp,
    ) -> Result<(), RateLimited> {
        let limit = self.limits.of(principal, capability);
        let key = (Arc::clone(&principal.id), capability.id.clone());
        let mut counted = self.counted.lock();
        counted.sweep(limit.window, now);
        if !counted.times.contains_key(&key) && counted.times.len() >= MAX_COUNTED {
            return Err(RateLimited { limit, retry_after: limit.window });
        }
        let times = counted.times.entry(key).or_default();
        while times.front().is_some_and(|first| now.since(*first) >= limit.window) {
            times.pop_front();
        }
        room(times, limit, now)?;
        times.push_back(now);
        Ok(())
    }

    /// Whether there is room for one more. It counts nothing.
    ///
    /// # Errors
    /// [`RateLimited`].
    pub fn check(
        &self,
        principal: &Principal,
        capability: &Capability,
        now: Timestamp,
    ) -> Result<(), RateLimited> {
        let limit = self.limits.of(principal, capability);
        let key = (Arc::clone(&principal.id), capability.id.clone());
        let counted = self.counted.lock();
        match counted.times.get(&key) {
            Some(times) => room(times, limit, now),
            None if counted.times.len() >= MAX_COUNTED => {
                Err(RateLimited { limit, retry_after: limit.window })
            }
            None => Ok(()),
        }
    }
}

impl Counted {
    /// Forgets those that did nothing for a window, once in a window.
    fn sweep(&mut self, window: Duration, now: Timestamp) {
        if now.since(self.swept) >= window {
            self.swept = now;
            self.times
                .retain(|_, times| times.back().is_some_and(|last| now.since(*last) < window));
        }
    }
}

fn room(times: &VecDeque<Timestamp>, limit: RateLimit, now: Timestamp) -> Result<(), RateLimited> {
    // They are in order, so that those that count are at the end.
    let past = times.partition_point(|time| now.since(*time) >= limit.window);
    let most = limit.most as usize;
    if times.len() - past < most {
        return Ok(());
    }
    // There is room when all but one less than the limit are gone.
    let last = times.get(times.len() - most).copied().unwrap_or(now);
    Err(RateLimited { limit, retry_after: last.after(limit.window).since(now) })
}
