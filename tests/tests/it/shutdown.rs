//! A process that is shut down, and the next one.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use executus_core::{
    Effect, Executor, Ports, Reply, RunId, RunRequest, RunStatus, Tool, ToolOutput, Toolbox,
};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use executus_tests::soak::stage::{Stage, paused, slow};
use parking_lot::Mutex;
use serde_json::json;

const GRACE: Duration = Duration::from_secs(5);

/// CK-04, RK-07: a shutdown interrupts the run at every place where it may be; its facts are kept,
/// and the next process goes on to the same output. What counts once was done at most once.
#[test]
fn an_interrupted_run_goes_on_to_the_same_output() {
    for site in [Site::Decide, Site::ToolCall, Site::Invoke, Site::Charge, Site::Append] {
        for nth in 1..=2 {
            for fault in [Fault::Hang, Fault::Stuck] {
                paused(interrupted(site, nth, fault));
            }
        }
    }
}

async fn interrupted(site: Site, nth: u64, fault: Fault) {
    let what = format!("{fault:?} at {site} #{nth}");
    let (stage, id) = (Stage::saying(slow(Duration::from_secs(60))), RunId::random());
    let plan = Plan::new().with(site, nth, fault);
    let executor = stage.executor(&plan);
    let run = executor.start(stage.request(&plan, &id)).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let report = executor.shutdown(GRACE).await;
    assert!(report.unsettled.is_empty(), "{what}: {report:?}");
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Interrupted, "{what}");
    assert!(!settled.outcome.status.is_terminal());
    assert_eq!(stage.checkpointer.kept(), std::slice::from_ref(&id), "{what}");
    let trail = stage.trail(&id);
    assert_eq!((trail.suspended.len(), trail.closed.len()), (1, 0), "{what}");
    assert!(stage.delivery.parcels().is_empty(), "{what}");

    let plan = Plan::new();
    let next = stage.executor(&plan);
    let run = next.resume(&id, |_| stage.request(&plan, &id)).await.unwrap();
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Ok, "{what}: {:?}", settled.outcome);
    assert_eq!(settled.outcome.output.as_deref(), Some("done"), "{what}");
    assert_eq!(settled.outcome.stats.tally.steps, 3, "{what}");
    assert_eq!(settled.outcome.stats.tally.tool_calls, 3, "{what}");
    assert_eq!(stage.trail(&id).closed.len(), 1, "{what}");
    let broken = stage.judge(&id, Some(&settled));
    assert!(broken.is_empty(), "{what}: {broken:?}");
    assert!(stage.write.calls().len() <= 2, "{what}");
}

/// RK-07: a shutdown that comes when the final answer is already there takes nothing back: the
/// model is not asked again.
#[test]
fn a_final_answer_outlives_a_shutdown() {
    paused(async {
        let (stage, id) = (Stage::saying(slow(Duration::from_millis(510))), RunId::random());
        let plan = Plan::new();
        let executor = stage.executor(&plan);
        let run = executor.start(stage.request(&plan, &id)).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The answer comes within the grace of the model.
        executor.shutdown(GRACE).await;
        let first = run.settled().await.outcome.status;
        let plan = Plan::new();
        let executor = stage.executor(&plan);
        let settled = match first {
            RunStatus::Interrupted => {
                let next = executor.resume(&id, |_| stage.request(&plan, &id)).await.unwrap();
                next.settled().await
            }
            _ => run.settled().await,
        };
        assert_eq!(settled.outcome.status, RunStatus::Ok, "{:?}", settled.outcome);
        assert_eq!(settled.outcome.output.as_deref(), Some("done"));
        assert_eq!(settled.outcome.stats.tally.steps, 3);
        assert_eq!(plan.count(Site::Decide), 0, "the model was asked again");
        let broken = stage.judge(&id, Some(&settled));
        assert!(broken.is_empty(), "{broken:?}");
    });
}

/// RK-07: a shutdown does not wait for a tool that blocks its thread, and reports it.
#[test]
fn a_blocking_tool_is_reported() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (entered, entering) = mpsc::channel();
    let (entered, released) = (Mutex::new(entered), Mutex::new(released));
    let block = ScriptedTool::new(
        "block",
        Do::ask(move |_, _| {
            entered.lock().send(()).unwrap();
            // Until the test lets go of its end.
            let _ = released.lock().recv();
            Ok(ToolOutput::text("late"))
        }),
    );
    let block = block.with(|spec| spec.effect(Effect::Once).blocking()).shared();
    let report = runtime.block_on(async {
        let model = ScriptedModel::new([Reply::call("block", json!({}))]).shared();
        let tools = Toolbox::new([block.clone() as Arc<dyn Tool>]).unwrap();
        let executor = Executor::new(Ports::default());
        let run = executor.start(RunRequest::new(model).tools(tools)).unwrap();
        tokio::task::spawn_blocking(move || entering.recv().unwrap()).await.unwrap();
        let report = executor.shutdown(GRACE).await;
        assert_eq!(run.settled().await.outcome.status, RunStatus::Interrupted);
        report
    });
    assert_eq!(report.blocking_tools, 1, "{report:?}");
    assert!(report.unsettled.is_empty(), "{report:?}");
    assert_eq!(block.calls().len(), 1);
    drop(release);
}
