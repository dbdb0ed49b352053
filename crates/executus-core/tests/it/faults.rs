//! Every fault at every call of every port, model and tool: the run ends, once, and leaves nothing.

use std::sync::Arc;
use std::time::Duration;

use executus_core::port::EntryKind;
use executus_core::{
    Effect, Event, Executor, Model, Reply, RunId, RunRequest, RunStatus, Tool, Toolbox,
};
use executus_testkit::faulty::{Fault, Faulty, Plan, Site};
use executus_testkit::scripted::{Do, ScriptedTool};
use serde_json::json;

use crate::stage::{Stage, model, seconds, usage};

/// A run that calls every port, with a tool that may be called once and a delegated call.
fn request(plan: &Plan, id: &RunId) -> RunRequest {
    let lines = [
        Reply::call("write", json!({"n": 1})).using(usage(10, 5)),
        Reply::call("skill__foo", json!({})).and_call("write", json!({"n": 2})).using(usage(10, 5)),
        Reply::text("done").using(usage(10, 5)),
    ];
    let model: Arc<dyn Model> = model(lines);
    let write = ScriptedTool::new("write", Do::Echo)
        .with(|spec| spec.effect(Effect::Once).timeout(seconds(2)));
    let write: Arc<dyn Tool> = Arc::new(write);
    RunRequest::new(Faulty::new(model, plan))
        .run_id(id.clone())
        .caller("someone")
        .tools(Toolbox::new([Faulty::new(write, plan) as Arc<dyn Tool>]).unwrap())
        .delegate_to(EntryKind::Skill, "foo")
}

/// What must hold whatever went wrong at `site`.
async fn check(site: Site, plan: Plan, what: &str) {
    let stage = Stage::with(plan);
    let id = RunId::random();
    let mut request = request(&stage.plan, &id);
    let mut events = request.watch(256);
    let executor = stage.executor();
    let run = executor.start(request).unwrap();
    let settled = tokio::time::timeout(seconds(700), run.settled()).await;
    let settled = settled.unwrap_or_else(|_| panic!("{what}: never settled"));
    let outcome = &settled.outcome;
    assert!(outcome.status.is_terminal(), "{what}: {outcome:?}");
    let good = outcome.status == RunStatus::Ok;
    assert_eq!(outcome.error.is_none(), good, "{what}: {outcome:?}");

    // Nothing is left.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(executor.counts().active, 0, "{what}");
    for site in Site::ALL {
        assert_eq!(stage.plan.alive(site), 0, "{what}: a future of {site} is alive");
    }

    // Recorded once, with the status that everybody reads.
    let trail = stage.trail(&id);
    let closes = trail.closed.len();
    assert!(closes <= 1, "{what}: closed {closes} times");
    let audit_broke = matches!(site, Site::AuditStart | Site::AuditClose);
    assert!(closes == 1 || audit_broke, "{what}: not closed");
    if let Some(closed) = trail.closed.first().filter(|_| !audit_broke) {
        assert_eq!(closed, &**outcome, "{what}: record and caller differ");
    }
    if let Some(parcel) = stage.delivery.parcel(&id) {
        assert_eq!(parcel.outcome.status, outcome.status, "{what}");
    }
    assert!(stage.plan.count(Site::Deliver) <= 1, "{what}");

    // Settled once, unless it was the settling that went wrong.
    if !matches!(site, Site::Settle | Site::Release) {
        let ends = stage.plan.count(Site::Settle) + stage.plan.count(Site::Release);
        let reserved = stage.plan.count(Site::Reserve);
        assert!(ends <= reserved, "{what}: {ends} ends of {reserved} holds");
        assert!(stage.budget.holds().is_empty(), "{what}: still held");
    }
    let monitored = stage.critic.started(&id).is_some() && site != Site::Monitor;
    let stops = stage.plan.count(Site::WatcherStop);
    assert_eq!(stops, u64::from(monitored || stops > 0), "{what}: stopped {stops} times");

    let mut finished = 0;
    while let Ok(Some(event)) = tokio::time::timeout(seconds(1), events.next()).await {
        finished += usize::from(matches!(event, Event::Finished { .. }));
    }
    assert_eq!(finished, 1, "{what}: {finished} last events");
}

async fn everywhere(faults: &[Fault]) {
    for site in Site::ALL {
        for &fault in faults {
            for nth in 1..=3 {
                let plan = Plan::new().with(site, nth, fault);
                check(site, plan, &format!("{fault:?} at {site} #{nth}")).await;
            }
            let plan = Plan::new().always(site, fault);
            check(site, plan, &format!("{fault:?} at every {site}")).await;
        }
    }
}

/// RK-10: whatever panics, in its making, its poll or its drop.
#[tokio::test(start_paused = true)]
async fn panics_everywhere() {
    everywhere(&[Fault::Panic, Fault::PanicEarly, Fault::PanicInDrop]).await;
}

/// RK-10: whatever fails, with or without effect.
#[tokio::test(start_paused = true)]
async fn errors_everywhere() {
    everywhere(&[Fault::Error, Fault::Lost]).await;
}

/// RK-10: whatever hangs or is late.
#[tokio::test(start_paused = true)]
async fn silence_everywhere() {
    everywhere(&[Fault::Hang, Fault::Stuck, Fault::Late(seconds(1))]).await;
}

/// A run beside one that goes wrong notices nothing.
#[tokio::test(start_paused = true)]
async fn siblings_are_untouched() {
    let plan = Plan::new();
    let stage = Stage::with(plan.clone());
    let executor: Executor = stage.executor();
    let quiet = Plan::new();
    let siblings: Vec<_> =
        (0..100).map(|_| executor.start(request(&quiet, &RunId::random())).unwrap()).collect();
    let broken = Plan::new().with(Site::Decide, 2, Fault::PanicInDrop);
    let broken = broken.with(Site::ToolCall, 1, Fault::Panic).with(Site::Decide, 3, Fault::Panic);
    let one = executor.start(request(&broken, &RunId::random())).unwrap();
    assert_eq!(one.settled().await.outcome.status, RunStatus::Error);
    for sibling in siblings {
        assert_eq!(sibling.settled().await.outcome.status, RunStatus::Ok);
    }
}
