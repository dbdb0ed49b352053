//! Runs that go wrong in every way, beside very many that do not.

use std::sync::Arc;
use std::time::Duration;

use executus_core::port::EntryKind;
use executus_core::{
    Effect, ErrorKind, Executor, Model, Reply, RunHandle, RunId, RunRequest, RunStatus, Settled,
    Tool, Toolbox,
};
use executus_testkit::faulty::{Fault, Faulty, Plan, Site};
use executus_testkit::scripted::{Do, Say, ScriptedModel, ScriptedTool};
use serde_json::json;

use super::routed::Routes;
use super::stage::{Stage, paused};

/// What all runs met.
#[derive(Debug, Default)]
pub struct Together {
    /// Runs that went wrong.
    pub broken_runs: u64,
    /// Those of them in which a fault fired.
    pub fired: u64,
    /// What broke a rule.
    pub violations: Vec<String>,
}

/// How a run ends that meets a panic there; `None` where it does not come by.
fn expected(site: Site, fault: Fault) -> Option<(RunStatus, Option<ErrorKind>)> {
    let kind = match site {
        Site::AuditStart | Site::AuditRecord | Site::AuditFlush | Site::AuditClose => {
            ErrorKind::Audit
        }
        Site::Reserve | Site::Charge => ErrorKind::Budget,
        Site::Monitor => ErrorKind::Critic,
        Site::Append => ErrorKind::Checkpoint,
        Site::Resolve => ErrorKind::Palette,
        Site::Decide => ErrorKind::Model,
        // A call's own error, or settling that was tried again, or watching that ended.
        Site::ToolCall
        | Site::Invoke
        | Site::Settle
        | Site::WatcherStep
        | Site::WatcherTool
        | Site::WatcherSteer
        | Site::WatcherDirective
        | Site::WatcherStop
        | Site::Deliver
        | Site::Complete => return Some((RunStatus::Ok, None)),
        Site::Release | Site::AuditSuspend | Site::Fail | Site::List | Site::Claim | Site::Load => {
            return None;
        }
    };
    // What had answered has answered, whatever its drop does; but a route drops the call that it
    // sent on while it is polled itself.
    let own = matches!(site, Site::AuditFlush | Site::AuditClose | Site::Decide);
    if fault == Fault::PanicInDrop && own {
        return Some((RunStatus::Ok, None));
    }
    Some((RunStatus::Error, Some(kind)))
}

/// Lets so many runs go their way while, on the same executor, a run panics at each call of each
/// port, the model and the tools.
#[must_use]
pub fn beside(siblings: u64) -> Together {
    paused(together(siblings))
}

async fn together(siblings: u64) -> Together {
    let mut together = Together::default();
    let stage = Stage::default();
    let routes = Routes::new(stage.ports(&Plan::new()));
    let executor = Executor::new(routes.ports());
    let write = ScriptedTool::new("write", Do::Slow(Duration::from_millis(20)))
        .with(|spec| spec.effect(Effect::Once))
        .shared();
    let mut quiet = Vec::new();
    for _ in 0..siblings {
        match executor.start(request(&write, &Plan::new(), &RunId::random())) {
            Ok(run) => quiet.push(run),
            Err(error) => together.violations.push(error.to_string()),
        }
    }
    // All of them are in the middle of their first step.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut broken = Vec::new();
    for site in Site::ALL {
        for fault in [Fault::Panic, Fault::PanicEarly, Fault::PanicInDrop] {
            let Some(expected) = expected(site, fault) else { continue };
            for nth in 1..=2 {
                // The save of a run's beginning fails open; the next one is before its `Once` call.
                let opens = site == Site::Append && nth == 1;
                let expected = if opens { (RunStatus::Ok, None) } else { expected };
                let (plan, id) = (Plan::new().with(site, nth, fault), RunId::random());
                routes.send(&id, stage.ports(&plan));
                match executor.start(request(&write, &plan, &id)) {
                    Ok(run) => {
                        let what = format!("{fault:?} at {site} #{nth}");
                        broken.push((run, plan, expected, what));
                    }
                    Err(error) => together.violations.push(error.to_string()),
                }
            }
        }
    }
    for (run, plan, expected, what) in broken {
        let settled = run.settled().await;
        together.broken_runs += 1;
        let fired = plan.log().iter().any(|called| called.fault.is_some());
        together.fired += u64::from(fired);
        let expected = if fired { expected } else { (RunStatus::Ok, None) };
        let kind = settled.outcome.error.as_ref().map(|error| error.kind);
        if (settled.outcome.status, kind) != expected {
            together.violations.push(format!("{what}: {:?}, not {expected:?}", settled.outcome));
        }
    }
    for run in quiet {
        let settled = run.settled().await;
        together.violations.extend(untouched(&stage, &run, &settled));
    }
    if !stage.budget.holds().is_empty() {
        together.violations.push(format!("still held: {:?}", stage.budget.holds()));
    }
    if executor.counts().active > 0 {
        together.violations.push("runs are still registered".into());
    }
    together
}

fn request(write: &Arc<ScriptedTool>, plan: &Plan, id: &RunId) -> RunRequest {
    let line = |reply| Say::Slowly(Duration::from_millis(20), reply);
    let usage = executus_core::Usage { output_tokens: 7, ..Default::default() };
    let script = [
        line(Reply::call("write", json!({"n": 1})).using(usage)),
        line(Reply::call("skill__foo", json!({})).and_call("write", json!({})).using(usage)),
        line(Reply::text("done").using(usage)),
    ];
    let model: Arc<dyn Model> = ScriptedModel::new(script).shared();
    let write: Arc<dyn Tool> = Arc::<ScriptedTool>::clone(write);
    let write: Arc<dyn Tool> = Faulty::new(write, plan);
    RunRequest::new(Faulty::new(model, plan))
        .run_id(id.clone())
        .caller("someone")
        .tools(Toolbox::new([write]).unwrap_or_default())
        .delegate_to(EntryKind::Skill, "foo")
}

fn untouched(stage: &Stage, run: &RunHandle, settled: &Settled) -> Vec<String> {
    let mut broken = Vec::new();
    let outcome = &settled.outcome;
    if outcome.status != RunStatus::Ok
        || outcome.output.as_deref() != Some("done")
        || outcome.stats.tally.tool_calls != 3
        || !settled.failures.is_empty()
    {
        broken.push(format!("a sibling was touched: {settled:?}"));
    }
    let hold = executus_core::HoldId { run: run.run_id().clone(), attempt: 1 };
    let spent = stage.budget.settled(&hold).map(|amounts| amounts.tokens);
    if spent != Some(21) {
        broken.push(format!("a sibling spent {spent:?}"));
    }
    broken
}
