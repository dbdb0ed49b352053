//! A tool that does what it is told.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use parking_lot::Mutex;
use serde_json::Value;

/// Says what a call answers.
pub type Asked = dyn Fn(&ToolContext, &Value) -> Result<ToolOutput, ToolError> + Send + Sync;

/// What a call does.
#[derive(Clone)]
#[non_exhaustive]
pub enum Do {
    /// It answers with its arguments.
    Echo,
    /// It answers this.
    Answer(ToolOutput),
    /// It fails.
    Fail(ToolError),
    /// It panics.
    Panic,
    /// It never answers, and its future panics when it is dropped.
    PanicInDrop,
    /// It never answers.
    Hang,
    /// It answers with its arguments after a while.
    Slow(Duration),
    /// It answers what this says.
    Ask(Arc<Asked>),
}

impl fmt::Debug for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Echo => "Echo",
            Self::Answer(_) => "Answer",
            Self::Fail(_) => "Fail",
            Self::Panic => "Panic",
            Self::PanicInDrop => "PanicInDrop",
            Self::Hang => "Hang",
            Self::Slow(_) => "Slow",
            Self::Ask(_) => "Ask",
        })
    }
}

impl Do {
    /// It answers what this says.
    pub fn ask<F>(answer: F) -> Self
    where
        F: Fn(&ToolContext, &Value) -> Result<ToolOutput, ToolError> + Send + Sync + 'static,
    {
        Self::Ask(Arc::new(answer))
    }
}

/// Does the same on every call, and counts.
#[derive(Debug)]
pub struct ScriptedTool {
    spec: ToolSpec,
    act: Do,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: Vec<(String, Value)>,
    done: usize,
    alive: usize,
}

impl ScriptedTool {
    /// A tool with this name that may be called again at will.
    #[must_use]
    pub fn new(name: &str, act: Do) -> Self {
        let spec = ToolSpec::new(name, "Does what a test says.").effect(Effect::ReadOnly);
        Self { spec, act, counts: Mutex::default() }
    }

    /// With another spec made from this one.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(ToolSpec) -> ToolSpec) -> Self {
        self.spec = change(self.spec);
        self
    }

    /// The arguments of all calls, in the order in which they began.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        self.counts.lock().calls.iter().map(|(_, args)| args.clone()).collect()
    }

    /// The idempotency keys of all calls, in the order in which they began.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.counts.lock().calls.iter().map(|(key, _)| key.clone()).collect()
    }

    /// How many calls answered.
    #[must_use]
    pub fn done(&self) -> usize {
        self.counts.lock().done
    }

    /// How many futures of calls are alive.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.counts.lock().alive
    }

    /// As a run wants it.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}

#[async_trait]
impl Tool for ScriptedTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        {
            let mut counts = self.counts.lock();
            counts.calls.push((context.idempotency_key(), args.clone()));
            counts.alive += 1;
        }
        let mut alive = Alive { counts: &self.counts, mined: false };
        let answer = match &self.act {
            Do::Echo => Ok(ToolOutput::text(args.to_string())),
            Do::Answer(output) => Ok(output.clone()),
            Do::Fail(error) => Err(error.clone()),
            Do::Panic => panic!("the script says so"),
            Do::PanicInDrop => {
                alive.mined = true;
                std::future::pending().await
            }
            Do::Hang => std::future::pending().await,
            Do::Slow(delay) => {
                tokio::time::sleep(*delay).await;
                Ok(ToolOutput::text(args.to_string()))
            }
            Do::Ask(ask) => ask(context, args),
        };
        self.counts.lock().done += 1;
        answer
    }
}

struct Alive<'a> {
    counts: &'a Mutex<Counts>,
    mined: bool,
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.counts.lock().alive -= 1;
        if self.mined && !thread::panicking() {
            panic!("the script says so, in the drop");
        }
    }
}
