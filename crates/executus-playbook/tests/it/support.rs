//! A good run file, and tools that do what a test says.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::memory::MemoryCheckpointer;
use executus_core::{
    Entry, Executor, Limits, Model, ModelError, Outcome, Ports, Reply, RunId, RunRequest,
    RunStatus, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Toolbox, Transcript, Turn,
    Usage,
};
use executus_playbook::{Playbook, RunFile};
use serde_json::Value;
use tokio::time::Instant;

/// A file that uses most of what there is. Each of its lines is one of a kind.
pub(crate) const GOOD: &str = r#"kind = "playbook"
name = "report"

[params]
repo = { type = "string", default = "." }
count = { type = "integer", default = 5, min = 1, max = 50 }
token = { type = "string", sensitive = true, default = "s3cr3t-value" }

[limits]
hard_timeout = "2m"

[[tool]] # log
name = "log"
kind = "process" # log
description = "The newest commits"
argv = ["git", "-C", "{repo}", "log", "-n", "{n}"]
effect = "read_only" # log
timeout = "10s"
[tool.params]
n = { type = "integer", default = 10 }

[[tool]] # count
name = "count"
kind = "process" # count
argv = ["wc", "-l", "{text}"]
[tool.params]
text = { type = "string" }

[[step]] # history
id = "history"
description = "Read the history of {repo}"
tool = "log"
args = { n = 20 }
store_as = "history"
verify = { contains = " " }
on_failure = "abort"
failure_message = "No history in {repo}"

[[step]] # total
id = "total"
tool = "count"
args = { text = "{history}" }
store_as = "total"
on_failure = "retry"

[output]
template = "{history}: {total}"
"#;

/// A file that asks its model for all that it can.
pub(crate) const ASKING: &str = r#"kind = "playbook"
name = "invoice"
model = "a:b"

[params]
page = { type = "string", default = "p1" }
token = { type = "string", sensitive = true, default = "s3cr3t-value" }

[recovery]
max_steps = 3

[[tool]] # fetch
name = "fetch"
kind = "process" # fetch
argv = ["curl", "{url}"]
effect = "read_only"
[tool.params] # fetch
url = { type = "string" }

[[tool]] # pay
name = "pay"
kind = "process" # pay
argv = ["pay", "{sum}", "{key}"]
[tool.params] # pay
sum = { type = "string" }
key = { type = "string" }

[[step]] # page
id = "page"
description = "Fetch {page} with {token}"
tool = "fetch"
args = { url = "{page}?{token}" }
store_as = "text"

[[step]] # read
id = "read"
description = "Read the invoice {page}"
extract = "Invoice: {text}, {token}"
store_as = "invoice"
verify = { contains = "total" }
[step.fields]
total = { type = "number", min = 0, description = "the sum" }
currency = { type = "string", default = "EUR" }

[[step]] # paid
id = "paid"
tool = "pay"
args = { sum = "{invoice}", key = "{token}" }
verify = { matches = "ok" }
store_as = "receipt"

[output]
template = "{invoice} paid: {receipt}"
[output.fields]
receipt = { type = "string", description = "its number" }
"#;

pub(crate) fn load(text: &str) -> Arc<RunFile> {
    Arc::new(RunFile::parse("test.toml", text).unwrap_or_else(|error| panic!("{error}")))
}

/// A call as its tool saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) tool: String,
    pub(crate) args: Value,
    pub(crate) at: Instant,
}

type Answers = Mutex<VecDeque<Result<String, ToolError>>>;

/// A tool that gives its answers one after the other; after the last it echoes its arguments.
pub(crate) struct Answering {
    spec: ToolSpec,
    answers: Answers,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[async_trait]
impl Tool for Answering {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let seen =
            Seen { tool: self.spec.name.to_string(), args: args.clone(), at: Instant::now() };
        self.seen.lock().push(seen);
        let answer = self.answers.lock().pop_front();
        match answer {
            Some(Ok(text)) if text == "hang" => std::future::pending().await,
            Some(Ok(message)) if message == "lost" => Err(ToolError::Unknown { message }),
            Some(answer) => answer.map(ToolOutput::text),
            None => Ok(ToolOutput::text(args.to_string())),
        }
    }
}

/// Makes a file's tools real, without any process.
pub(crate) struct Bench {
    pub(crate) file: Arc<RunFile>,
    pub(crate) tools: Toolbox,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) transcript: Transcript,
    pub(crate) seen: Vec<Seen>,
    pub(crate) inputs: Value,
}

impl Bench {
    pub(crate) fn new(text: &str, answers: &[(&str, &[Result<&str, &str>])]) -> Self {
        let file = load(text);
        let seen = Arc::new(Mutex::default());
        let tools = file.tools.iter().map(|tool| {
            let of = answers.iter().find(|(name, _)| *name == &*tool.name);
            let queue = of.map(|(_, answers)| *answers).unwrap_or_default().iter();
            let queue = queue.map(|answer| answer.map(str::to_owned).map_err(ToolError::failed));
            let answers = Mutex::new(queue.collect());
            let tool: Arc<dyn Tool> =
                Arc::new(Answering { spec: tool.spec(), answers, seen: Arc::clone(&seen) });
            tool
        });
        let tools = Toolbox::new(tools).unwrap();
        Self { file, tools, seen }
    }

    pub(crate) fn request(&self, playbook: Playbook) -> (RunRequest, Arc<Observed>, Value) {
        let bound = self.file.bind(&[], &|_| None).unwrap();
        let limits = Limits {
            max_steps: playbook.max_replies(),
            ..self.file.limits.over(Limits::default())
        };
        let model = Arc::new(Observed { playbook, last: Mutex::default() });
        let request = RunRequest::new(Arc::clone(&model) as Arc<dyn Model>)
            .tools(self.tools.and(model.playbook.tools()).unwrap())
            .inputs(bound.inputs.clone())
            .secrets(bound.secrets)
            .limits(limits);
        (request, model, bound.inputs)
    }

    pub(crate) async fn run(&self, playbook: Playbook) -> Ran {
        let (request, model, inputs) = self.request(playbook);
        let handle = Executor::new(Ports::default()).start(request).unwrap();
        let outcome = handle.settled().await.outcome;
        let transcript = model.last.lock().clone();
        Ran { outcome, transcript, seen: self.seen(), inputs }
    }

    pub(crate) fn playbook(&self) -> Playbook {
        Playbook::new(Arc::clone(&self.file)).unwrap()
    }

    pub(crate) fn asking(&self, llm: &Arc<Llm>) -> Playbook {
        let llm = Arc::clone(llm) as Arc<dyn Model>;
        Playbook::with_model(Arc::clone(&self.file), llm).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }
}

/// What a language model was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) system: String,
    pub(crate) prompt: String,
    pub(crate) transcript: Transcript,
    pub(crate) tools: Vec<ToolSpec>,
}

impl Asked {
    /// How often it replied to the same question before.
    pub(crate) fn replies(&self) -> usize {
        let entries = self.transcript.entries().iter();
        entries.filter(|entry| matches!(entry, Entry::Reply(_))).count()
    }

    pub(crate) fn tool_names(&self) -> Vec<&str> {
        self.tools.iter().map(|tool| &*tool.name).collect()
    }

    /// Whether it is to read a text into fields.
    pub(crate) fn reads(&self) -> bool {
        self.tool_names() == ["submit_fields"]
    }
}

type Says = dyn Fn(&Asked) -> Result<Reply, ModelError> + Send + Sync;

/// A language model that says what a test says, and keeps what it was asked.
pub(crate) struct Llm {
    says: Box<Says>,
    asked: Mutex<Vec<Asked>>,
}

impl Llm {
    /// One that answers what this says.
    pub(crate) fn new<F>(says: F) -> Arc<Self>
    where
        F: Fn(&Asked) -> Result<Reply, ModelError> + Send + Sync + 'static,
    {
        Arc::new(Self { says: Box::new(says), asked: Mutex::default() })
    }

    /// One that gives these replies, one after the other.
    pub(crate) fn replying(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let replies: Mutex<VecDeque<_>> = Mutex::new(replies.into_iter().collect());
        Self::new(move |_| replies.lock().pop_front().ok_or_else(|| away("no more lines")))
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

#[async_trait]
impl Model for Llm {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let brief = turn.brief().cloned().unwrap_or_default();
        let asked = Asked {
            system: brief.system.unwrap_or_default(),
            prompt: brief.prompt,
            transcript: turn.transcript().clone(),
            tools: turn.tools().iter().map(|tool| tool.spec().clone()).collect(),
        };
        self.asked.lock().push(asked.clone());
        (self.says)(&asked)
    }
}

pub(crate) fn away(message: &str) -> ModelError {
    ModelError::Unavailable { message: message.into() }
}

/// So many tokens in and out.
pub(crate) fn tokens(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

/// The reply of a model that read these fields.
pub(crate) fn submit(fields: Value) -> Reply {
    Reply::call("submit_fields", fields).using(tokens(11, 7))
}

/// Interrupts a run of this playbook in its tool call of this number; an executor that has what
/// was kept of it.
pub(crate) async fn interrupted(
    bench: &Bench,
    playbook: Playbook,
    call: usize,
) -> (Executor, RunId) {
    let kept = Arc::new(MemoryCheckpointer::default());
    let ports = || Ports { checkpointer: Some(kept.clone()), ..Ports::default() };
    let executor = Executor::new(ports());
    let run = RunId::new("interrupted").unwrap();
    let request = bench.request(playbook).0.run_id(run.clone());
    let handle = executor.start(request).unwrap();
    while bench.seen().len() < call {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let report = executor.shutdown(Duration::from_secs(5)).await;
    assert!(report.unsettled.is_empty());
    assert_eq!(handle.outcome().await.status, RunStatus::Interrupted);
    (Executor::new(ports()), run)
}

impl Ran {
    pub(crate) fn error(&self) -> &str {
        self.outcome.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default()
    }

    /// How long lay between two calls.
    pub(crate) fn gap(&self, first: usize) -> Duration {
        self.seen[first + 1].at - self.seen[first].at
    }
}

/// A playbook that remembers the transcript, with its own last reply.
pub(crate) struct Observed {
    playbook: Playbook,
    pub(crate) last: Mutex<Transcript>,
}

#[async_trait]
impl Model for Observed {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        *self.last.lock() = turn.transcript().clone();
        let reply = self.playbook.decide(turn).await?;
        self.last.lock().push(Entry::Reply(Arc::new(reply.clone())));
        Ok(reply)
    }
}
