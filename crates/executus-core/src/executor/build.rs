//! Building an executor, and a life of a run from a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::approve;
use super::delegate::PaletteTool;
use super::life::Life;
use super::log::{Log, Saving};
use super::request::Work;
use super::shared::Shared;
use super::stops::Stops;
use super::{Config, Executor, Inner, Place, RunHandle, RunRequest, StartError};
use crate::id::HoldId;
use crate::machine::Run;
use crate::port::{Audit, Budget, Checkpointer, Critic, Delivery, Palette, Ports};
use crate::record::{Fact, Record};
use crate::status::{ErrorKind, RunError};
use crate::time::Clock;
use crate::tool::{Tool, ToolContext};

/// Builds an [`Executor`].
#[derive(Debug, Clone)]
pub struct ExecutorBuilder {
    ports: Ports,
    config: Config,
}

impl Default for ExecutorBuilder {
    fn default() -> Self {
        let config = Config {
            settle_allowance: Duration::from_secs(10),
            audit_slice: Duration::from_secs(3),
            port_limit: Duration::from_secs(5),
            saving: Saving::default(),
        };
        Self { ports: Ports::default(), config }
    }
}

impl ExecutorBuilder {
    /// With these ports, all at once.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Recording every run.
    #[must_use]
    pub fn audit(mut self, audit: Arc<dyn Audit>) -> Self {
        self.ports.audit = Some(audit);
        self
    }

    /// Asking this budget.
    #[must_use]
    pub fn budget(mut self, budget: Arc<dyn Budget>) -> Self {
        self.ports.budget = Some(budget);
        self
    }

    /// Watched by this critic.
    #[must_use]
    pub fn critic(mut self, critic: Arc<dyn Critic>) -> Self {
        self.ports.critic = Some(critic);
        self
    }

    /// Keeping the facts of unfinished runs here.
    #[must_use]
    pub fn checkpointer(mut self, checkpointer: Arc<dyn Checkpointer>) -> Self {
        self.ports.checkpointer = Some(checkpointer);
        self
    }

    /// Delegating to these skills and agents.
    #[must_use]
    pub fn palette(mut self, palette: Arc<dyn Palette>) -> Self {
        self.ports.palette = Some(palette);
        self
    }

    /// Delivering results there.
    #[must_use]
    pub fn delivery(mut self, delivery: Arc<dyn Delivery>) -> Self {
        self.ports.delivery = Some(delivery);
        self
    }

    /// How long settling a run may take in all: 10 s.
    #[must_use]
    pub const fn settle_allowance(mut self, allowance: Duration) -> Self {
        self.config.settle_allowance = allowance;
        self
    }

    /// How much of the settling allowance is kept for closing the record: 3 s.
    #[must_use]
    pub const fn audit_slice(mut self, slice: Duration) -> Self {
        self.config.audit_slice = slice;
        self
    }

    /// How long one call of a port may take during a run: 5 s.
    #[must_use]
    pub const fn port_limit(mut self, limit: Duration) -> Self {
        self.config.port_limit = limit;
        self
    }

    /// How often facts are saved, at least: when this many wait (32), and so long after the last
    /// save (1 s). A save that failed is tried again after that time.
    #[must_use]
    pub const fn save_every(mut self, facts: usize, interval: Duration) -> Self {
        self.config.saving.facts = facts;
        self.config.saving.interval = interval;
        self
    }

    /// How long a run is this executor's after the checkpointer last heard of it: 60 s. A run is
    /// renewed three times in a lease, by its own task: one that hangs is lost.
    #[must_use]
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.config.saving.lease = lease;
        self
    }

    /// How many resumed lives in a row may end without an end and without an advance before the run
    /// is parked: 5. 0 is no limit.
    #[must_use]
    pub const fn attempt_limit(mut self, lives: u32) -> Self {
        self.config.saving.lives = lives;
        self
    }

    /// The executor.
    #[must_use]
    pub fn build(self) -> Executor {
        Executor(Arc::new(Inner {
            ports: self.ports,
            config: self.config,
            shutdown: CancellationToken::new(),
            shutdown_at: Mutex::default(),
            closed: AtomicBool::new(false),
            runs: Mutex::default(),
            blocking: AtomicUsize::new(0),
            counters: Default::default(),
        }))
    }
}

/// A run's first life, from a request.
pub(crate) fn prepare(
    executor: &Arc<Inner>,
    request: RunRequest,
    parent: Option<&ToolContext>,
) -> Result<(RunHandle, Unlived), StartError> {
    let clock = Clock::system();
    let now = clock.start();
    let RunRequest { ask, work } = request;
    let refusal = ask.limits.check().err();
    let chosen = ask.run_id.is_some();
    let spec = Arc::new(ask.into_spec(&executor.ports, work.delegates(), now, parent));
    let origin = Origin {
        run: Run::new(Arc::clone(&spec)),
        first: Fact::Opened(spec),
        earlier: Vec::new(),
        refusal,
        clock,
        chosen,
    };
    let parent_hold = parent.and_then(|parent| parent.hold.clone());
    let (handle, unlived) = life(executor, work, origin, parent_hold)?;
    if let Some(parent) = parent {
        parent.shared.adopt(&unlived.life.shared);
    }
    Ok((handle, unlived))
}

/// Where a life begins.
pub(crate) struct Origin {
    pub(crate) run: Run,
    /// The fact that begins this life, already taken in.
    pub(crate) first: Fact,
    /// What is kept of the earlier lives.
    pub(crate) earlier: Vec<Record>,
    pub(crate) refusal: Option<RunError>,
    pub(crate) clock: Clock,
    /// The host chose the run's id.
    pub(crate) chosen: bool,
}

/// Registers a life and makes its task.
pub(crate) fn life(
    executor: &Arc<Inner>,
    work: Work,
    origin: Origin,
    parent_hold: Option<HoldId>,
) -> Result<(RunHandle, Unlived), StartError> {
    let Origin { run, first, earlier, mut refusal, clock, chosen } = origin;
    let spec = Arc::clone(run.spec());
    let shared = Arc::new(Shared::new(
        Arc::clone(&spec),
        Arc::clone(executor),
        clock,
        run.deadline(),
        work.events,
    ));
    if run.attempt() > 1 {
        shared.hold();
    }
    let place = executor.register(Arc::clone(&shared), chosen)?;
    for finalizer in work.finalizers {
        shared.register(finalizer);
    }
    let (mut tools, mut setup) = (work.tools, work.setup);
    if let Some(setup) = &mut setup {
        approve::keep_awaited(&run, &mut setup.answers);
        if executor.ports.palette.is_none() && !setup.palette.is_empty() {
            let inert = setup
                .palette
                .iter()
                .map(|(kind, name)| Arc::new(PaletteTool::inert(*kind, name)) as Arc<dyn Tool>);
            match tools.and(inert) {
                Ok(all) => tools = all,
                Err(error) => refusal = Some(RunError::new(ErrorKind::Invalid, error.to_string())),
            }
        }
    }
    if refusal.is_some() {
        setup.get_or_insert_default().refusal = refusal;
    }
    let now = clock.start();
    let logged = spec.ports.audit || spec.ports.checkpoint;
    let log = logged.then(|| {
        let checkpointer = executor.ports.checkpointer.clone().filter(|_| spec.ports.checkpoint);
        Box::new(Log::new(checkpointer, earlier, &executor.config, clock))
    });
    let stops = Stops::new(Arc::clone(&shared), run.deadline());
    let life = Box::new(Life {
        run,
        shared: Arc::clone(&shared),
        model: work.model,
        tools,
        secrets: work.secrets,
        stops,
        log,
        watcher: None,
        setup,
        parent_hold,
        started_at: now,
        unrecorded: false,
        recorded_end: false,
        postponed: None,
        begun: false,
        effects: Vec::new(),
        deaf: false,
    });
    Ok((RunHandle::new(shared), Unlived { life, first: logged.then_some(first), _place: place }))
}

/// A life that has not begun.
pub(crate) struct Unlived {
    pub(crate) life: Box<Life>,
    /// The fact that begins it, for the log.
    pub(crate) first: Option<Fact>,
    /// Given back when the task ends.
    pub(crate) _place: Place,
}
