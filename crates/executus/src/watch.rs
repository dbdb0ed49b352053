//! Following a run to its end: events to the screen, signals to the run.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use executus_core::event::{Event, EventStream};
use executus_core::executor::ShutdownReport;
use executus_core::{Outcome, RunHandle, RunStatus};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::fault::Fault;
use crate::host::Host;
use crate::json;
use crate::output::{self, Screen};
use crate::progress::Progress;
use crate::signals::{Asked, Signals};

/// How long settling may take after `SIGTERM`: less than what supervisors wait before they kill.
const GRACE: Duration = Duration::from_secs(8);
/// How long it may take once somebody asked twice.
const SHORT_GRACE: Duration = Duration::from_secs(2);
/// How long the screen may take after a signal, once everything is settled.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// How often a live line moves.
const TICK: Duration = Duration::from_millis(200);
/// How many requests may wait for the screen: more than there are in the life of a process.
const REQUESTS: usize = 64;

/// Something to be done by whoever has the screen.
type Request = Box<dyn FnOnce(&mut Watcher) + Send>;

/// The screen as the rest of the process sees it: a thread of its own that writes.
///
/// Somebody may keep the other end of a pipe and not read it. Then that thread blocks, and nothing
/// else does: the run goes on, and signals are heard.
pub(crate) struct Watch {
    requests: mpsc::Sender<Request>,
    thread: JoinHandle<Result<(), Fault>>,
}

impl Watch {
    /// Begins to show these events, as they come. While nobody reads they wait in their stream,
    /// which is bounded.
    pub(crate) fn start(
        json: bool,
        events: Option<EventStream>,
        recorded: Option<watch::Receiver<u64>>,
    ) -> Self {
        let (requests, asked) = mpsc::channel(REQUESTS);
        let runtime = Handle::current();
        let watcher = Watcher::new(json);
        let thread =
            spawn_blocking(move || runtime.block_on(watcher.watch(events, recorded, asked)));
        Self { requests, thread }
    }

    /// Has something shown, after the events and the requests that are there.
    pub(crate) fn show(&self, request: impl FnOnce(&mut Watcher) + Send + 'static) {
        let _unseen = self.requests.try_send(Box::new(request));
    }

    /// Waits until everything is shown: as long as it takes, or for a moment once there was a
    /// signal.
    ///
    /// # Errors
    /// When something could not be printed.
    pub(crate) async fn end(self, signals: &mut Signals) -> Result<(), Fault> {
        let Self { requests, thread } = self;
        drop(requests);
        let too_late = async {
            if signals.heard() == 0 {
                signals.next().await;
            }
            sleep(LAST_LOOK).await;
        };
        tokio::select! {
            biased;
            shown = thread => shown.unwrap_or_else(|_panic| {
                Err(Fault::error("what was left to show is lost"))
            }),
            () = too_late => Ok(()),
        }
    }
}

/// Shows a run, as JSON on standard output or as progress on standard error.
#[derive(Debug)]
pub(crate) struct Watcher {
    json: bool,
    progress: Progress,
    /// The first thing that could not be printed.
    failed: Option<Fault>,
}

impl Watcher {
    fn new(json: bool) -> Self {
        Self { json, progress: Progress::new(Screen::of_stderr()), failed: None }
    }

    /// Shows what comes until nothing more can come.
    async fn watch(
        mut self,
        mut events: Option<EventStream>,
        recorded: Option<watch::Receiver<u64>>,
        mut requests: mpsc::Receiver<Request>,
    ) -> Result<(), Fault> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut recorded = recorded.filter(|_| self.json);
        loop {
            tokio::select! {
                // In this order: the end is not shown before what led to it.
                biased;
                event = async { match &mut events {
                    Some(events) => events.next().await,
                    None => pending().await,
                } } => match event {
                    Some(Event::Finished { .. }) | None => events = None,
                    Some(event) => self.event(&event),
                },
                told = async { match &mut recorded {
                    Some(recorded) => recorded.changed().await,
                    None => pending().await,
                } } => match (told, &mut recorded) {
                    (Ok(()), Some(recorded)) => {
                        let seq = *recorded.borrow_and_update();
                        self.keep(output::line(&json::recorded(seq).to_string()));
                    }
                    _ => recorded = None,
                },
                request = requests.recv() => match request {
                    Some(request) => request(&mut self),
                    None => return self.failed.map_or(Ok(()), Err),
                },
                _ = tick.tick() => self.progress.tick(),
            }
        }
    }

    fn event(&mut self, event: &Event) {
        if !self.json {
            self.progress.show(event);
        } else if let Some(line) = json::event(event) {
            // The run is not the one to pay for a full disk.
            self.keep(output::line(&line.to_string()));
        }
    }

    /// Shows how a run ended.
    pub(crate) fn end(&mut self, outcome: &Outcome) {
        if !self.json {
            self.progress.end(outcome);
        }
    }

    /// Prints the result.
    pub(crate) fn result(&mut self, outcome: &Outcome) {
        if self.failed.is_some() {
            return;
        }
        if self.json {
            self.keep(output::line(&json::finished(outcome).to_string()));
        } else if outcome.status == RunStatus::Ok {
            let text = outcome.output.as_deref().unwrap_or_default();
            // It may have been shown as it came.
            if !self.progress.has_output(text) {
                let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                self.keep(output::result(&format!("{text}{newline}")));
            }
        }
    }

    fn keep(&mut self, printed: Result<(), Fault>) {
        if let Err(fault) = printed {
            self.failed.get_or_insert(fault);
        }
    }
}

/// Follows a run until it is settled and says how it ended.
///
/// The first Ctrl-C and `executus cancel` cancel the run, `SIGTERM` interrupts it, and whatever comes after that leaves
/// settling less time; settling itself always happens.
pub(crate) async fn follow(
    host: &Host,
    handle: &RunHandle,
    signals: &mut Signals,
    watch: &Watch,
) -> Arc<Outcome> {
    type Leaving<'a> = Pin<Box<dyn Future<Output = ShutdownReport> + 'a>>;
    let mut leaving: Option<Leaving<'_>> = None;
    let (executor, run, asks) = (&host.executor, handle.run_id(), host.asks());
    let mut is_asked = false;
    let say = |text| watch.show(move |watcher| watcher.progress.say(text));
    loop {
        tokio::select! {
            biased;
            settled = handle.settled() => {
                let failures = settled.failures;
                watch.show(move |_| for (phase, error) in &failures {
                    tracing::warn!(%phase, error, "settling failed in part");
                });
                if is_asked {
                    asks.done(run);
                }
                return settled.outcome;
            }
            () = asks.asked(run), if !is_asked => {
                is_asked = true;
                if executor.cancel(run) {
                    say("cancelled from another process; settling");
                }
            }
            report = async { match &mut leaving {
                Some(leaving) => leaving.await,
                None => pending().await,
            } } => {
                if !report.unsettled.is_empty() {
                    let open = "error: the run did not settle in time; its record may be open";
                    watch.show(move |_| output::note(open));
                    return handle.outcome().await;
                }
                leaving = None;
            }
            request = signals.next() => match (request, signals.heard()) {
                (Asked::Cancel, 1) => {
                    say("stopping; press Ctrl-C again to hurry");
                    handle.cancel();
                }
                (Asked::ShutDown, 1) => {
                    say("interrupted; settling");
                    leaving = Some(Box::pin(executor.shutdown(GRACE)));
                }
                (Asked::Cancel | Asked::ShutDown, heard) => {
                    if heard == 2 {
                        say("hurrying");
                    }
                    leaving = Some(Box::pin(executor.shutdown(SHORT_GRACE)));
                }
            },
        }
    }
}
