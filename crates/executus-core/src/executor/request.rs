//! A request for a run: what a host asks of an executor.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::broadcast;

use super::finalizer::{Finalizer, FinalizerPhase};
use super::life::Setup;
use crate::event::{Event, EventStream};
use crate::id::RunId;
use crate::model::Model;
use crate::port::palette::EntryKind;
use crate::port::{Amounts, Ports};
use crate::record::Answer;
use crate::secret::Secrets;
use crate::spec::{Brief, FORMAT, Limits, PortSet, RunSpec};
use crate::time::Timestamp;
use crate::tool::{ToolContext, Toolbox};

/// What a host asks of an executor. Everything but the model has a default.
pub struct RunRequest {
    pub(crate) ask: Ask,
    pub(crate) work: Work,
}

/// What a run is asked to be: what its [`RunSpec`] is made of.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) run_id: Option<RunId>,
    subject_id: Arc<str>,
    name: Arc<str>,
    caller_id: Arc<str>,
    channel_id: Arc<str>,
    inputs: Arc<Value>,
    brief: Option<Arc<Brief>>,
    labels: Arc<Value>,
    pub(crate) limits: Limits,
    dry_run: bool,
    read_only: bool,
}

/// What a run works with.
pub(crate) struct Work {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) tools: Toolbox,
    pub(crate) secrets: Secrets,
    /// What few requests have.
    pub(crate) setup: Option<Box<Setup>>,
    pub(crate) events: Option<broadcast::Sender<Event>>,
    pub(crate) finalizers: Vec<Finalizer>,
}

impl RunRequest {
    /// A run of this model, without tools, inputs or names.
    #[must_use]
    pub fn new(model: Arc<dyn Model>) -> Self {
        let empty: Arc<str> = Arc::default();
        static NULL: LazyLock<Arc<Value>> = LazyLock::new(Arc::default);
        let null = Arc::clone(&NULL);
        Self {
            ask: Ask {
                run_id: None,
                subject_id: Arc::clone(&empty),
                name: Arc::clone(&empty),
                caller_id: Arc::clone(&empty),
                channel_id: empty,
                inputs: Arc::clone(&null),
                brief: None,
                labels: null,
                limits: Limits::default(),
                dry_run: false,
                read_only: false,
            },
            work: Work {
                model,
                tools: Toolbox::default(),
                secrets: Secrets::default(),
                setup: None,
                events: None,
                finalizers: Vec::new(),
            },
        }
    }

    /// With these tools.
    #[must_use]
    pub fn tools(mut self, tools: Toolbox) -> Self {
        self.work.tools = tools;
        self
    }

    /// Under this id; a fresh one without.
    #[must_use]
    pub fn run_id(mut self, run_id: RunId) -> Self {
        self.ask.run_id = Some(run_id);
        self
    }

    /// Running this agent or skill.
    #[must_use]
    pub fn subject(mut self, subject_id: impl Into<Arc<str>>) -> Self {
        self.ask.subject_id = subject_id.into();
        self
    }

    /// Called so, for people.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.ask.name = name.into();
        self
    }

    /// For this caller, whose budget it spends.
    #[must_use]
    pub fn caller(mut self, caller_id: impl Into<Arc<str>>) -> Self {
        self.ask.caller_id = caller_id.into();
        self
    }

    /// From this channel.
    #[must_use]
    pub fn channel(mut self, channel_id: impl Into<Arc<str>>) -> Self {
        self.ask.channel_id = channel_id.into();
        self
    }

    /// With these inputs. They are recorded: a sensitive one goes to [`secrets`](Self::secrets).
    #[must_use]
    pub fn inputs(mut self, inputs: Value) -> Self {
        self.ask.inputs = Arc::new(inputs);
        self
    }

    /// Asking a language model this: what it is told first, and the task. It is recorded.
    #[must_use]
    pub fn brief(mut self, brief: Brief) -> Self {
        self.ask.brief = Some(Arc::new(brief));
        self
    }

    /// With labels to be kept in the record: a run file's digest, the host's version.
    #[must_use]
    pub fn labels(mut self, labels: Value) -> Self {
        self.ask.labels = Arc::new(labels);
        self
    }

    /// Within these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.ask.limits = limits;
        self
    }

    /// With these sensitive parameters, which no fact, event or error will hold.
    #[must_use]
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.work.secrets = secrets;
        self
    }

    /// Reserving this much; without it, as much as the limits allow.
    #[must_use]
    pub fn reserve(mut self, amounts: Amounts) -> Self {
        self.work.setup.get_or_insert_default().reserve = Some(amounts);
        self
    }

    /// Allowed to use this skill or agent of the palette.
    #[must_use]
    pub fn delegate_to(mut self, kind: EntryKind, name: impl Into<Arc<str>>) -> Self {
        self.work.setup.get_or_insert_default().palette.push((kind, name.into()));
        self
    }

    /// Admitted and recorded, not executed.
    #[must_use]
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.ask.dry_run = dry_run;
        self
    }

    /// Denying every call of a tool that is not [`ReadOnly`](crate::Effect::ReadOnly), here and
    /// in the runs that it delegates.
    #[must_use]
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.ask.read_only = read_only;
        self
    }

    /// To go on with these answers to calls that await approval, for
    /// [`Executor::resume`](crate::Executor::resume). Those that no call of the kept run waits for
    /// are left out: an answer may be given again, and never counts before it was asked for.
    #[must_use]
    pub fn answers(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.work.setup.get_or_insert_default().answers.extend(answers);
        self
    }

    /// Something to undo when the run ends; the newest registration is undone first.
    #[must_use]
    pub fn on_clean_up<F>(mut self, name: &str, action: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.work.finalizers.push(Finalizer::new(FinalizerPhase::CleanUp, name, action));
        self
    }

    /// Something to persist when the run ends, after the clean-ups, in order of registration.
    #[must_use]
    pub fn on_persist<F>(mut self, name: &str, action: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.work.finalizers.push(Finalizer::new(FinalizerPhase::Persist, name, action));
        self
    }

    /// The events of the run, at most `capacity` of them waiting. Call it before the start; called
    /// again, it gives another stream with the capacity of the first.
    pub fn watch(&mut self, capacity: usize) -> EventStream {
        if let Some(sender) = &self.work.events {
            return EventStream::beside(sender);
        }
        let (sender, stream) = EventStream::channel(capacity);
        self.work.events = Some(sender);
        stream
    }
}

/// How long before its parent's deadline a child run times out, so that the parent can read why.
const CHILD_MARGIN: Duration = Duration::from_millis(250);

impl Ask {
    /// The run that is asked for, as data.
    pub(crate) fn into_spec(
        self,
        ports: &Ports,
        delegates: bool,
        now: Timestamp,
        parent: Option<&ToolContext>,
    ) -> RunSpec {
        let mut deadline = now.after(self.limits.hard_timeout);
        if let Some(parent) = parent {
            deadline = deadline.min(parent.deadline.before(CHILD_MARGIN));
        }
        // A child is its caller's as much as its parent is.
        let (caller_id, channel_id) = match parent {
            Some(parent) => {
                (Arc::clone(&parent.spec.caller_id), Arc::clone(&parent.spec.channel_id))
            }
            None => (self.caller_id, self.channel_id),
        };
        RunSpec {
            format: FORMAT,
            run_id: self.run_id.unwrap_or_else(|| RunId::fresh(now)),
            subject_id: self.subject_id,
            name: self.name,
            caller_id,
            channel_id,
            parent_run_id: parent.map(|parent| parent.spec.run_id.clone()),
            depth: parent.map_or(0, |parent| parent.spec.depth + 1),
            inputs: self.inputs,
            brief: self.brief,
            labels: self.labels,
            limits: self.limits,
            started_at: now,
            deadline,
            ports: PortSet {
                audit: ports.audit.is_some(),
                // A child spends on its parent's hold.
                budget: ports.budget.is_some() && parent.is_none(),
                critic: ports.critic.is_some(),
                checkpoint: ports.checkpointer.is_some() && parent.is_none(),
                palette: ports.palette.is_some() && delegates,
                delivery: ports.delivery.is_some() && parent.is_none(),
            },
            dry_run: self.dry_run,
            read_only: self.read_only || parent.is_some_and(|parent| parent.spec.read_only),
        }
    }
}

impl Work {
    /// Whether the run may delegate to skills or agents.
    pub(crate) fn delegates(&self) -> bool {
        self.setup.as_ref().is_some_and(|setup| !setup.palette.is_empty())
    }
}

impl fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunRequest")
            .field("run_id", &self.ask.run_id)
            .field("name", &self.ask.name)
            .field("tools", &self.work.tools)
            .field("limits", &self.ask.limits)
            .finish_non_exhaustive()
    }
}
