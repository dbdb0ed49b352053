//! A model and a server, and runs of the one against the other.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::MemoryAudit;
use executus_core::record::Attempt;
use executus_core::secret::Secret;
use executus_core::{
    Brief, Effect, Executor, Fact, Limits, Model, Outcome, Reply, RunHandle, RunRequest, Tool,
    Toolbox,
};
use executus_models::{ChatModel, ChatModelBuilder, ModelName, Provider, Timeouts};
use executus_testkit::provider::{Answer, Dialect, ProviderServer};
use executus_testkit::scripted::{Do, ScriptedTool};

/// A key that must be in nothing that a run leaves.
pub(crate) const KEY: &str = "sk-canary-5d41402abc4b2a76b9719d911017c592";

/// Every dialect, streamed and whole.
pub(crate) const WAYS: [(Dialect, bool); 8] = [
    (Dialect::OpenAi, true),
    (Dialect::OpenAi, false),
    (Dialect::Anthropic, true),
    (Dialect::Anthropic, false),
    (Dialect::Gemini, true),
    (Dialect::Gemini, false),
    (Dialect::Ollama, true),
    (Dialect::Ollama, false),
];

/// Does this in every dialect, streamed and whole, all at once: most of it is waiting.
pub(crate) async fn in_every_way<F: Future<Output = ()> + Send + 'static>(
    act: impl Fn(Dialect, bool) -> F,
) {
    let mut ways = tokio::task::JoinSet::new();
    for (dialect, stream) in WAYS {
        ways.spawn(act(dialect, stream));
    }
    ways.join_all().await;
}

pub(crate) const fn provider(dialect: Dialect) -> Provider {
    match dialect {
        Dialect::OpenAi => Provider::OpenAi,
        Dialect::Anthropic => Provider::Anthropic,
        Dialect::Gemini => Provider::Gemini,
        Dialect::Ollama => Provider::Ollama,
    }
}

/// Limits in time that a test can wait for, far from what a loaded machine needs.
pub(crate) fn short() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(5),
        first_token: Duration::from_millis(700),
        idle: Duration::from_millis(700),
        whole: Duration::from_millis(700),
    }
}

/// A server with a script, and a model that asks it.
pub(crate) struct Scene {
    pub(crate) server: ProviderServer,
    pub(crate) dialect: Dialect,
    pub(crate) audit: Arc<MemoryAudit>,
    executor: Executor,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) facts: Vec<Fact>,
}

impl Scene {
    pub(crate) fn new(dialect: Dialect, script: impl IntoIterator<Item = Answer>) -> Self {
        let audit = Arc::new(MemoryAudit::default());
        let executor = Executor::builder().audit(audit.clone()).build();
        Self { server: ProviderServer::start(dialect, script), dialect, audit, executor }
    }

    /// The model that asks the server, to be set up further. It comes back soon.
    pub(crate) fn builder(&self, stream: bool) -> ChatModelBuilder {
        ChatModel::builder(ModelName::new(provider(self.dialect), "test-model"))
            .base_url(&self.server.base_url())
            .key(Secret::new(KEY))
            .stream(stream)
            .waits(Duration::from_millis(10), Duration::from_secs(10))
    }

    pub(crate) fn model(&self, stream: bool) -> Arc<ChatModel> {
        Arc::new(self.builder(stream).build().unwrap())
    }

    /// Runs to the end.
    pub(crate) async fn run(&self, request: RunRequest) -> Ended {
        let run = self.start(request);
        self.end(&run).await
    }

    pub(crate) fn start(&self, request: RunRequest) -> RunHandle {
        self.executor.start(request).unwrap()
    }

    pub(crate) async fn end(&self, run: &RunHandle) -> Ended {
        let settled = run.settled().await;
        assert!(settled.failures.is_empty(), "{:?}", settled.failures);
        let records = self.audit.records(run.run_id());
        let facts: Vec<_> = records.into_iter().map(|record| record.fact).collect();
        let said = format!("{facts:?} {:?}", settled.outcome);
        assert!(!said.contains(KEY), "the key is in the record: {said}");
        Ended { outcome: settled.outcome, facts }
    }

    /// Checks that the server found nothing wrong with what it was asked.
    pub(crate) fn no_complaints(&self) {
        assert_eq!(self.server.refusals(), Vec::<String>::new(), "{:?}", self.dialect);
    }
}

/// A run of this model that has a task and the tools `add` and `look`.
pub(crate) fn request(model: Arc<dyn Model>) -> RunRequest {
    RunRequest::new(model)
        .brief(Brief::new("Add things up.").system("You add."))
        .tools(tools())
        .limits(limits(20))
}

/// Limits with so many seconds.
pub(crate) fn limits(seconds: u64) -> Limits {
    Limits { hard_timeout: Duration::from_secs(seconds), ..Limits::default() }
}

pub(crate) fn tools() -> Toolbox {
    let parameters = serde_json::json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    });
    let add = Do::ask(|_, args| {
        let number = |name: &str| args[name].as_i64().unwrap_or_default();
        Ok((number("a") + number("b")).to_string().into())
    });
    let add = ScriptedTool::new("add", add)
        .with(|spec| spec.parameters(parameters).effect(Effect::ReadOnly));
    let look = ScriptedTool::new("look", Do::Answer("nothing to see: \u{e4}\u{f6}\u{fc}".into()));
    Toolbox::new([Arc::new(add) as Arc<dyn Tool>, Arc::new(look)]).unwrap()
}

impl Ended {
    pub(crate) fn replies(&self) -> Vec<Arc<Reply>> {
        let replies = self.facts.iter().filter_map(|fact| match fact {
            Fact::Decided(decided) => Some(Arc::clone(&decided.reply)),
            _ => None,
        });
        replies.collect()
    }

    pub(crate) fn attempts(&self) -> Vec<Arc<Attempt>> {
        let attempts = self.facts.iter().filter_map(|fact| match fact {
            Fact::Attempted(attempt) => Some(Arc::clone(attempt)),
            _ => None,
        });
        attempts.collect()
    }

    pub(crate) fn output(&self) -> &str {
        self.outcome.output.as_deref().unwrap_or_default()
    }

    /// The kind and the message of its error.
    pub(crate) fn error(&self) -> (executus_core::ErrorKind, &str) {
        let error = self.outcome.error.as_ref().expect("an error");
        (error.kind, &error.message)
    }
}
