//! A critic that is moved by a test.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::critic::Directive;
use executus_core::port::{Critic, CriticError, RunStart, Watcher};
use executus_core::transcript::{Acted, CallOutcome, Reply};
use executus_core::{RunId, Timestamp};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

/// What a watcher was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A step began.
    Step(u32),
    /// A step was decided, with so many calls.
    Decided(u32, usize),
    /// A tool was called with these arguments.
    Tool(String, Value),
    /// A call of this tool was answered: whether with a result.
    Acted(String, bool),
    /// The run is over.
    Stop,
}

/// Watches every run, remembers what it was told, and lets a test steer, move deadlines and stop.
#[derive(Debug, Clone, Default)]
pub struct ScriptedCritic {
    watches: Arc<Mutex<HashMap<RunId, Watch>>>,
    queued: Arc<Mutex<VecDeque<String>>>,
    first: Directive,
    unmonitored: bool,
}

#[derive(Debug)]
struct Watch {
    start: RunStart,
    soft_timeout: Duration,
    seen: Vec<Seen>,
    steering: VecDeque<String>,
    directive: watch::Sender<Directive>,
}

impl ScriptedCritic {
    /// One without a deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose runs time out at this time.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Timestamp) -> Self {
        self.first.deadline = Some(deadline);
        self
    }

    /// One that gives no watcher.
    #[must_use]
    pub const fn unmonitored(mut self) -> Self {
        self.unmonitored = true;
        self
    }

    /// Puts texts before the model of every run that starts from now on.
    pub fn queue(&self, texts: &[&str]) {
        self.queued.lock().extend(texts.iter().map(|&text| text.to_owned()));
    }

    /// Puts a text before the model of a run that is watched.
    pub fn steer(&self, run: &RunId, text: &str) {
        if let Some(watch) = self.watches.lock().get_mut(run) {
            watch.steering.push_back(text.to_owned());
        }
    }

    /// Moves the deadline of a run that is watched; `None` takes it away.
    pub fn move_deadline(&self, run: &RunId, deadline: Option<Timestamp>) {
        self.direct(run, |directive| directive.deadline = deadline);
    }

    /// Stops a run that is watched.
    pub fn stop(&self, run: &RunId, reason: &str) {
        self.direct(run, |directive| directive.stop = Some(reason.to_owned()));
    }

    fn direct(&self, run: &RunId, change: impl FnOnce(&mut Directive)) {
        if let Some(watch) = self.watches.lock().get(run) {
            watch.directive.send_modify(change);
        }
    }

    /// What the watcher of a run was told, in order.
    #[must_use]
    pub fn seen(&self, run: &RunId) -> Vec<Seen> {
        self.watches.lock().get(run).map(|watch| watch.seen.clone()).unwrap_or_default()
    }

    /// What the critic learned of a run before it began.
    #[must_use]
    pub fn started(&self, run: &RunId) -> Option<(RunStart, Duration)> {
        let watches = self.watches.lock();
        watches.get(run).map(|watch| (watch.start.clone(), watch.soft_timeout))
    }

    /// What the critic learned of every run before it began, in no order.
    #[must_use]
    pub fn starts(&self) -> Vec<RunStart> {
        self.watches.lock().values().map(|watch| watch.start.clone()).collect()
    }

    /// How many runs are watched and not over.
    #[must_use]
    pub fn watching(&self) -> usize {
        let watches = self.watches.lock();
        watches.values().filter(|watch| !watch.seen.contains(&Seen::Stop)).count()
    }
}

#[async_trait]
impl Critic for ScriptedCritic {
    async fn monitor(
        &self,
        start: &RunStart,
        soft_timeout: Duration,
    ) -> Result<Option<Box<dyn Watcher>>, CriticError> {
        if self.unmonitored {
            return Ok(None);
        }
        let run = start.spec.run_id.clone();
        let watch = Watch {
            start: start.clone(),
            soft_timeout,
            seen: Vec::new(),
            steering: std::mem::take(&mut *self.queued.lock()),
            directive: watch::Sender::new(self.first.clone()),
        };
        self.watches.lock().insert(run.clone(), watch);
        Ok(Some(Box::new(ScriptedWatcher { critic: self.clone(), run })))
    }
}

struct ScriptedWatcher {
    critic: ScriptedCritic,
    run: RunId,
}

impl ScriptedWatcher {
    fn on<T: Default>(&self, change: impl FnOnce(&mut Watch) -> T) -> T {
        self.critic.watches.lock().get_mut(&self.run).map(change).unwrap_or_default()
    }
}

#[async_trait]
impl Watcher for ScriptedWatcher {
    fn step(&self, step: u32) {
        self.on(|watch| watch.seen.push(Seen::Step(step)));
    }

    fn decided(&self, step: u32, reply: &Reply) {
        self.on(|watch| watch.seen.push(Seen::Decided(step, reply.calls.len())));
    }

    fn acted(&self, acted: &Acted) {
        let (name, ok) = (acted.name.to_string(), matches!(acted.outcome, CallOutcome::Output(_)));
        self.on(|watch| watch.seen.push(Seen::Acted(name, ok)));
    }

    fn tool(&self, name: &str, args: &Value) {
        self.on(|watch| watch.seen.push(Seen::Tool(name.to_owned(), args.clone())));
    }

    fn steer(&self) -> Vec<String> {
        self.on(|watch| watch.steering.drain(..).collect())
    }

    fn directive(&self) -> Option<watch::Receiver<Directive>> {
        self.on(|watch| Some(watch.directive.subscribe()))
    }

    async fn stop(&self) {
        self.on(|watch| watch.seen.push(Seen::Stop));
    }
}
