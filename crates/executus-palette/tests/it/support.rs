//! Agents and folders that tests use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::memory::MemoryAudit;
use executus_core::port::{EntryKind, PaletteError};
use executus_core::transcript::CallOutcome;
use executus_core::{
    Brief, Entry, Event, Executor, Model, Outcome, Reply, RunRequest, ToolError, Toolbox,
};
use executus_palette::{Agent, AgentCall, AgentEntry, LocalPalette};
use executus_testkit::scripted::{Say, ScriptedModel};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The skills that come with the crate.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/skills")
}

/// What a test agent was asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) input: Value,
    pub(crate) tier: Option<String>,
    pub(crate) prompt: String,
    pub(crate) tools: String,
    pub(crate) max_tokens: u64,
}

/// An agent whose runs are decided by a script.
pub(crate) struct Scripted {
    entry: AgentEntry,
    tools: Toolbox,
    script: Box<dyn Fn() -> Arc<dyn Model> + Send + Sync>,
    pub(crate) seen: Mutex<Vec<Seen>>,
}

impl Scripted {
    pub(crate) fn new<S: Into<Say> + Clone + Send + Sync + 'static>(
        entry: AgentEntry,
        lines: Vec<S>,
    ) -> Arc<Self> {
        Self::with_tools(entry, Toolbox::default(), lines)
    }

    pub(crate) fn with_tools<S: Into<Say> + Clone + Send + Sync + 'static>(
        entry: AgentEntry,
        tools: Toolbox,
        lines: Vec<S>,
    ) -> Arc<Self> {
        let script = move || ScriptedModel::new(lines.clone()).shared() as Arc<dyn Model>;
        Arc::new(Self { entry, tools, script: Box::new(script), seen: Mutex::default() })
    }
}

#[async_trait]
impl Agent for Scripted {
    fn entry(&self) -> &AgentEntry {
        &self.entry
    }

    async fn request(&self, call: &AgentCall<'_>) -> Result<RunRequest, PaletteError> {
        if call.input.get("bad").is_some() {
            return Err(PaletteError::Arguments { message: "`bad` is no input".into() });
        }
        let brief = call.brief(Brief::new("Do it."));
        let tools = call.toolbox(&self.tools);
        self.seen.lock().push(Seen {
            input: call.input.clone(),
            tier: call.tier.map(str::to_owned),
            prompt: brief.prompt.clone(),
            tools: tools.names(),
            max_tokens: call.limits.max_tokens,
        });
        let request = RunRequest::new((self.script)()).tools(tools).brief(brief);
        Ok(request.inputs(call.input.clone()))
    }
}

/// A run that was watched to its end.
pub(crate) struct Watched {
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) results: Vec<CallOutcome>,
    pub(crate) progress: Vec<String>,
    pub(crate) audit: MemoryAudit,
}

impl Watched {
    /// The text that the first call answered.
    pub(crate) fn text(&self) -> &str {
        match &self.results[0] {
            CallOutcome::Output(output) => &output.text,
            other => panic!("{other:?}"),
        }
    }

    /// The error that the first call ended with.
    pub(crate) fn error(&self) -> &ToolError {
        match &self.results[0] {
            CallOutcome::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// Runs a model that makes these calls in one step, and ends.
pub(crate) async fn calling(
    palette: &LocalPalette,
    names: &[(EntryKind, &str)],
    calls: &[(&str, Value)],
) -> Watched {
    let reply = calls
        .iter()
        .fold(Reply::default(), |reply, (name, args)| reply.and_call(*name, args.clone()));
    let model = ScriptedModel::new([reply, Reply::text("done")]).shared();
    let request = RunRequest::new(Arc::clone(&model) as Arc<dyn Model>);
    watch(palette, names, request.caller("someone").channel("mail"), &model).await
}

pub(crate) async fn watch(
    palette: &LocalPalette,
    names: &[(EntryKind, &str)],
    mut request: RunRequest,
    model: &ScriptedModel,
) -> Watched {
    for (kind, name) in names {
        request = request.delegate_to(*kind, *name);
    }
    let audit = MemoryAudit::default();
    let executor =
        Executor::builder().palette(Arc::new(palette.clone())).audit(Arc::new(audit.clone()));
    let mut events = request.watch(1024);
    let run = executor.build().start(request).unwrap();
    let outcome = run.settled().await.outcome;
    let mut progress = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::ToolProgress { text, .. } = event {
            progress.push(text);
        }
    }
    let seen = model.seen();
    let entries = seen.last().into_iter().flat_map(|seen| seen.entries());
    let results = entries.filter_map(|entry| match entry {
        Entry::Result(acted) => Some(acted.outcome.clone()),
        Entry::Reply(_) | Entry::Steer(_) => None,
    });
    let results = results.collect();
    Watched { outcome, results, progress, audit }
}

/// A skill's folder with this `SKILL.md`.
pub(crate) fn folder(root: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let folder = root.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("SKILL.md"), text).unwrap();
    folder
}

/// A good `SKILL.md`.
pub(crate) fn good(name: &str) -> String {
    format!("---\nname: {name}\ndescription: Does things.\n---\nDo it.\n")
}

/// An object's schema with one text that must be given.
pub(crate) fn needing(name: &str) -> Value {
    json!({"type": "object", "properties": {name: {"type": "string"}}, "required": [name]})
}
