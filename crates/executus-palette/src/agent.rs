//! Agents: what a host can turn into a run.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::{EntryKind, PaletteError};
use executus_core::{Brief, Effect, Limits, RunRequest, ToolContext, Toolbox};
use serde_json::{Value, json};

mod args;
mod bounds;
mod relay;

pub(crate) use args::Args;
pub(crate) use bounds::inside;
pub(crate) use relay::follow;

/// What the palette knows of an agent.
#[derive(Debug, Clone)]
pub struct AgentEntry {
    /// Its name, without prefix: the subject of its runs.
    pub name: Arc<str>,
    /// What it does, for the model.
    pub description: Arc<str>,
    /// The JSON schema of its inputs, an object.
    pub input: Arc<Value>,
    /// What running it twice would do.
    pub effect: Effect,
    /// The limits of its runs. What is left of the limits of the run that calls counts when it is
    /// less.
    pub limits: Limits,
    /// The model tiers that a caller may choose from; none: it may not choose.
    pub tiers: Vec<Arc<str>>,
    /// Its tools, of which a caller may choose some; none: it may not choose.
    pub tools: Vec<Arc<str>>,
    /// Whether a caller may put a text before its task.
    pub prompt_prefix: bool,
    /// The skills and agents that it may use itself, each once.
    pub delegates: Vec<(EntryKind, Arc<str>)>,
}

impl AgentEntry {
    /// An agent without inputs, with default limits, performed once, without choices.
    pub fn new(name: impl Into<Arc<str>>, description: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            input: Arc::new(json!({"type": "object", "properties": {}})),
            effect: Effect::Once,
            limits: Limits::default(),
            tiers: Vec::new(),
            tools: Vec::new(),
            prompt_prefix: false,
            delegates: Vec::new(),
        }
    }

    /// With these inputs, as a JSON schema of an object.
    #[must_use]
    pub fn input(mut self, schema: Value) -> Self {
        self.input = Arc::new(schema);
        self
    }

    /// With this effect.
    #[must_use]
    pub const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Within these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// With these model tiers to choose from.
    #[must_use]
    pub fn tiers<T: Into<Arc<str>>>(mut self, tiers: impl IntoIterator<Item = T>) -> Self {
        self.tiers = tiers.into_iter().map(Into::into).collect();
        self
    }

    /// With these tools to choose some of.
    #[must_use]
    pub fn tools<T: Into<Arc<str>>>(mut self, tools: impl IntoIterator<Item = T>) -> Self {
        self.tools = tools.into_iter().map(Into::into).collect();
        self
    }

    /// Taking a text to be put before its task.
    #[must_use]
    pub const fn prompt_prefix(mut self) -> Self {
        self.prompt_prefix = true;
        self
    }

    /// Using this skill or agent itself.
    #[must_use]
    pub fn delegate_to(mut self, kind: EntryKind, name: impl Into<Arc<str>>) -> Self {
        let delegate = (kind, name.into());
        if !self.delegates.contains(&delegate) {
            self.delegates.push(delegate);
        }
        self
    }

    /// The tools that a caller may choose from: its own, and those of what it delegates to.
    pub(crate) fn choices(&self) -> Vec<String> {
        if self.tools.is_empty() {
            return Vec::new();
        }
        let own = self.tools.iter().map(ToString::to_string);
        let delegates =
            self.delegates.iter().map(|(kind, name)| format!("{}{name}", kind.prefix()));
        own.chain(delegates).collect()
    }
}

/// One delegation, checked against the entry: what a run is to be made for.
#[derive(Debug)]
#[non_exhaustive]
pub struct AgentCall<'a> {
    /// The inputs, an object. Their values are not checked against the schema.
    pub input: &'a Value,
    /// The model tier that was chosen.
    pub tier: Option<&'a str>,
    /// What is to be put before the task.
    pub prompt_prefix: Option<&'a str>,
    /// The tools that were chosen; `None` for all.
    pub tools: Option<&'a [String]>,
    /// The limits that the run will have.
    pub limits: &'a Limits,
    /// The call that delegates.
    pub context: &'a ToolContext,
}

impl AgentCall<'_> {
    /// Those of the tools that were chosen.
    #[must_use]
    pub fn toolbox(&self, tools: &Toolbox) -> Toolbox {
        let Some(chosen) = self.tools else { return tools.clone() };
        let is_chosen = |name: &str| chosen.iter().any(|chosen| chosen == name);
        let kept = tools.iter().filter(|tool| is_chosen(&tool.spec().name)).cloned();
        // Of tools that have different names, some have too.
        Toolbox::new(kept).unwrap_or_default()
    }

    /// The brief with the prefix before its task.
    #[must_use]
    pub fn brief(&self, brief: Brief) -> Brief {
        match self.prompt_prefix {
            Some(prefix) => Brief { prompt: format!("{prefix}\n\n{}", brief.prompt), ..brief },
            None => brief,
        }
    }
}

/// Something that can be run: a run file, a service, code of a host.
///
/// **Called** by the palette, for each delegation, from many runs at once. **Cancellation**: a dropped
/// `request` must leave nothing behind; what a run needs is undone by its
/// [`on_clean_up`](RunRequest::on_clean_up). **Panics** are the delegating call's error.
#[async_trait]
pub trait Agent: Send + Sync {
    /// What it is. The same on every call.
    fn entry(&self) -> &AgentEntry;

    /// The run for this call. The palette gives it an id, its name as the subject, its limits, and
    /// what it may delegate to; whatever the request says of these is replaced. Its caller and
    /// channel are those of the run that calls.
    ///
    /// # Errors
    /// An error is the delegating call's; inputs that do not fit are
    /// [`PaletteError::Arguments`].
    async fn request(&self, call: &AgentCall<'_>) -> Result<RunRequest, PaletteError>;
}
