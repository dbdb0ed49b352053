//! A palette of scripted skills and agents.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::{Delegation, EntryKind, Palette, PaletteEntry, PaletteError, RunStart};
use executus_core::{
    Effect, Event, Model, ModelError, Reply, RunRequest, RunSpec, RunStatus, ToolOutput, Toolbox,
    Turn,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// What stands behind an entry.
#[derive(Clone)]
pub enum Behind {
    /// This text.
    Text(String),
    /// A run of this model with these tools.
    Run(Arc<dyn Model>, Toolbox),
    /// It panics.
    Panic,
    /// It never answers.
    Hang,
}

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Run(_, tools) => f.debug_tuple("Run").field(tools).finish(),
            Self::Panic => f.write_str("Panic"),
            Self::Hang => f.write_str("Hang"),
        }
    }
}

/// Knows the entries that a test gave it; agents run as children of the run that delegates.
///
/// An agent offers `model_tier`, `prompt_prefix` and `tools` beside its input; what it was given is
/// in [`delegated`](Self::delegated), and in the labels of the child run.
#[derive(Debug, Default)]
pub struct ScriptedPalette {
    entries: Vec<(EntryKind, Arc<str>, Behind)>,
    delegated: Mutex<Vec<Value>>,
    children: Arc<Mutex<Vec<RunSpec>>>,
}

impl ScriptedPalette {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With an entry.
    #[must_use]
    pub fn with(mut self, kind: EntryKind, name: &str, behind: Behind) -> Self {
        self.entries.push((kind, name.into(), behind));
        self
    }

    /// The arguments of all delegated calls, in order.
    #[must_use]
    pub fn delegated(&self) -> Vec<Value> {
        self.delegated.lock().clone()
    }

    /// What the child runs that were begun were asked to be, in order.
    #[must_use]
    pub fn children(&self) -> Vec<RunSpec> {
        self.children.lock().clone()
    }

    fn find(&self, kind: EntryKind, name: &str) -> Result<&Behind, PaletteError> {
        let entry = self.entries.iter().find(|(k, n, _)| *k == kind && **n == *name);
        let entry = entry.map(|(_, _, behind)| behind);
        entry.ok_or_else(|| PaletteError::Unknown { kind, name: name.to_owned() })
    }

    /// Runs an agent as a child and passes on what it says as progress.
    async fn run(
        &self,
        delegation: &Delegation<'_>,
        model: &Arc<dyn Model>,
        tools: &Toolbox,
    ) -> Result<ToolOutput, PaletteError> {
        let failed = |message: String| PaletteError::Failed { message };
        let args = delegation.args;
        let allowed = args.get("tools").and_then(Value::as_array);
        let tools = tools.iter().filter(|tool| {
            let name = Value::from(&*tool.spec().name);
            allowed.is_none_or(|allowed| allowed.contains(&name))
        });
        let tools = Toolbox::new(tools.cloned()).map_err(|error| failed(error.to_string()))?;
        let children = Arc::clone(&self.children);
        let model = Arc::new(Remembering { model: Arc::clone(model), children });
        let mut request = RunRequest::new(model)
            .subject(delegation.name)
            .name(delegation.name)
            .tools(tools)
            .inputs(args.get("input").cloned().unwrap_or_default())
            .labels(json!({
                "model_tier": args.get("model_tier"),
                "prompt_prefix": args.get("prompt_prefix"),
            }));
        let mut events = request.watch(64);
        let child = delegation.context.delegate(request);
        let child = child.map_err(|error| failed(error.to_string()))?;
        while let Some(event) = events.next().await {
            match event {
                Event::Decided { text, .. } => delegation.context.progress(&text),
                Event::Finished { .. } => break,
                _ => {}
            }
        }
        let outcome = child.outcome().await;
        match (&outcome.status, &outcome.error) {
            (RunStatus::Ok, _) => Ok(ToolOutput::text(outcome.output.clone().unwrap_or_default())),
            (_, Some(error)) => Err(failed(error.to_string())),
            (status, None) => Err(failed(format!("the agent ended {status}"))),
        }
    }
}

#[async_trait]
impl Palette for ScriptedPalette {
    async fn resolve(
        &self,
        _start: &RunStart,
        names: &[(EntryKind, Arc<str>)],
    ) -> Result<Vec<PaletteEntry>, PaletteError> {
        let entries = names.iter().map(|(kind, name)| {
            self.find(*kind, name)?;
            Ok(PaletteEntry {
                kind: *kind,
                name: Arc::clone(name),
                description: "Does what a test says.".into(),
                parameters: Arc::new(json!({"type": "object", "properties": {
                    "input": {},
                    "model_tier": {"type": "string"},
                    "prompt_prefix": {"type": "string"},
                    "tools": {"type": "array", "items": {"type": "string"}},
                }})),
                effect: Effect::ReadOnly,
            })
        });
        entries.collect()
    }

    async fn invoke(&self, delegation: Delegation<'_>) -> Result<ToolOutput, PaletteError> {
        self.delegated.lock().push(delegation.args.clone());
        match self.find(delegation.kind, delegation.name)? {
            Behind::Text(text) => Ok(ToolOutput::text(text)),
            Behind::Run(model, tools) => self.run(&delegation, model, tools).await,
            Behind::Panic => panic!("the script says so"),
            Behind::Hang => std::future::pending().await,
        }
    }
}

/// A model that remembers what the run it decides for was asked to be.
struct Remembering {
    model: Arc<dyn Model>,
    children: Arc<Mutex<Vec<RunSpec>>>,
}

#[async_trait]
impl Model for Remembering {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        if turn.step() == 1 {
            self.children.lock().push(turn.spec().clone());
        }
        self.model.decide(turn).await
    }
}
