//! Caps in memory: a lane for each key, under one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::{Cap, CapAsk, CapLimits, Caps, CapsError, Permit};
use crate::time::{Clock, Timestamp};

mod lane;

use lane::{Blocked, Lane};

/// How many may wait for one key.
const QUEUE: usize = 10_000;

/// Caps of one process. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryCaps {
    lanes: Arc<Mutex<Lanes>>,
    clock: Clock,
}

#[derive(Debug)]
struct Lanes {
    default: CapLimits,
    limits: HashMap<Arc<str>, CapLimits>,
    lanes: HashMap<Arc<str>, Lane>,
    waiting: HashMap<Arc<str>, VecDeque<Arc<Notify>>>,
    /// At how many lanes the idle ones are forgotten.
    sweep_at: usize,
}

impl Lanes {
    /// Grants, if the lane has room.
    fn take(&mut self, key: &Arc<str>, tokens: u64, now: Timestamp) -> Result<(), Blocked> {
        let limits = self.limits.get(key).copied().unwrap_or(self.default);
        if self.lanes.len() >= self.sweep_at && !self.lanes.contains_key(key) {
            self.lanes.retain(|_, lane| !lane.is_idle(now));
            self.sweep_at = (self.lanes.len() * 2).max(1024);
        }
        self.lanes.entry(Arc::clone(key)).or_default().take(&limits, tokens, now)
    }

    fn first(&self, key: &Arc<str>, me: Option<&Arc<Notify>>) -> bool {
        let front = self.waiting.get(key).and_then(VecDeque::front);
        front.is_none_or(|front| me.is_some_and(|me| Arc::ptr_eq(front, me)))
    }

    /// Takes a waiter out of the queue, and tells the one who is first now.
    fn leave(&mut self, key: &Arc<str>, me: &Arc<Notify>) {
        let Some(queue) = self.waiting.get_mut(key) else { return };
        queue.retain(|other| !Arc::ptr_eq(other, me));
        if queue.is_empty() {
            self.waiting.remove(key);
        }
        self.wake(key);
    }

    fn wake(&self, key: &Arc<str>) {
        if let Some(front) = self.waiting.get(key).and_then(VecDeque::front) {
            front.notify_one();
        }
    }
}

/// A place in the queue; dropped, it is left.
struct Place {
    lanes: Arc<Mutex<Lanes>>,
    key: Arc<str>,
    me: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lanes.lock().leave(&self.key, &self.me);
    }
}

impl MemoryCaps {
    /// Every key has these limits.
    #[must_use]
    pub fn new(default: CapLimits) -> Self {
        let lanes = Lanes {
            default,
            limits: HashMap::new(),
            lanes: HashMap::new(),
            waiting: HashMap::new(),
            sweep_at: 1024,
        };
        Self { lanes: Arc::new(Mutex::new(lanes)), clock: Clock::system() }
    }

    /// This key has these limits. Permits that were granted stay so.
    pub fn set_limits(&self, key: impl Into<Arc<str>>, limits: CapLimits) {
        let key = key.into();
        let mut lanes = self.lanes.lock();
        lanes.limits.insert(Arc::clone(&key), limits);
        lanes.wake(&key);
    }

    /// How many permits of a key there are now.
    #[must_use]
    pub fn at_once(&self, key: &str) -> u64 {
        self.lanes.lock().lanes.get(key).map_or(0, |lane| lane.at_once)
    }

    /// How many keys are known: of those under way or used within the last minute, and some more.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.lanes.lock().lanes.len()
    }

    /// How many wait for a key.
    #[must_use]
    pub fn waiting(&self, key: &str) -> usize {
        self.lanes.lock().waiting.get(key).map_or(0, VecDeque::len)
    }

    fn permit(&self, key: &Arc<str>, estimate: u64, granted: Timestamp) -> Permit {
        let (lanes, key, clock) = (Arc::clone(&self.lanes), Arc::clone(key), self.clock);
        Permit::new(move |used| {
            let mut lanes = lanes.lock();
            if let Some(lane) = lanes.lanes.get_mut(&key) {
                lane.give_back(granted, estimate, used.unwrap_or(estimate), clock.now());
            }
            lanes.wake(&key);
        })
    }

    /// Grants, says until when to wait, or refuses.
    fn step(
        &self,
        key: &Arc<str>,
        ask: CapAsk,
        deadline: Instant,
        place: &mut Option<Place>,
    ) -> Result<Permit, Result<Instant, CapsError>> {
        let now = Instant::now();
        let at = self.clock.at(now);
        let mut lanes = self.lanes.lock();
        let waiting = lanes.waiting.get(key).map_or(0, VecDeque::len);
        let first = lanes.first(key, place.as_ref().map(|place| &place.me));
        let queue = Blocked { cap: Cap::Queue, limit: waiting as u64, again: None, never: false };
        let blocked = match first {
            true => match lanes.take(key, ask.tokens, at) {
                Ok(()) => return Ok(self.permit(key, ask.tokens, at)),
                Err(blocked) => blocked,
            },
            false => queue.clone(),
        };
        let refuse = |blocked: Blocked| {
            let Blocked { cap, limit, again, .. } = blocked;
            Err(Err(CapsError::Full { key: Arc::clone(key), cap, limit, again }))
        };
        if blocked.never || now >= deadline {
            return refuse(blocked);
        }
        if place.is_none() {
            if waiting >= QUEUE {
                return refuse(queue);
            }
            let me = Arc::new(Notify::new());
            lanes.waiting.entry(Arc::clone(key)).or_default().push_back(Arc::clone(&me));
            *place = Some(Place { lanes: Arc::clone(&self.lanes), key: Arc::clone(key), me });
        }
        let again = blocked.again.map(|again| self.clock.instant(again));
        Err(Ok(again.map_or(deadline, |again| again.min(deadline))))
    }
}

#[async_trait]
impl Caps for MemoryCaps {
    async fn acquire(&self, key: &Arc<str>, ask: CapAsk) -> Result<Permit, CapsError> {
        let now = Instant::now();
        // Patience without end is a century: timers hold no more.
        let far = now + std::time::Duration::from_secs(100 * 365 * 86_400);
        let deadline = now.checked_add(ask.patience).map_or(far, |at| at.min(far));
        // Whatever ends this call, its place in the queue is left and the next is told.
        let mut place = None;
        loop {
            let until = match self.step(key, ask, deadline, &mut place) {
                Ok(permit) => return Ok(permit),
                Err(Err(refused)) => return Err(refused),
                Err(Ok(until)) => until,
            };
            if let Some(place) = &place {
                // Woken or not: the lane says what is true now.
                let _ = timeout_at(until, place.me.notified()).await;
            }
        }
    }
}
