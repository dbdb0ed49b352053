//! Beside another audit.

use std::sync::Arc;
use std::time::Duration;

use executus_core::memory::{FanOutAudit, MemoryAudit};
use executus_core::{Effect, Executor, Ports, Reply, RunRequest, RunStatus, ToolOutput, Toolbox};
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use serde_json::json;

use crate::bench::{Bench, actions, run};

/// A run with one action, recorded in both.
async fn perform(audit: FanOutAudit) -> RunStatus {
    let model = ScriptedModel::new([
        Reply::call("browser_dom", json!({"action": "click"})),
        Reply::text("done"),
    ]);
    let tool = ScriptedTool::new("browser_dom", Do::Answer(ToolOutput::text("clicked")));
    let tool = tool.with(|spec| spec.effect(Effect::Once));
    let tools = Toolbox::new([Arc::new(tool) as Arc<dyn executus_core::Tool>]).unwrap();
    let request = RunRequest::new(Arc::new(model)).run_id(run("run-123")).tools(tools);
    let ports = Ports { audit: Some(Arc::new(audit)), ..Ports::default() };
    let handle = Executor::new(ports).start(request).unwrap();
    let settled = handle.settled().await;
    settled.outcome.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_recorded_in_both() {
    let bench = Bench::new();
    let memory = MemoryAudit::default();
    let both = FanOutAudit::new()
        .required(Arc::new(memory.clone()))
        .optional(Arc::new(bench.audit.clone()), Duration::from_secs(5));
    assert_eq!(perform(both).await, RunStatus::Ok);
    let id = run("run-123");
    assert_eq!(actions(&bench.reader().folder(&id)), ["0001_browser_dom_click.json"]);
    let kept: Vec<_> = memory.records(&id).iter().map(|record| record.seq).collect();
    let logged: Vec<_> =
        bench.reader().records(&id).unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(logged, kept);
    assert!(bench.reader().run(&id).unwrap().closed);
}

/// Where the log is optional its failure is a warning; where it is required no run goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_write_stops_a_run_only_if_it_must_write() {
    for (required, expected) in [(false, RunStatus::Ok), (true, RunStatus::Error)] {
        let bench = Bench::new();
        std::fs::write(bench.audit.root().join("run-123"), "in the way").unwrap();
        let log = Arc::new(bench.audit.clone());
        let both = FanOutAudit::new().required(Arc::new(MemoryAudit::default()));
        let both = match required {
            true => both.required(log),
            false => both.optional(log, Duration::from_secs(5)),
        };
        assert_eq!(perform(both).await, expected);
    }
}
