//! Guards in runs of the real executor.

use std::sync::Arc;

use executus_core::memory::MemoryAudit;
use executus_core::{Executor, Limits, Model, Ports, Reply, RunRequest, RunStatus, Toolbox};
use executus_guard::{Guard, GuardConfig, Role};
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use serde_json::json;

fn request(guard: &Guard, model: Arc<dyn Model>, tool: &Arc<ScriptedTool>) -> RunRequest {
    let tools = Toolbox::new([tool.clone() as Arc<dyn executus_core::Tool>]).unwrap();
    let tools = guard.wrap_all(&tools, |_| Role::default()).unwrap();
    RunRequest::new(model).tools(tools).limits(Limits { max_steps: 20, ..Limits::default() })
}

/// SG-11: a looping run is stopped by its guard, and may still answer; with `stop_ends_run` it ends.
#[tokio::test(start_paused = true)]
async fn a_stop_is_a_result_or_an_end() {
    for stop_ends_run in [false, true] {
        let guard = Guard::new(GuardConfig { stop_ends_run, ..GuardConfig::default() }).unwrap();
        let call = || Reply::call("look", json!({}));
        let lines = (0..9).map(|_| call()).chain([Reply::text("as far as I came")]);
        let model = ScriptedModel::new(lines).shared();
        let tool = ScriptedTool::new("look", Do::Echo).shared();
        let audit = MemoryAudit::default();
        let executor = Executor::new(Ports { audit: Some(Arc::new(audit)), ..Ports::default() });
        let run = executor.start(request(&guard, model.clone(), &tool)).unwrap();
        let settled = run.settled().await;
        assert_eq!(tool.calls().len(), 7);
        let (status, asked) =
            if stop_ends_run { (RunStatus::Error, 7) } else { (RunStatus::Ok, 10) };
        assert_eq!((settled.outcome.status, model.asked()), (status, asked));
        assert_eq!(guard.runs(), 0, "the run is over, and still known");
    }
}

/// What a guard knows of a run is that run's alone.
#[tokio::test(start_paused = true)]
async fn runs_do_not_mix() {
    let guard = Guard::new(GuardConfig::default()).unwrap();
    let executor = Executor::new(Ports::default());
    let tool = ScriptedTool::new("look", Do::Slow(std::time::Duration::from_millis(5))).shared();
    let runs: Vec<_> = (0..20)
        .map(|_| {
            let call = || Reply::call("look", json!({}));
            let model = ScriptedModel::new([call(), call(), Reply::text("done")]).shared();
            executor.start(request(&guard, model, &tool)).unwrap()
        })
        .collect();
    for run in &runs {
        assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    }
    assert_eq!((tool.calls().len(), guard.runs()), (40, 0));
}
