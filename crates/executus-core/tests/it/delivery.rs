//! Runs whose results are delivered.

use executus_core::port::Amounts;
use executus_core::transcript::{Artifact, ArtifactBody};
use executus_core::{Executor, Limits, Ports, Reply, RunStatus, ToolOutput};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::{Do, Say};
use serde_json::json;

use crate::stage::{Stage, model, request, seconds, tool, tools, two_steps};

/// DV-01: without the port the output is in the result alone.
#[tokio::test(start_paused = true)]
async fn without_delivery_the_result_has_the_output() {
    let stage = Stage::new();
    let ports = Ports { delivery: None, ..stage.ports() };
    let run = Executor::new(ports).start(request(two_steps())).unwrap();
    let settled = run.settled().await;
    assert_eq!(settled.outcome.output.as_deref(), Some("done"));
    assert!(stage.delivery.keys().is_empty());
    assert!(settled.failures.is_empty());
}

/// DV-02: output and artifacts are handed over once, under the run's id.
#[tokio::test(start_paused = true)]
async fn success_is_delivered_under_one_key() {
    let stage = Stage::new();
    let artifact = Artifact {
        name: "report.md".into(),
        media_type: "text/markdown".into(),
        body: ArtifactBody::Inline("# Report".into()),
    };
    let mut output = ToolOutput::text("written");
    output.artifacts.push(artifact.clone().into());
    let write = tool("write", Do::Answer(output));
    let lines = [Reply::call("write", json!({})), Reply::text("done")];
    let ended = stage.run(request(model(lines)).tools(tools([write]))).await;
    assert_eq!(stage.delivery.arrivals(&ended.run), 1);
    let parcel = stage.delivery.parcel(&ended.run).unwrap();
    assert_eq!(parcel.spec.run_id, ended.run);
    assert_eq!(*parcel.outcome, *ended.outcome());
    assert_eq!(parcel.outcome.output.as_deref(), Some("done"));
    let artifacts: Vec<_> = parcel.outcome.artifacts.iter().map(|it| (**it).clone()).collect();
    assert_eq!(artifacts, [artifact]);
}

/// DV-03: an error, a timeout or a cancel inside the loop is delivered as what it is.
#[tokio::test(start_paused = true)]
async fn failures_are_delivered_too() {
    let limits = Limits { hard_timeout: seconds(5), ..Limits::default() };
    let cases = [
        (Say::Panic, false, RunStatus::Error),
        (Say::Hang, false, RunStatus::Timeout),
        (Say::Hang, true, RunStatus::Cancelled),
    ];
    for (line, cancel, status) in cases {
        let stage = Stage::new();
        let run = stage.executor().start(request(model([line])).limits(limits.clone())).unwrap();
        if cancel {
            tokio::time::sleep(seconds(1)).await;
            run.cancel();
        }
        let ended = stage.ended(run.run_id().clone(), run.settled().await);
        let parcel = stage.delivery.parcel(&ended.run).expect("a parcel");
        assert_eq!(parcel.outcome.status, status);
        assert_eq!(parcel.outcome.error, ended.outcome().error);
        assert!(parcel.outcome.error.is_some());
        assert_eq!(stage.delivery.arrivals(&ended.run), 1);
    }
}

/// DV-04: a run that stopped before its loop delivers nothing.
#[tokio::test(start_paused = true)]
async fn what_never_began_is_not_delivered() {
    let stage = Stage::new();
    let limits = Limits { max_steps: 0, ..Limits::default() };
    let ended = stage.run(request(two_steps()).limits(limits)).await;
    assert_eq!(ended.status(), RunStatus::Error);
    assert!(ended.error().contains("max_steps"), "{}", ended.error());
    stage.budget.set_limit("someone", Amounts::default());
    let ended = stage.run(request(two_steps())).await;
    assert_eq!(ended.status(), RunStatus::BudgetExceeded);
    let ended = Stage::new().run(request(two_steps()).dry_run(true)).await;
    assert_eq!(ended.status(), RunStatus::DryRun);
    assert_eq!(stage.plan.count(Site::Deliver), 0);
}

/// A delivery that fails in any way leaves the outcome as it is, and is told in the settling.
#[tokio::test(start_paused = true)]
async fn a_failed_delivery_changes_nothing() {
    for fault in [Fault::Error, Fault::Panic, Fault::PanicEarly, Fault::Hang, Fault::Stuck] {
        let stage = Stage::with(Plan::new().always(Site::Deliver, fault));
        let ended = stage.run(request(two_steps())).await;
        assert_eq!(ended.status(), RunStatus::Ok, "{fault:?}");
        assert_eq!(ended.settled.failures.len(), 1, "{fault:?}");
        assert_eq!(stage.plan.count(Site::Complete), 1, "{fault:?}");
    }
}
