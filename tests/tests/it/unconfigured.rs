//! A run that nobody configured.

use std::sync::Arc;
use std::time::Duration;

use executus_core::{
    ErrorKind, Executor, Limits, Ports, Reply, RunRequest, RunStatus, Tool, Toolbox,
};
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use executus_tests::soak::stage::paused;
use serde_json::json;

/// RK-01, RK-07: with no port and no limit of its own, a run whose model asks for the same tool for
/// ever ends by itself, and not as `ok`.
#[test]
fn the_same_call_for_ever_ends_by_itself() {
    for act in [Do::Echo, Do::Slow(Duration::from_secs(90)), Do::Hang] {
        paused(async {
            let model = ScriptedModel::new([Reply::call("again", json!({}))]).for_ever().shared();
            let again = ScriptedTool::new("again", act.clone()).shared();
            let tools = Toolbox::new([again.clone() as Arc<dyn Tool>]).unwrap();
            let executor = Executor::new(Ports::default());
            let run = executor.start(RunRequest::new(model).tools(tools)).unwrap();
            let bound = Limits::default().hard_timeout + Duration::from_secs(1);
            let settled = tokio::time::timeout(bound, run.settled()).await.expect("an end");
            let error = settled.outcome.error.as_ref().expect("an error");
            let ended = (settled.outcome.status, error.kind);
            let steps = (RunStatus::Error, ErrorKind::StepLimit);
            let time = (RunStatus::Timeout, ErrorKind::Timeout);
            let quick = matches!(act, Do::Echo);
            assert_eq!(ended, if quick { steps } else { time }, "{act:?}");
            assert!(again.calls().len() < Limits::default().max_steps as usize, "{act:?}");
            assert_eq!(executor.counts().active, 0);
        });
    }
}
