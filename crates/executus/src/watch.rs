//! Following a run to its end: events to the screen, signals to the run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use executus_core::event::{Event, EventStream};
use executus_core::executor::ShutdownReport;
use executus_core::{Executor, Outcome, RunHandle};
use tokio::time::{MissedTickBehavior, interval};

use crate::fault::Fault;
use crate::json;
use crate::output::{self, Screen};
use crate::progress::Progress;
use crate::signals::{Asked, Signals};

/// How long settling may take after `SIGTERM`: less than what supervisors wait before they kill.
const GRACE: Duration = Duration::from_secs(8);
/// How long it may take once somebody asked twice.
const SHORT_GRACE: Duration = Duration::from_secs(2);
/// How often a live line moves.
const TICK: Duration = Duration::from_millis(200);

/// Shows a run, as JSON on standard output or as progress on standard error.
#[derive(Debug)]
pub(crate) struct Watcher {
    json: bool,
    progress: Progress,
    /// The first event that could not be printed.
    failed: Option<Fault>,
}

impl Watcher {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, progress: Progress::new(Screen::of_stderr()), failed: None }
    }

    fn show(&mut self, event: &Event) {
        if !self.json {
            self.progress.show(event);
        } else if let Some(line) = json::event(event)
            && let Err(fault) = output::line(&line.to_string())
        {
            // The run is not the one to pay for a full disk.
            self.failed.get_or_insert(fault);
        }
    }

    /// Whether this text stands on standard output already: it was shown as it came.
    pub(crate) fn has_shown(&self, text: &str) -> bool {
        !self.json && self.progress.has_output(text)
    }

    /// Shows the end.
    ///
    /// # Errors
    /// When an event could not be printed.
    pub(crate) fn end(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        if !self.json {
            self.progress.end(outcome);
        }
        self.failed.take().map_or(Ok(()), Err)
    }
}

/// Follows a run until it is settled and says how it ended.
///
/// The first Ctrl-C cancels the run, `SIGTERM` interrupts it, and whatever comes after that leaves
/// settling less time; settling itself always happens.
pub(crate) async fn follow(
    executor: &Executor,
    handle: &RunHandle,
    mut events: EventStream,
    signals: &mut Signals,
    watcher: &mut Watcher,
) -> Arc<Outcome> {
    type Leaving<'a> = Pin<Box<dyn Future<Output = ShutdownReport> + 'a>>;
    let mut leaving: Option<Leaving<'_>> = None;
    let mut asked = 0;
    let mut events_ended = false;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            // In this order: the end is not shown before what led to it.
            biased;
            event = events.next(), if !events_ended => match event {
                Some(Event::Finished { .. }) | None => events_ended = true,
                Some(event) => watcher.show(&event),
            },
            settled = handle.settled() => {
                for (phase, error) in &settled.failures {
                    tracing::warn!(%phase, error, "settling failed in part");
                }
                return Arc::clone(&settled.outcome);
            }
            report = async { match &mut leaving {
                Some(leaving) => leaving.await,
                None => std::future::pending().await,
            } } => {
                if !report.unsettled.is_empty() {
                    output::note("error: the run did not settle in time; its record may be open");
                    return handle.outcome().await;
                }
                leaving = None;
            }
            request = signals.next() => {
                asked += 1;
                match request {
                    Asked::Cancel if asked == 1 => {
                        watcher.progress.say("stopping; press Ctrl-C again to hurry");
                        handle.cancel();
                    }
                    Asked::ShutDown if asked == 1 => {
                        watcher.progress.say("interrupted; settling");
                        leaving = Some(Box::pin(executor.shutdown(GRACE)));
                    }
                    Asked::Cancel | Asked::ShutDown => {
                        watcher.progress.say("hurrying");
                        leaving = Some(Box::pin(executor.shutdown(SHORT_GRACE)));
                    }
                }
            }
            _ = tick.tick() => watcher.progress.tick(),
        }
    }
}
