//! What a failed attempt means: for the pool, for the circuit, and for the caller.
//!
//! Three things that are not the same. A connection that is dropped is a failed attempt; it tells
//! nothing about the server, of which the next connection may be well; and the caller is told that
//! it was dropped. What fails in its wake is told the same, and held back from the circuit until it
//! is known whether the server is there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use executus_circuit::HeldFailures;
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, sleep_until};

use crate::error::{ConnectFailure, DropKind, HttpError, Phase};
use crate::pool::gate::Pass;
use crate::pool::host::{Host, State};

/// An attempt that got no response.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: HttpError,
    pub(super) what: What,
    /// The pool that its connection belongs to.
    pub(super) generation: Option<u64>,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A connection that was there is lost.
    Dropped,
    /// The server does not take connections.
    Unconnected,
    /// A limit in time, with a server that takes connections.
    Late,
    /// What says nothing about the server.
    Other,
}

impl Failed {
    pub(super) fn new(error: HttpError, generation: Option<u64>) -> Self {
        Self { what: what(&error), error, generation }
    }
}

/// What kind of failure an error is.
pub(super) fn what(error: &HttpError) -> What {
    if error.is_dropped() {
        return What::Dropped;
    }
    match error {
        HttpError::Connect { failure, .. } => match failure {
            ConnectFailure::Refused | ConnectFailure::Unreachable => What::Unconnected,
            // The name service is not the server, and a system without descriptors neither.
            ConnectFailure::Name | ConnectFailure::Closed | ConnectFailure::Other => What::Other,
        },
        HttpError::Timeout { phase: Phase::Connect, .. } => What::Unconnected,
        HttpError::Timeout { .. } => What::Late,
        _ => What::Other,
    }
}

impl Host {
    /// Tells the circuit what it is to learn, and gives back what the caller is told.
    pub(super) async fn judge(self: &Arc<Self>, failed: Failed, pass: Pass) -> HttpError {
        let Failed { error, what, generation } = failed;
        let now = Instant::now();
        match what {
            What::Dropped => {
                if self.dropped(generation, now) {
                    pass.failure().await;
                } else {
                    pass.neutral().await;
                }
                error
            }
            What::Unconnected => {
                let Some(pass) = self.unconnected(pass, now) else { return dropped(&error) };
                pass.failure().await;
                error
            }
            What::Late => {
                pass.neutral().await;
                self.late(error)
            }
            What::Other => {
                pass.neutral().await;
                error
            }
        }
    }

    /// There was no connection. Inside the window that is held back; outside it counts, and the
    /// pass is given back.
    fn unconnected(self: &Arc<Self>, pass: Pass, now: Instant) -> Option<Pass> {
        let mut pass = Some(pass);
        let mut state = self.state.lock();
        let counts = state.window.connect_failed(now, || pass.take()?.hold());
        if !counts {
            self.count_later(&mut state);
        }
        drop(state);
        pass.filter(|_| counts)
    }

    /// A limit in time has passed: inside the window of grace it is told as a drop.
    pub(super) fn late(&self, error: HttpError) -> HttpError {
        if self.is_in_grace(Instant::now()) { dropped(&error) } else { error }
    }

    pub(crate) fn is_in_grace(&self, now: Instant) -> bool {
        self.state.lock().window.is_open(now)
    }

    /// A connection was dropped: its pool is closed, and the window opens. Says whether it counts
    /// as a failure: the server has dropped everything for too long.
    fn dropped(&self, generation: Option<u64>, now: Instant) -> bool {
        let mut state = self.state.lock();
        let is_first = state.evict(generation);
        let counts = state.window.dropped(now);
        self.troubled.store(true, Ordering::Release);
        drop(state);
        if is_first {
            tracing::info!(base = %self.base, "a connection was dropped; the pool is made anew");
        }
        counts
    }

    /// A connection was dropped in the middle of a body.
    pub(super) fn body_dropped(&self, generation: Option<u64>) {
        // That there was a response is what the circuit has learnt.
        let _counts = self.dropped(generation, Instant::now());
    }

    /// There was a response, on a connection that was made for it at this time, or on one that was
    /// kept.
    pub(super) fn answered(&self, opened: Option<Instant>) {
        if self.troubled.load(Ordering::Acquire) {
            let mut state = self.state.lock();
            state.window.answered(Instant::now(), opened);
            self.troubled.store(state.window.is_troubled(), Ordering::Release);
        }
    }

    /// Sees to it that what the window holds back is counted when it ends.
    fn count_later(self: &Arc<Self>, state: &mut State) {
        if state.counting {
            return;
        }
        state.counting = true;
        let mut counting = Counting(Some(Arc::clone(self)));
        TokioExecutor::new().execute(async move {
            while let Some(due) = counting.next_due() {
                sleep_until(due).await;
                if let Some(failures) = counting.due() {
                    failures.count().await;
                }
            }
        });
    }
}

/// The task that counts what a window held back. There is one at a time.
struct Counting(Option<Arc<Host>>);

impl Counting {
    fn next_due(&mut self) -> Option<Instant> {
        let host = self.0.take()?;
        let mut state = host.state.lock();
        let due = state.window.next_due();
        state.counting = due.is_some();
        drop(state);
        if due.is_some() {
            self.0 = Some(host);
        }
        due
    }

    fn due(&self) -> Option<HeldFailures> {
        self.0.as_ref()?.state.lock().window.due(Instant::now())
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(host) = &self.0 {
            host.state.lock().counting = false;
        }
    }
}

fn dropped(error: &HttpError) -> HttpError {
    let address = match error {
        HttpError::Connect { address, .. } | HttpError::Timeout { address, .. } => address.clone(),
        _ => String::new(),
    };
    let (kind, sent) = (DropKind::Wake, error.was_sent());
    HttpError::Dropped { kind, before_head: true, sent, address }
}
