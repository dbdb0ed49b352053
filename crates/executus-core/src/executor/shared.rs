//! What the run's task, its handle, its tools and its children share.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::deciding::Deciding;
use super::finalizer::{Finalizer, FinalizerPhase};
use super::tally::LiveTally;
use super::{Inner, Settled};
use crate::event::Event;
use crate::record::Stop;
use crate::spec::RunSpec;
use crate::status::{ErrorKind, Outcome, RunError, RunStatus, Stats};
use crate::time::{Clock, Timestamp};
use crate::transcript::Steer;

/// How long a stopped future may still finish before it is dropped.
pub(crate) const GRACE: Duration = Duration::from_millis(25);

/// How long after a stop the caller has its answer at the latest, whatever the run's task does.
const ANSWER: Duration = Duration::from_millis(45);

/// What changes, under one lock.
#[derive(Default)]
struct Cell {
    /// The stop that was asked for, the first one, and when.
    stop: Option<(Stop, Instant)>,
    claimed: Option<Arc<Outcome>>,
    settled: Option<Settled>,
    steering: VecDeque<Arc<Steer>>,
    finalizers: Vec<Finalizer>,
    children: Vec<Arc<Shared>>,
    /// The run's task, waiting for an effect.
    waker: Option<Waker>,
    /// Who waits for the outcome, or for all to be settled; usually one.
    waiter: Option<Waker>,
    more_waiters: Vec<Waker>,
}

impl Cell {
    fn wait(&mut self, waker: &Waker) {
        let known = self.waiter.iter().chain(&self.more_waiters);
        if known.into_iter().any(|known| known.will_wake(waker)) {
            return;
        }
        match &self.waiter {
            None => self.waiter = Some(waker.clone()),
            Some(_) => self.more_waiters.push(waker.clone()),
        }
    }

    fn take_waiting(&mut self) -> (Option<Waker>, Vec<Waker>) {
        (self.waiter.take(), std::mem::take(&mut self.more_waiters))
    }
}

/// See the module.
pub(crate) struct Shared {
    spec: Arc<RunSpec>,
    executor: Arc<Inner>,
    /// Whether a stop was asked for or the outcome is claimed; set before the token is cancelled.
    stopping: AtomicBool,
    steered: AtomicBool,
    /// A life that goes on with a kept run: until it knows whether an earlier one had ended the
    /// run, no caller's timer decides how it ends.
    held: AtomicBool,
    /// Made when somebody first asks for it.
    token: OnceLock<CancellationToken>,
    clock: Clock,
    deadline: Timestamp,
    tally: LiveTally,
    deciding: Deciding,
    events: Option<broadcast::Sender<Event>>,
    cell: Mutex<Cell>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("run", &self.spec.run_id).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        spec: Arc<RunSpec>,
        executor: Arc<Inner>,
        clock: Clock,
        deadline: Timestamp,
        events: Option<broadcast::Sender<Event>>,
    ) -> Self {
        Self {
            spec,
            executor,
            stopping: AtomicBool::new(false),
            steered: AtomicBool::new(false),
            held: AtomicBool::new(false),
            token: OnceLock::new(),
            clock,
            deadline,
            tally: LiveTally::default(),
            deciding: Deciding::default(),
            events,
            cell: Mutex::default(),
        }
    }

    pub(crate) fn spec(&self) -> &Arc<RunSpec> {
        &self.spec
    }

    pub(crate) fn executor(&self) -> &Arc<Inner> {
        &self.executor
    }

    /// Cancelled when the run stops.
    pub(crate) fn token(&self) -> &CancellationToken {
        let token = self.token.get_or_init(CancellationToken::new);
        // Either this sees the stop, or the stop sees the token.
        if self.stopping.load(Ordering::SeqCst) {
            token.cancel();
        }
        token
    }

    /// Tells everybody that the run stops: its task, its tools, its children, who waits for it.
    pub(crate) fn announce_stop(&self) {
        self.cancel_token();
        let (task, waiting, children) = {
            let mut cell = self.cell.lock();
            (cell.waker.take(), cell.take_waiting(), cell.children.clone())
        };
        if let Some(task) = task {
            task.wake();
        }
        wake(waiting);
        for child in children {
            child.request_stop(|| cancelled("the delegating run ended"));
        }
    }

    /// No caller's timer decides until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// The run goes on: from now on its deadline and its stops count for whoever waits.
    pub(crate) fn release(&self) {
        if self.held.load(Ordering::SeqCst) && self.held.swap(false, Ordering::SeqCst) {
            let waiting = self.cell.lock().take_waiting();
            wake(waiting);
        }
    }

    /// Whether the run is stopping already, or has ended.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn cancel_token(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(token) = self.token.get() {
            token.cancel();
        }
    }

    /// Wakes the run's task when a stop is asked for. Returns whether one has been already.
    pub(crate) fn wake_on_stop(&self, waker: &Waker) -> bool {
        let mut cell = self.cell.lock();
        if cell.stop.is_some() || cell.claimed.is_some() {
            return true;
        }
        match &cell.waker {
            Some(known) if known.will_wake(waker) => {}
            Some(_) | None => cell.waker = Some(waker.clone()),
        }
        false
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    pub(crate) fn tally(&self) -> &LiveTally {
        &self.tally
    }

    pub(crate) const fn deciding(&self) -> &Deciding {
        &self.deciding
    }

    /// Whether somebody may watch the events.
    pub(crate) const fn is_watched(&self) -> bool {
        self.events.is_some()
    }

    /// Sends an event, made only when somebody may watch.
    pub(crate) fn emit(&self, make: impl FnOnce() -> Event) {
        if let Some(events) = &self.events {
            // Nobody watching is fine.
            let _ = events.send(make());
        }
    }

    /// Asks the run to stop. The first stop that is asked for counts.
    pub(crate) fn request_stop(&self, stop: impl FnOnce() -> Stop) {
        {
            let mut cell = self.cell.lock();
            if cell.stop.is_some() || cell.claimed.is_some() {
                return;
            }
            cell.stop = Some((stop(), Instant::now()));
        }
        self.announce_stop();
    }

    /// The stop that was asked for, or claimed by the deadline.
    pub(crate) fn requested_stop(&self) -> Option<Stop> {
        if !self.stopping.load(Ordering::SeqCst) {
            return None;
        }
        let cell = self.cell.lock();
        match (&cell.claimed, &cell.stop) {
            (Some(claimed), _) => {
                Some(Stop { status: claimed.status, error: claimed.error.clone() })
            }
            (None, Some((stop, _))) => Some(stop.clone()),
            (None, None) => None,
        }
    }

    /// Claims the outcome; whoever comes first decides it. Returns the one that counts.
    pub(crate) fn claim(&self, outcome: impl FnOnce() -> Outcome) -> Arc<Outcome> {
        let claimed = {
            let mut cell = self.cell.lock();
            match &cell.claimed {
                Some(claimed) => return Arc::clone(claimed),
                None => Arc::clone(cell.claimed.insert(Arc::new(outcome()))),
            }
        };
        self.announce_stop();
        claimed
    }

    /// Claims the outcome and says that all is done, at once; for a run without children.
    pub(crate) fn finish(&self, outcome: impl FnOnce() -> Outcome) -> Arc<Outcome> {
        let (outcome, waiting) = {
            let mut cell = self.cell.lock();
            let claimed = cell.claimed.get_or_insert_with(|| Arc::new(outcome()));
            let outcome = Arc::clone(claimed);
            cell.settled = Some(Settled { outcome: Arc::clone(&outcome), failures: Vec::new() });
            (outcome, cell.take_waiting())
        };
        self.cancel_token();
        wake(waiting);
        outcome
    }

    /// Says that all is done.
    pub(crate) fn set_settled(&self, settled: Settled) {
        let waiting = {
            let mut cell = self.cell.lock();
            cell.settled.get_or_insert(settled);
            cell.take_waiting()
        };
        wake(waiting);
    }

    pub(crate) fn settled(&self) -> Option<Settled> {
        self.cell.lock().settled.clone()
    }

    pub(crate) fn steer(&self, steer: Steer) {
        self.cell.lock().steering.push_back(Arc::new(steer));
        self.steered.store(true, Ordering::Release);
    }

    /// Whether the caller has ever steered.
    pub(crate) fn is_steered(&self) -> bool {
        self.steered.load(Ordering::Acquire)
    }

    pub(crate) fn next_steer(&self) -> Option<Arc<Steer>> {
        self.cell.lock().steering.pop_front()
    }

    pub(crate) fn register(&self, finalizer: Finalizer) {
        self.cell.lock().finalizers.push(finalizer);
    }

    /// Takes the finalizers of a phase, in the order in which they run.
    pub(crate) fn take_finalizers(&self, phase: FinalizerPhase) -> Vec<Finalizer> {
        let mut cell = self.cell.lock();
        if cell.finalizers.is_empty() {
            return Vec::new();
        }
        let all = std::mem::take(&mut cell.finalizers);
        let (mut taken, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|finalizer| finalizer.phase == phase);
        cell.finalizers = kept;
        if phase == FinalizerPhase::CleanUp {
            taken.reverse();
        }
        taken
    }

    pub(crate) fn has_finalizers_or_children(&self) -> bool {
        let cell = self.cell.lock();
        !cell.finalizers.is_empty() || !cell.children.is_empty()
    }

    pub(crate) fn adopt(&self, child: &Arc<Self>) {
        self.cell.lock().children.push(Arc::clone(child));
        if self.stopping.load(Ordering::SeqCst) {
            child.request_stop(|| cancelled("the delegating run ended"));
        }
    }

    pub(crate) fn take_children(&self) -> Vec<Arc<Self>> {
        std::mem::take(&mut self.cell.lock().children)
    }

    /// An outcome as the shared data know it, for whoever must answer while the task cannot.
    pub(crate) fn outcome_now(&self, stop: &Stop) -> Outcome {
        Outcome {
            run_id: self.spec.run_id.clone(),
            status: stop.status,
            output: None,
            error: stop.error.clone(),
            stats: Stats {
                tally: self.tally.read(),
                runtime_ms: millis(self.clock.now().since(self.spec.started_at)),
            },
            artifacts: Vec::new(),
        }
    }

    /// Waits for the outcome: the run's own, or, shortly after the deadline or a stop, the one that
    /// these two decide whatever the run's task is doing.
    pub(crate) async fn wait_outcome(&self) -> Arc<Outcome> {
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|cx| {
            let (stop, at) = {
                let mut cell = self.cell.lock();
                if let Some(claimed) = &cell.claimed {
                    return Poll::Ready(Arc::clone(claimed));
                }
                cell.wait(cx.waker());
                if self.held.load(Ordering::SeqCst) {
                    return Poll::Pending;
                }
                match &cell.stop {
                    Some((stop, at)) => (stop.clone(), *at),
                    None => (timeout(), self.clock.instant(self.deadline)),
                }
            };
            let at = at + ANSWER;
            let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            timer.as_mut().poll(cx).map(|()| self.claim(|| self.outcome_now(&stop)))
        })
        .await
    }

    pub(crate) async fn wait_settled(&self) -> Settled {
        poll_fn(|cx| {
            let mut cell = self.cell.lock();
            match &cell.settled {
                Some(settled) => Poll::Ready(settled.clone()),
                None => {
                    cell.wait(cx.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

fn wake((first, more): (Option<Waker>, Vec<Waker>)) {
    if let Some(first) = first {
        first.wake();
    }
    more.into_iter().for_each(Waker::wake);
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn timeout() -> Stop {
    stop(RunStatus::Timeout, ErrorKind::Timeout, "the deadline passed")
}

pub(crate) fn cancelled(why: &str) -> Stop {
    stop(RunStatus::Cancelled, ErrorKind::Cancelled, why)
}

pub(crate) fn interrupted() -> Stop {
    let why = "the process was shut down; the run can be resumed";
    let mut stop = stop(RunStatus::Interrupted, ErrorKind::Interrupted, why);
    if let Some(error) = &mut stop.error {
        error.retryable = true;
    }
    stop
}

/// Another process goes on with the run: nothing of this life counts any more.
pub(crate) fn lost() -> Stop {
    let why = "another process took the run over, and goes on with it";
    stop(RunStatus::Interrupted, ErrorKind::Interrupted, why)
}

pub(crate) fn stop(status: RunStatus, kind: ErrorKind, message: impl Into<String>) -> Stop {
    Stop { status, error: Some(RunError::new(kind, message)) }
}
