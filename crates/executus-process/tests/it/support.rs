//! Calls of a tool within runs, and a look at the system's processes.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::transcript::CallOutcome;
use executus_core::{
    Executor, Model, ModelError, Reply, RunHandle, RunRequest, Tool, ToolError, ToolOutput,
    ToolSpec, Toolbox, Turn,
};
use executus_process::{ProcessTool, ProcessToolBuilder, Task};
use parking_lot::Mutex;
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing_subscriber::util::SubscriberInitExt;

/// A tool `t` with one text parameter `x` and plenty of time.
pub(crate) fn tool(argv: &[&str]) -> ProcessToolBuilder {
    limited(argv, Duration::from_secs(20))
}

pub(crate) fn limited(argv: &[&str], timeout: Duration) -> ProcessToolBuilder {
    let schema = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    ProcessTool::builder(ToolSpec::new("t", "").parameters(schema).timeout(timeout)).argv(argv)
}

/// Asks for one call, then shows its result to the test.
struct OneCall {
    args: Value,
    result: mpsc::UnboundedSender<CallOutcome>,
}

#[async_trait]
impl Model for OneCall {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        if turn.step() == 1 {
            return Ok(Reply::call("t", self.args.clone()));
        }
        for acted in turn.transcript().last_results() {
            let _nobody_waits = self.result.send(acted.outcome.clone());
        }
        Ok(Reply::text("done"))
    }
}

/// Starts a run that makes one call.
pub(crate) fn start(
    tool: ProcessToolBuilder,
    args: Value,
) -> (RunHandle, mpsc::UnboundedReceiver<CallOutcome>) {
    let (result, receiver) = mpsc::unbounded_channel();
    let tool: Arc<dyn Tool> = Arc::new(tool.build().unwrap());
    let request =
        RunRequest::new(Arc::new(OneCall { args, result })).tools(Toolbox::new([tool]).unwrap());
    (Executor::builder().build().start(request).unwrap(), receiver)
}

/// The result of one call.
pub(crate) async fn call(tool: ProcessToolBuilder, args: Value) -> Result<ToolOutput, ToolError> {
    let (run, mut result) = start(tool, args);
    let settled = run.settled().await;
    match result.recv().await {
        Some(CallOutcome::Output(output)) => Ok(output),
        Some(CallOutcome::Failed(error)) => Err(error),
        Some(CallOutcome::Unknown) => panic!("the outcome of the call is not known"),
        None => panic!("the run ended without a result: {:?}", settled.outcome),
    }
}

/// The result of a shell script of the tool's own.
pub(crate) async fn script(script: &str) -> Result<ToolOutput, ToolError> {
    call(tool(&["sh", "-c", script]), json!({})).await
}

/// The text of a failed call.
pub(crate) fn message(result: Result<ToolOutput, ToolError>) -> String {
    match result {
        Err(ToolError::Failed { message, .. }) => message,
        other => panic!("expected a failure, found {other:?}"),
    }
}

/// A fresh path for this test.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _absent = std::fs::remove_file(&path);
    path
}

/// Waits until a condition holds, for 5 s at most: other processes send no events.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}

/// The process ids that a script wrote to a file, once all of them are there.
pub(crate) async fn pids(path: &PathBuf, count: usize) -> Vec<i32> {
    let read = || -> Vec<i32> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };
    eventually("the script names its processes", || read().len() >= count).await;
    read()
}

/// Whether the system knows this process: it runs, or nobody has waited for it.
pub(crate) fn is_known(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

/// Whether this process runs. One that ended and waits for its new parent does not.
pub(crate) fn is_running(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    is_known(pid) && state != Some('Z')
}

/// A task of a shell script, whose `$0` is this.
pub(crate) fn sh(script: &str, zero: &str) -> Task {
    Task::new("sh").args(["-c", script, zero])
}

/// More than a pipe takes, so that it is only written when somebody reads it.
pub(crate) fn much() -> Vec<u8> {
    vec![b'x'; 4_000_000]
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a future answers, and the lines that it wrote to the log of its thread.
pub(crate) async fn logged<T>(future: impl Future<Output = T>) -> (T, Vec<String>) {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false);
    let guard = lines.with_writer(move || writer.clone()).set_default();
    let answer = future.await;
    drop(guard);
    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    (answer, text.lines().map(|line| line.trim().to_owned()).collect())
}

/// How much memory this process has had at most, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs an ignored test of this binary in a process of its own.
pub(crate) fn alone(test: &str) {
    alone_with(test, &[]);
}

/// The same, with these variables.
pub(crate) fn alone_with(test: &str, variables: &[(&str, &str)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .envs(variables.iter().copied())
        .args(["--exact", test, "--ignored", "--test-threads=1", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}
