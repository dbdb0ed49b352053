//! One base address: its connections, its window of grace, its circuit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::client::conn::http1;
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::body::Whole;
use crate::error::HttpError;
use crate::pool::base::Base;
use crate::pool::body::Lease;
use crate::pool::connection::{Life, Sender, Shared};
use crate::pool::gate::Gate;
use crate::pool::seat::Seat;
use crate::pool::settings::Settings;
use crate::pool::tasks::Tasks;
use crate::pool::window::Window;
use crate::retry::Bucket;

/// A connection that answered is ready for the next request at once, or never.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// One base address.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) base: Base,
    /// Where to connect to.
    pub(crate) uri: Uri,
    pub(crate) host_field: HeaderValue,
    pub(crate) settings: Arc<Settings>,
    pub(crate) places: Semaphore,
    pub(crate) gate: Gate,
    /// What further attempts are paid from.
    pub(crate) bucket: Bucket,
    pub(crate) tasks: Arc<Tasks>,
    /// Whether a secure connection came out as one of HTTP/1.1: then each makes its own.
    pub(super) speaks_http1: AtomicBool,
    /// Of connections that may be shared one is made at a time.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// Whether responses are of interest to the window.
    pub(super) troubled: AtomicBool,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// The pooled connections, until they are evicted.
    kept: Option<Kept>,
    /// How many times there was a pool.
    built: u64,
    pub(super) evicted: u64,
    pub(super) window: Window,
    /// A task counts what the window holds back.
    pub(super) counting: bool,
    /// A task closes what is idle for too long.
    reaping: bool,
    /// Nothing is kept here any more.
    closed: bool,
    pub(super) last_used: Instant,
}

/// The connections of one pool, which is closed as a whole.
#[derive(Debug)]
struct Kept {
    generation: u64,
    idle: Vec<Idle>,
    shared: Option<(Shared, Instant)>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Whole>,
    life: Life,
    since: Instant,
}

/// What a request may go on.
#[derive(Debug)]
pub(crate) struct Taken {
    /// A connection that is there already.
    pub(crate) sender: Option<(Sender, Life)>,
    /// The pool that it belongs to; none for a connection that serves once.
    pub(crate) generation: Option<u64>,
}

impl Host {
    pub(crate) fn new(base: Base, settings: &Arc<Settings>) -> Result<Self, HttpError> {
        Ok(Self {
            uri: base.uri()?,
            host_field: base.host_field()?,
            places: Semaphore::new(settings.profile.max_connections),
            gate: settings.gate(&base)?,
            bucket: Bucket::default(),
            settings: Arc::clone(settings),
            base,
            tasks: Arc::default(),
            speaks_http1: AtomicBool::new(false),
            opening: tokio::sync::Mutex::new(()),
            troubled: AtomicBool::new(false),
            state: Mutex::new(State {
                kept: None,
                built: 0,
                evicted: 0,
                window: Window::new(settings.clock),
                counting: false,
                reaping: false,
                closed: false,
                last_used: Instant::now(),
            }),
        })
    }

    /// What a request may go on now. Inside the window of grace that is a connection of its own.
    pub(super) fn take(&self, now: Instant) -> Taken {
        let mut state = self.state.lock();
        state.last_used = now;
        if state.closed || state.window.is_open(now) {
            return Taken { sender: None, generation: None };
        }
        let State { kept, built, .. } = &mut *state;
        let kept = kept.get_or_insert_with(|| {
            *built += 1;
            Kept { generation: *built, idle: Vec::new(), shared: None }
        });
        let sender = kept.take(now, self.settings.profile.keep_alive);
        Taken { sender, generation: Some(kept.generation) }
    }

    /// Keeps a connection that is ready for the next request, if it belongs to the pool of now.
    /// What is not kept is closed.
    fn keep(sender: http1::SendRequest<Whole>, mut seat: Seat, generation: u64) {
        let host = Arc::clone(seat.host());
        let since = Instant::now();
        let mut state = host.state.lock();
        if let Some(kept) = state.kept.as_mut().filter(|kept| kept.generation == generation)
            && kept.idle.len() < host.settings.profile.kept_alive
            && let Some(life) = seat.gets_up()
        {
            kept.idle.push(Idle { sender, life, since });
            host.reap_later(&mut state);
        }
        drop(state);
        drop(seat);
    }

    /// Takes back the connection of an exchange that is over.
    pub(super) fn give_back(lease: Lease) {
        let Lease { sender: Sender::Http1(mut sender), mut seat, generation: Some(generation) } =
            lease
        else {
            return;
        };
        if sender.is_ready() {
            Self::keep(sender, seat, generation);
        } else if !sender.is_closed() {
            seat.ended();
            TokioExecutor::new().execute(async move {
                if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, sender.ready()).await {
                    Self::keep(sender, seat, generation);
                }
            });
        }
    }

    /// Shares a connection of HTTP/2 with those that follow, if it belongs to the pool of now.
    pub(super) fn share(self: &Arc<Self>, shared: Shared, generation: u64) {
        let mut state = self.state.lock();
        let Some(kept) = state.kept.as_mut().filter(|kept| kept.generation == generation) else {
            return;
        };
        kept.shared = Some((shared, Instant::now()));
        self.reap_later(&mut state);
    }

    fn reap_later(self: &Arc<Self>, state: &mut State) {
        if state.reaping {
            return;
        }
        state.reaping = true;
        let (host, every) = (Arc::downgrade(self), self.settings.profile.keep_alive);
        TokioExecutor::new().execute(async move {
            let mut reaping = Reaping(host);
            while reaping.goes_on() {
                tokio::time::sleep(every).await;
            }
        });
    }

    /// Closes what was not used for too long, and says whether anything is left.
    fn reap(&self) -> bool {
        let (now, longest) = (Instant::now(), self.settings.profile.keep_alive);
        let mut state = self.state.lock();
        let is_over = |since: Instant| now.saturating_duration_since(since) >= longest;
        let left = state.kept.as_mut().is_some_and(|kept| {
            kept.idle.retain(|idle| !is_over(idle.since) && idle.sender.is_ready());
            let is_unused = |shared: &Shared, since| shared.is_idle() && is_over(since);
            if kept
                .shared
                .as_ref()
                .is_some_and(|(shared, since)| shared.is_closed() || is_unused(shared, *since))
            {
                kept.shared = None;
            }
            !kept.idle.is_empty() || kept.shared.is_some()
        });
        state.reaping = left;
        left
    }

    /// Closes what is kept, and keeps nothing from here on.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.kept = None;
        drop(state);
    }

    pub(super) fn is_http1(&self) -> bool {
        !self.base.secure || self.speaks_http1.load(Ordering::Relaxed)
    }
}

impl State {
    /// Closes the pool of this generation, if it is still the one that is used. It is asked by
    /// each who sees a connection drop, and answered once.
    pub(super) fn evict(&mut self, generation: Option<u64>) -> bool {
        let is_of_now =
            generation.is_some() && self.kept.as_ref().map(|kept| kept.generation) == generation;
        if is_of_now {
            self.kept = None;
            self.evicted += 1;
        }
        is_of_now
    }

    pub(super) fn idle(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.idle.len())
    }
}

impl Kept {
    fn take(&mut self, now: Instant, longest: Duration) -> Option<(Sender, Life)> {
        if let Some((shared, since)) = &mut self.shared {
            if !shared.is_closed() {
                *since = now;
                return Some(shared.sender());
            }
            self.shared = None;
        }
        while let Some(idle) = self.idle.pop() {
            if now.saturating_duration_since(idle.since) >= longest {
                // The others wait for longer still.
                self.idle.clear();
                return None;
            }
            if idle.sender.is_ready() {
                return Some((Sender::Http1(idle.sender), idle.life));
            }
        }
        None
    }
}

/// The task that closes what is idle; when it ends, however it does, another may begin.
struct Reaping(std::sync::Weak<Host>);

impl Reaping {
    fn goes_on(&mut self) -> bool {
        let Some(host) = self.0.upgrade() else { return false };
        let left = host.reap();
        if !left {
            self.0 = std::sync::Weak::new();
        }
        left
    }
}

impl Drop for Reaping {
    fn drop(&mut self) {
        if let Some(host) = self.0.upgrade() {
            host.state.lock().reaping = false;
        }
    }
}
