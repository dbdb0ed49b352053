//! The tokio executor: performs what the machine plans, through the ports.
//!
//! Each run lives in a task of its own. Its handle, its deadline and a shutdown only ask it to
//! stop; settling happens in that task, whoever has gone. Foreign code (ports, tools, models) is
//! isolated where it runs, so that a panic in it, or in the drop of its futures, is an error and
//! no unwinding. Not protected: a panic inside a panic, `panic = "abort"`, and a runtime that is
//! dropped without an awaited [`Executor::shutdown`]; a later life finds what these leave.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::id::RunId;
use crate::port::Ports;
use crate::record::Stop;
use crate::status::Outcome;
use crate::tool::ToolContext;
use build::Unlived;
use counts::Counters;
use registry::Registry;

mod act;
mod admit;
mod approve;
mod build;
mod counts;
mod decide;
mod deciding;
mod delegate;
mod finalizer;
mod handle;
mod life;
mod log;
mod outside;
mod recover;
mod registry;
mod reply;
mod request;
mod resume;
mod settle;
mod shared;
mod standalone;
mod stops;
mod tally;

pub use build::ExecutorBuilder;
pub use counts::{Counts, Durations};
pub(crate) use finalizer::{Finalizer, FinalizerPhase};
pub use handle::{RunHandle, RunObserver, Settled};
pub use outside::Awaited;
pub use recover::{Left, LeftState};
pub use request::RunRequest;
pub use resume::{ResumeError, Resumed};
pub(crate) use shared::Shared;
pub use standalone::Standalone;

/// The executor's own limits.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) settle_allowance: Duration,
    pub(crate) audit_slice: Duration,
    pub(crate) port_limit: Duration,
    pub(crate) saving: log::Saving,
}

/// What all runs of an executor share.
pub(crate) struct Inner {
    pub(crate) ports: Ports,
    pub(crate) config: Config,
    pub(crate) shutdown: CancellationToken,
    shutdown_at: Mutex<Option<Instant>>,
    closed: AtomicBool,
    runs: Mutex<Registry>,
    blocking: AtomicUsize,
    counters: Counters,
}

/// A tool that is busy on the blocking pool.
pub(crate) struct Busy(Arc<Inner>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.blocking.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Inner {
    pub(crate) fn shutdown_deadline(&self) -> Option<Instant> {
        if self.shutdown.is_cancelled() { *self.shutdown_at.lock() } else { None }
    }

    pub(crate) fn blocking(self: Arc<Self>) -> Busy {
        self.blocking.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    pub(crate) fn ended(&self, outcome: &Outcome) {
        self.counters.ended(outcome);
    }
}

/// Performs runs. Clones share it. See the [module](self).
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

/// Why a run was not started. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The executor is shutting down.
    #[error("the executor is shutting down")]
    ShutDown,
    /// A run with this id is under way here.
    #[error("run {run} is under way")]
    Running {
        /// Which one.
        run: RunId,
    },
    /// There is no tokio runtime to run in.
    #[error("there is no tokio runtime here; start runs from within one")]
    NoRuntime,
}

/// What a shutdown left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShutdownReport {
    /// Runs that did not settle in time.
    pub unsettled: Vec<RunId>,
    /// Tools that still block a thread of the blocking pool.
    pub blocking_tools: usize,
}

impl Executor {
    /// An executor to be given ports.
    #[must_use]
    pub fn builder() -> ExecutorBuilder {
        ExecutorBuilder::default()
    }

    /// An executor with these ports.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        Self::builder().ports(ports).build()
    }

    /// Starts a run in a task of its own.
    ///
    /// # Errors
    /// [`StartError`]: nothing was started and nothing recorded. Everything else, a refusal
    /// included, is an outcome of the run.
    pub fn start(&self, request: RunRequest) -> Result<RunHandle, StartError> {
        let (handle, life) = build::prepare(&self.0, request, None)?;
        spawn(life)?;
        Ok(handle)
    }

    /// A run and its task, for whoever wants to drive the task by himself: it must be polled to
    /// its end within a tokio runtime with time enabled. Dropping it earlier leaves the run
    /// unsettled.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn prepare(&self, request: RunRequest) -> Result<(RunHandle, RunTask), StartError> {
        let (handle, life) = build::prepare(&self.0, request, None)?;
        Ok((handle, RunTask(Box::pin(life.live()))))
    }

    /// Stops accepting runs, interrupts those under way and waits until they have settled, at most
    /// this long. Interrupted runs keep their checkpoint.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let deadline = Instant::now() + grace;
        self.0.closed.store(true, Ordering::SeqCst);
        *self.0.shutdown_at.lock() = Some(deadline);
        self.0.shutdown.cancel();
        let runs = self.0.runs.lock().runs();
        for run in &runs {
            run.request_stop(shared::interrupted);
        }
        let mut report = ShutdownReport::default();
        for run in runs {
            if tokio::time::timeout_at(deadline, run.wait_settled()).await.is_err() {
                report.unsettled.push(run.spec().run_id.clone());
            }
        }
        report.blocking_tools = self.0.blocking.load(Ordering::Relaxed);
        report
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.read(self.0.runs.lock().len() as u64)
    }
}

impl Inner {
    pub(crate) fn start_child(
        self: &Arc<Self>,
        request: RunRequest,
        parent: &ToolContext,
    ) -> Result<RunHandle, StartError> {
        let (handle, life) = build::prepare(self, request, Some(parent))?;
        spawn(life)?;
        Ok(handle)
    }

    fn register(&self, shared: Arc<Shared>, chosen: bool) -> Result<Place, StartError> {
        let place = {
            let mut runs = self.runs.lock();
            // Under the lock: a shutdown either sees this run or closes before it.
            if self.closed.load(Ordering::SeqCst) {
                return Err(StartError::ShutDown);
            }
            runs.enter(&shared, chosen)
        };
        let run = || shared.spec().run_id.clone();
        let place = place.ok_or_else(|| StartError::Running { run: run() })?;
        self.counters.started();
        Ok(Place { shared, place })
    }
}

fn spawn(life: Unlived) -> Result<(), StartError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    // Not detached: the registry knows the run until its task ends.
    // Boxed: the runtime moves a task's future several times in its life.
    drop(runtime.spawn(Box::pin(life.live())));
    Ok(())
}

/// The task of one run. See [`Executor::prepare`].
pub struct RunTask(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for RunTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// A run's place in the registry. Given back when its task ends or is dropped.
pub(crate) struct Place {
    shared: Arc<Shared>,
    place: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.executor().runs.lock().leave(self.place);
        if shared.settled().is_none() {
            // The task was dropped in the middle; whoever waits must not wait for ever.
            let Stop { status, error } = shared::interrupted();
            let outcome = shared.claim(|| shared.outcome_now(&Stop { status, error }));
            let failures =
                vec![(crate::record::Phase::CloseAudit, "the run's task was dropped".into())];
            shared.set_settled(Settled { outcome, failures });
        }
    }
}

impl fmt::Debug for RunTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunTask")
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("ports", &self.0.ports).finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("ports", &self.ports).finish_non_exhaustive()
    }
}
