//! The guard: its settings, and what it knows of each run.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use executus_core::tool::DuplicateTool;
use executus_core::{RunId, Tool, ToolContext, Toolbox};
use parking_lot::Mutex;

use crate::config::GuardConfig;
use crate::error::ConfigError;
use crate::guarded::Guarded;
use crate::protected::Protected;
use crate::role::Role;
use crate::signal::{OnSignal, Signal};
use crate::state::RunState;

/// Guards the tools of runs. Clones are the same guard.
///
/// Its settings are fixed when it is built: nothing that a tool does can change them. What it knows
/// of a run it forgets when that life of the run ends.
///
/// ```
/// use std::sync::Arc;
///
/// use executus_core::{Effect, ToolSpec, Toolbox};
/// use executus_core::{Tool, ToolContext, ToolError, ToolOutput};
/// use executus_guard::{Guard, GuardConfig, Role, UrlPolicy};
/// # struct Goto(ToolSpec);
/// # #[async_trait::async_trait]
/// # impl Tool for Goto {
/// #     fn spec(&self) -> &ToolSpec { &self.0 }
/// #     async fn call(&self, _: &ToolContext, _: &serde_json::Value) -> Result<ToolOutput, ToolError> {
/// #         Ok("a page".into())
/// #     }
/// # }
/// # let goto: Arc<dyn Tool> = Arc::new(Goto(ToolSpec::new("goto", "").effect(Effect::ReadOnly)));
///
/// let urls = UrlPolicy::new().allow(["*.example.com"])?;
/// let guard = Guard::new(GuardConfig { urls, ..GuardConfig::default() })?;
/// let tools = Toolbox::new([guard.wrap(goto, Role::navigate("/url"))]);
/// # assert_eq!(tools.unwrap().names(), "goto");
/// # Ok::<(), executus_guard::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: GuardConfig,
    pub(crate) protected: Option<Protected>,
    listener: Option<OnSignal>,
    runs: Mutex<HashMap<RunId, Arc<Mutex<RunState>>>>,
}

/// Builds a guard.
#[derive(Debug)]
pub struct GuardBuilder {
    config: GuardConfig,
    protected: Option<Protected>,
    listener: Option<OnSignal>,
}

impl GuardBuilder {
    /// Protecting these files.
    #[must_use]
    pub fn protect(mut self, protected: Protected) -> Self {
        self.protected = Some(protected);
        self
    }

    /// Telling this what it sees.
    #[must_use]
    pub fn on_signal(mut self, listen: impl Fn(&Signal) + Send + Sync + 'static) -> Self {
        self.listener = Some(OnSignal::new(listen));
        self
    }

    /// Builds it.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that means nothing.
    pub fn build(self) -> Result<Guard, ConfigError> {
        self.config.check()?;
        let Self { config, protected, listener } = self;
        let inner = Inner { config, protected, listener, runs: Mutex::default() };
        Ok(Guard(Arc::new(inner)))
    }
}

impl Guard {
    /// With these settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting that means nothing.
    pub fn new(config: GuardConfig) -> Result<Self, ConfigError> {
        Self::builder(config).build()
    }

    /// With these settings and more.
    #[must_use]
    pub const fn builder(config: GuardConfig) -> GuardBuilder {
        GuardBuilder { config, protected: None, listener: None }
    }

    /// The tool, guarded, under the same name.
    #[must_use]
    pub fn wrap(&self, tool: Arc<dyn Tool>, role: Role) -> Arc<dyn Tool> {
        Arc::new(Guarded::new(self.clone(), tool, role))
    }

    /// All these tools, guarded, each in the role that this gives it.
    ///
    /// # Errors
    /// [`DuplicateTool`], which cannot happen for tools that stood in one box already.
    pub fn wrap_all(
        &self,
        tools: &Toolbox,
        role: impl Fn(&dyn Tool) -> Role,
    ) -> Result<Toolbox, DuplicateTool> {
        Toolbox::new(tools.iter().map(|tool| self.wrap(Arc::clone(tool), role(&**tool))))
    }

    /// How many runs it knows something of.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.0.runs.lock().len()
    }

    /// Forgets what it knows of a run: its actions, its pages, that it was stopped.
    pub fn reset(&self, run: &RunId) {
        if let Some(state) = self.0.runs.lock().get(run) {
            *state.lock() = RunState::new(&self.0.config);
        }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// What is known of the run that calls. It is forgotten when its life ends.
    pub(crate) fn state(&self, context: &ToolContext) -> Arc<Mutex<RunState>> {
        let run = context.run_id();
        let state = {
            let mut runs = self.0.runs.lock();
            if let Some(state) = runs.get(run) {
                return Arc::clone(state);
            }
            let state = Arc::new(Mutex::new(RunState::new(&self.0.config)));
            runs.insert(run.clone(), Arc::clone(&state));
            state
        };
        let (guard, run) = (Arc::downgrade(&self.0), run.clone());
        context.on_clean_up("guard", move || {
            if let Some(inner) = guard.upgrade() {
                inner.runs.lock().remove(&run);
            }
            std::future::ready(Ok(()))
        });
        state
    }

    pub(crate) fn tell(&self, signal: &Signal) {
        let (kind, level) = (&signal.kind, signal.level.as_str());
        tracing::info!(run = %signal.run_id, tool = %signal.tool, ?kind, level, "{}", signal.message);
        if let Some(listener) = &self.0.listener {
            listener.tell(signal);
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("config", &self.0.config).finish_non_exhaustive()
    }
}
