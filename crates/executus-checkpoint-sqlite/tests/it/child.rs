//! What runs in a process of its own, to be killed: this test binary, asked for one ignored test.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use executus_checkpoint_sqlite::{Config, SqliteCheckpointer};
use executus_core::executor::{LeftState, Resumed};
use executus_core::{
    Effect, Entry, Executor, Model, ModelError, Reply, RunId, RunRequest, Tool, ToolContext,
    ToolError, ToolOutput, ToolSpec, Toolbox, Turn,
};
use serde_json::{Value, json};

/// Where the child works, and what it does there.
pub(crate) const FOLDER: &str = "EXECUTUS_TEST_FOLDER";
pub(crate) const POISON: &str = "EXECUTUS_TEST_POISON";

pub(crate) const RUN: &str = "one-that-is-killed";
pub(crate) const STEPS: u32 = 12;
pub(crate) const OUTPUT: &str = "all 12 calls are answered";

/// The tool of a step.
pub(crate) const fn tool_of(step: u32) -> &'static str {
    match step % 3 {
        0 => "once",
        1 => "again",
        _ => "look",
    }
}

/// Tells the parent that something happens.
fn tell(what: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "at {what}").unwrap();
    out.flush().unwrap();
}

/// One call in each step, the last one says how many were answered.
struct Steps;

#[async_trait]
impl Model for Steps {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        tell("the model");
        match turn.step() {
            step @ 1..=STEPS => Ok(Reply::call(tool_of(step), json!({"n": step}))),
            _ => {
                let entries = turn.transcript().entries().iter();
                let results = entries.filter(|entry| matches!(entry, Entry::Result(_))).count();
                Ok(Reply::text(format!("all {results} calls are answered")))
            }
        }
    }
}

/// Writes a line for each call.
struct Ledger {
    spec: ToolSpec,
    path: PathBuf,
    is_poison: bool,
}

#[async_trait]
impl Tool for Ledger {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, _: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        tell("a call");
        let mut ledger = File::options().append(true).create(true).open(&self.path).unwrap();
        ledger.write_all(format!("{}\n", args["n"]).as_bytes()).unwrap();
        if self.is_poison {
            std::process::abort();
        }
        tell("its answer");
        Ok(ToolOutput::text(args.to_string()))
    }
}

fn request(folder: &Path) -> RunRequest {
    let is_poison = std::env::var_os(POISON).is_some();
    let tools = [("once", Effect::Once), ("again", Effect::Idempotent), ("look", Effect::ReadOnly)];
    let tools = tools.map(|(name, effect)| {
        let spec = ToolSpec::new(name, "writes a line").effect(effect);
        Arc::new(Ledger { spec, path: folder.join("ledger"), is_poison }) as Arc<dyn Tool>
    });
    RunRequest::new(Arc::new(Steps))
        .run_id(RunId::new(RUN).unwrap())
        .tools(Toolbox::new(tools).unwrap())
}

/// Starts the run, or goes on with it, to its end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is run by others, in a process that they kill"]
async fn lives() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let store = SqliteCheckpointer::open(Config::new(folder.join("checkpoints.db"))).unwrap();
    let mut executor = Executor::builder().checkpointer(Arc::new(store.clone()));
    if std::env::var_os(POISON).is_none() {
        executor = executor.attempt_limit(0);
    }
    let executor = executor.build();
    tell("the boot");
    let left = executor.recover().await.unwrap();
    let run = RunId::new(RUN).unwrap();
    let handle = match left.first().map(|left| &left.state) {
        Some(LeftState::Parked { .. }) => return fs::write(folder.join("parked"), "").unwrap(),
        Some(LeftState::Interrupted { died }) => {
            assert!(died);
            let make = |_: &Resumed| request(&folder);
            executor.resume(&run, make).await.unwrap()
        }
        Some(other) => panic!("{other:?}"),
        None if store.ended(&run).await.unwrap().is_some() => return,
        None => executor.start(request(&folder)).unwrap(),
    };
    let outcome = handle.outcome().await;
    let text = format!("{} {}", outcome.status, outcome.output.clone().unwrap_or_default());
    // The same each time, however often it is written.
    fs::write(folder.join("output.new"), text).unwrap();
    fs::rename(folder.join("output.new"), folder.join("output")).unwrap();
    handle.settled().await;
    store.close().await;
}
