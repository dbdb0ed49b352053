//! What hangs does not keep a caller waiting, and nothing outlives a cancel.

use std::sync::Arc;
use std::time::Duration;

use executus_core::{Limits, Run, RunHandle, RunId, RunStatus};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::Say;
use executus_tests::soak::stage::{Stage, good, paused, slow};
use tokio::time::Instant;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A run with a deadline of 300 ms; its answer must come by 350.
async fn by_deadline(
    stage: &Stage,
    plan: &Plan,
    id: &RunId,
) -> (RunHandle, Arc<executus_core::Outcome>) {
    let limits = Limits { hard_timeout: millis(300), ..Limits::default() };
    let request = stage.request(plan, id).limits(limits);
    let began = Instant::now();
    let run = stage.executor(plan).start(request).unwrap();
    let outcome = run.outcome().await;
    assert!(began.elapsed() <= millis(350), "answered after {:?}", began.elapsed());
    (run, outcome)
}

/// The status that the record holds: as it was closed, or as its facts end where nothing could
/// close it.
fn recorded(stage: &Stage, id: &RunId) -> RunStatus {
    match stage.trail(id).closed.first() {
        Some(closed) => closed.status,
        None => Run::fold(&stage.audit.records(id)).unwrap().end().expect("an end").stop.status,
    }
}

const HANGS: [Fault; 2] = [Fault::Hang, Fault::Stuck];

/// RK-13: whatever hangs in the loop, the model, a tool or a port: the answer is `timeout`, by
/// 350 ms, and so it is recorded.
#[test]
fn a_hang_in_the_loop() {
    let sites = [
        Site::Resolve,
        Site::Reserve,
        Site::Monitor,
        Site::Decide,
        Site::ToolCall,
        Site::Invoke,
        Site::Charge,
        Site::Append,
        Site::AuditFlush,
    ];
    for site in sites {
        for fault in HANGS {
            paused(async {
                let what = format!("{fault:?} at {site}");
                let (stage, id) = (Stage::default(), RunId::random());
                let plan = Plan::new().with(site, 1, fault);
                let (run, outcome) = by_deadline(&stage, &plan, &id).await;
                assert_eq!(outcome.status, RunStatus::Timeout, "{what}");
                let settled = run.settled().await;
                assert_eq!(settled.outcome, outcome, "{what}");
                assert_eq!(recorded(&stage, &id), RunStatus::Timeout, "{what}");
                let broken = stage.judge(&id, Some(&settled));
                assert!(broken.is_empty(), "{what}: {broken:?}");
            });
        }
    }
}

/// RK-13: a port that hangs while the run settles, after a good end and after a timeout: the answer
/// comes by 350 ms with the status that is recorded, and all is settled within ten seconds.
#[test]
fn a_hang_while_settling() {
    let sites = [
        Site::WatcherStop,
        Site::Settle,
        Site::AuditClose,
        Site::Deliver,
        Site::Complete,
        Site::Fail,
    ];
    for site in sites {
        for fault in HANGS {
            for (script, status) in
                [(good(), RunStatus::Ok), (slow(Duration::from_secs(30)), RunStatus::Timeout)]
            {
                paused(async {
                    let what = format!("{fault:?} at {site}, {status}");
                    let (stage, id) = (Stage::saying(script), RunId::random());
                    let plan = Plan::new().always(site, fault);
                    let began = Instant::now();
                    let (run, outcome) = by_deadline(&stage, &plan, &id).await;
                    assert_eq!(outcome.status, status, "{what}");
                    let settled = run.settled().await;
                    assert!(began.elapsed() <= millis(10_350), "{what}: {:?}", began.elapsed());
                    assert_eq!(recorded(&stage, &id), status, "{what}");
                    let unclosed = site == Site::AuditClose;
                    assert_eq!(settled.outcome == outcome, !unclosed, "{what}: {settled:?}");
                    assert_eq!(
                        stage.trail(&id).closed.is_empty(),
                        unclosed && fault == Fault::Hang
                    );
                    let hung = plan.count(site) > 0;
                    assert_eq!(settled.failures.is_empty(), !hung, "{what}: {settled:?}");
                });
            }
        }
    }
}

/// RK-10: a budget that hangs does not keep the record from being closed.
#[test]
fn a_hung_budget_does_not_hold_the_record() {
    for fault in HANGS {
        paused(async {
            let (stage, id) = (Stage::default(), RunId::random());
            let plan = Plan::new().always(Site::Settle, fault);
            let run = stage.executor(&plan).start(stage.request(&plan, &id)).unwrap();
            let settled = run.settled().await;
            assert_eq!(settled.outcome.status, RunStatus::Ok);
            assert_eq!(stage.trail(&id).closed, [(*settled.outcome).clone()]);
            assert_eq!(stage.delivery.parcels().len(), 1);
        });
    }
}

/// RK-12: 50 ms after a cancel no future of a model or a tool is alive, however it hangs.
#[test]
fn nothing_is_alive_after_a_cancel() {
    let calls = [Site::Decide, Site::ToolCall, Site::Invoke];
    for site in calls {
        for fault in [Fault::Hang, Fault::Stuck, Fault::Late(Duration::from_secs(5))] {
            paused(async {
                let what = format!("{fault:?} at {site}");
                let (stage, id) = (Stage::default(), RunId::random());
                // The tool's own limit is two seconds: the cancel comes before.
                let plan = Plan::new().with(site, 1, fault);
                let run = stage.executor(&plan).start(stage.request(&plan, &id)).unwrap();
                tokio::time::sleep(millis(500)).await;
                assert_eq!(plan.alive(site), 1, "{what}: does not hang");
                run.cancel();
                tokio::time::sleep(millis(50)).await;
                for call in calls {
                    assert_eq!(plan.alive(call), 0, "{what}: {call} is alive");
                }
                assert_eq!(stage.write.alive(), 0, "{what}");
                let settled = run.settled().await;
                let broken = stage.judge_whole(&plan, &id, &settled);
                assert!(broken.is_empty(), "{what}: {broken:?}");
            });
        }
    }
}

/// RK-12: the same for many calls of one step at once, and for a model that hangs.
#[test]
fn nothing_of_a_wide_step_is_alive_after_a_cancel() {
    use executus_core::{Executor, Ports, Reply, RunRequest, Tool, Toolbox};
    use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
    use serde_json::json;
    paused(async {
        let hang = ScriptedTool::new("hang", Do::Hang).shared();
        let calls =
            (0..8).fold(Reply::default(), |reply, n| reply.and_call("hang", json!({"n": n})));
        let model = ScriptedModel::new([Say::from(calls)]).shared();
        let tools = Toolbox::new([hang.clone() as Arc<dyn Tool>]).unwrap();
        let executor = Executor::new(Ports::default());
        let run = executor.start(RunRequest::new(model).tools(tools)).unwrap();
        tokio::time::sleep(millis(500)).await;
        assert_eq!(hang.alive(), 8);
        run.cancel();
        tokio::time::sleep(millis(50)).await;
        assert_eq!(hang.alive(), 0);
        assert_eq!(run.settled().await.outcome.status, RunStatus::Cancelled);
    });
}
