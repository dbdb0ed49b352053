//! Work that is measured from outside, in a process of its own: `bench --child WHAT COUNT [TURNS]`.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::executor::Standalone;
use executus_core::tool::{Effect, ToolContext, ToolError};
use executus_core::{
    Executor, Limits, Model, ModelError, Reply, RunRequest, Tool, ToolOutput, ToolSpec, Toolbox,
    Turn,
};
use serde_json::{Value, json};

use super::bare;

/// The reply of a step, counted from 1, of a run of so many turns.
pub(crate) fn reply(step: usize, turns: usize) -> Reply {
    if step < turns { Reply::call("noop", Value::Null) } else { Reply::text("done") }
}

/// Asks for a call in each turn but the last.
pub(crate) struct Turns(pub(crate) usize);

#[async_trait]
impl Model for Turns {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        Ok(reply(turn.step() as usize, self.0))
    }
}

/// Never answers.
struct Parked;

#[async_trait]
impl Model for Parked {
    async fn decide(&self, _turn: &Turn) -> Result<Reply, ModelError> {
        std::future::pending().await
    }
}

/// Answers with a short text.
pub(crate) struct Noop(ToolSpec);

impl Noop {
    pub(crate) fn new() -> Self {
        Self(ToolSpec::new("noop", "Does nothing").effect(Effect::ReadOnly))
    }
}

#[async_trait]
impl Tool for Noop {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, _context: &ToolContext, _args: &Value) -> Result<ToolOutput, ToolError> {
        Ok(ToolOutput::text("done"))
    }
}

/// What the measured runs share.
pub(crate) struct Bench {
    pub(crate) executor: Executor,
    model: Arc<dyn Model>,
    tools: Toolbox,
    limits: Limits,
    around: Arc<Standalone>,
}

impl Bench {
    pub(crate) fn new(executor: Executor, turns: usize) -> Self {
        let tools: [Arc<dyn Tool>; 1] = [Arc::new(Noop::new())];
        let model: Arc<dyn Model> = Arc::new(Turns(turns));
        Self {
            executor,
            around: Arc::new(Standalone::new(&RunRequest::new(Arc::clone(&model)))),
            model,
            tools: Toolbox::new(tools).unwrap_or_default(),
            limits: Limits { max_steps: 10_000, ..Limits::default() },
        }
    }

    pub(crate) fn request(&self) -> RunRequest {
        RunRequest::new(Arc::clone(&self.model))
            .tools(self.tools.clone())
            .limits(self.limits.clone())
    }

    /// One run under control, to its very end.
    pub(crate) async fn controlled(&self) -> bool {
        let Ok(handle) = self.executor.start(self.request()) else { return false };
        handle.settled().await.outcome.output.is_some()
    }

    /// The same in a bare task.
    pub(crate) async fn bare(&self) -> bool {
        let run = bare::run(Arc::clone(&self.around), Arc::clone(&self.model), self.tools.clone());
        #[expect(clippy::disallowed_methods, reason = "the yardstick is a bare task")]
        let task = tokio::spawn(run);
        task.await.is_ok_and(|output| output.is_some())
    }
}

/// A runtime of one thread: what is counted does not depend on a scheduler.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            super::figure::complain(&format!("no runtime: {error}"));
            #[expect(clippy::exit, reason = "a child process without a runtime has no work")]
            std::process::exit(2)
        }
    }
}

/// Performs one kind of work.
pub(crate) fn perform(args: &[String]) {
    let number =
        |at: usize, default| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (count, turns): (usize, usize) = (number(1, 1), number(2, 1));
    let bench = Bench::new(Executor::new(executus_core::Ports::default()), turns);
    let runtime = runtime();
    match args.first().map(String::as_str) {
        Some("controlled") => runtime.block_on(async {
            for _ in 0..count {
                assert!(bench.controlled().await, "a run did not end ok");
            }
        }),
        Some("bare") => runtime.block_on(async {
            for _ in 0..count {
                assert!(bench.bare().await, "a bare run did not end");
            }
        }),
        Some("parked") => runtime.block_on(parked(&bench.executor, count)),
        Some("finished") => runtime.block_on(finished(&bench, count)),
        _ => super::figure::complain("unknown child work"),
    }
}

/// Prints the bytes per run that waits for its model; then ends them all.
async fn parked(executor: &Executor, count: usize) {
    let model: Arc<dyn Model> = Arc::new(Parked);
    let mut handles = Vec::with_capacity(count);
    let before = resident();
    for _ in 0..count {
        if let Ok(handle) = executor.start(RunRequest::new(Arc::clone(&model))) {
            handles.push(handle);
        }
    }
    // Every task has been polled once when one that was started last has.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    let after = resident();
    print(json!({"bytes": after.saturating_sub(before) / count.max(1)}));
    for handle in &handles {
        handle.cancel();
    }
    let mut cancelled = 0;
    for handle in &handles {
        let settled = handle.settled().await;
        cancelled += usize::from(settled.outcome.status == executus_core::RunStatus::Cancelled);
    }
    print(json!({"cancelled": cancelled}));
}

/// Prints the resident memory after 1 % of the runs, and after all.
async fn finished(bench: &Bench, count: usize) {
    for at in 1..=count {
        bench.controlled().await;
        if at == count / 100 || at == count {
            print(json!({"resident": resident()}));
        }
    }
}

#[expect(clippy::print_stdout, reason = "what the parent process reads")]
fn print(line: Value) {
    println!("{line}");
}

/// The resident set of this process, in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}
