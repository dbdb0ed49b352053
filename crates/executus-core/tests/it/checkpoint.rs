//! Runs whose facts are kept.

use executus_core::executor::{ResumeError, StartError};
use executus_core::memory::Kept;
use executus_core::port::Checkpointer;
use executus_core::{Effect, Entry, ErrorKind, HoldId, Limits, Reply, Run, RunStatus};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::{Do, Say, ScriptedTool};
use serde_json::json;

use crate::stage::{Stage, model, request, seconds, tools, two_steps};

const STEPS: usize = 60;

/// Sixty quick steps, then something that does not end.
fn busy() -> Vec<Say> {
    let calls = (0..STEPS).map(|n| Say::Reply(Reply::call("echo", json!({"n": n}))));
    calls.chain([Say::Hang]).collect()
}

fn many_steps() -> Limits {
    Limits { max_steps: 100, ..Limits::default() }
}

/// CK-01: facts are appended since the last save, throttled, and fold to the state.
#[tokio::test(start_paused = true)]
async fn facts_are_appended_in_batches() {
    let stage = Stage::new();
    let executor = stage.executor();
    let run = executor.start(request(model(busy())).limits(many_steps())).unwrap();
    tokio::time::sleep(seconds(5)).await;
    let saves = stage.plan.count(Site::Append);
    assert!(saves > 0 && saves < STEPS as u64 / 2, "{saves} saves in {STEPS} steps");

    executor.shutdown(seconds(10)).await;
    let saved = stage.checkpointer.load(run.run_id()).await.unwrap().expect("facts");
    // Each record was stored once: never the whole list again.
    assert_eq!(stage.checkpointer.appended(), saved.records.len() as u64);
    let folded = Run::fold(&saved.records).unwrap();
    assert_eq!(folded.step() as usize, STEPS);
    let results = folded.transcript().entries().iter();
    assert_eq!(results.filter(|entry| matches!(entry, Entry::Result(_))).count(), STEPS);
}

/// CK-02: success completes the checkpoint once and never fails it.
#[tokio::test(start_paused = true)]
async fn success_completes_once() {
    let stage = Stage::new();
    let ended = stage.run(request(two_steps())).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(stage.checkpointer.ended(&ended.run), [Kept::Completed]);
    assert_eq!((stage.plan.count(Site::Complete), stage.plan.count(Site::Fail)), (1, 0));
    assert!(stage.checkpointer.kept().is_empty());
}

/// CK-03: a terminal failure fails the checkpoint once, with the run's error.
#[tokio::test(start_paused = true)]
async fn a_failure_fails_once() {
    let short = Limits { hard_timeout: seconds(5), ..Limits::default() };
    for lines in [vec![Say::Panic], vec![Say::Hang]] {
        let stage = Stage::new();
        let ended = stage.run(request(model(lines)).limits(short.clone())).await;
        let error = ended.outcome().error.clone().unwrap();
        assert_eq!(stage.checkpointer.ended(&ended.run), [Kept::Failed(error)]);
        assert_eq!((stage.plan.count(Site::Complete), stage.plan.count(Site::Fail)), (0, 1));
    }
}

/// CK-04: an interruption leaves everything readable, and another life ends the run.
#[tokio::test(start_paused = true)]
async fn an_interruption_leaves_it_readable() {
    let stage = Stage::new();
    let executor = stage.executor();
    let run = executor.start(request(model(busy())).limits(many_steps())).unwrap();
    tokio::time::sleep(seconds(5)).await;
    executor.shutdown(seconds(10)).await;
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Interrupted);
    assert_eq!((stage.plan.count(Site::Complete), stage.plan.count(Site::Fail)), (0, 0));
    assert!(stage.checkpointer.ended(run.run_id()).is_empty());

    let next = stage.executor();
    assert_eq!(next.resumable().await.unwrap(), [run.run_id().clone()]);
    let mut lines = busy();
    *lines.last_mut().unwrap() = Reply::text("done").into();
    let second = model(lines);
    let resumed = next.resume(run.run_id(), |_| request(second.clone())).await.unwrap();
    let ended = stage.ended(run.run_id().clone(), resumed.settled().await);
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(ended.outcome().output.as_deref(), Some("done"));
    assert_eq!(second.asked(), 1, "the decided steps were decided again");
    assert_eq!(stage.checkpointer.ended(&ended.run), [Kept::Completed]);
    let trail = stage.trail(&ended.run);
    assert_eq!((trail.starts.len(), trail.suspended.len(), trail.closed.len()), (2, 1, 1));
    let folded = Run::fold(&stage.audit.records(&ended.run)).unwrap();
    assert_eq!(folded.step() as usize, STEPS + 1);
}

/// A save that fails is made again later; only before a call that may happen once it ends the run.
#[tokio::test(start_paused = true)]
async fn saves_fail_open_except_before_once() {
    for effect in [Effect::ReadOnly, Effect::Idempotent, Effect::Once] {
        let stage = Stage::with(Plan::new().with(Site::Append, 2, Fault::Error));
        let write = ScriptedTool::new("write", Do::Echo).with(|spec| spec.effect(effect)).shared();
        let lines = [Reply::call("write", json!({})), Reply::text("done")];
        let ended = stage.run(request(model(lines)).tools(tools([write.clone()]))).await;
        if effect == Effect::Once {
            assert_eq!(ended.outcome().error.as_ref().unwrap().kind, ErrorKind::Checkpoint);
            assert!(write.calls().is_empty());
        } else {
            assert_eq!(ended.status(), RunStatus::Ok);
            assert_eq!(write.calls().len(), 1);
        }
    }
}

/// K6: what is kept of a living run is neither listed nor resumed, whoever chose its id; its hold
/// stays as it is.
#[tokio::test(start_paused = true)]
async fn a_living_run_is_not_resumed_beside_itself() {
    let stage = Stage::new();
    let executor = stage.executor();
    let run = executor.start(request(model(busy())).limits(many_steps())).unwrap();
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(stage.checkpointer.kept(), [run.run_id().clone()]);

    assert_eq!(executor.resumable().await.unwrap(), []);
    let again = executor.resume(run.run_id(), |_| request(model(busy()))).await;
    let running = StartError::Running { run: run.run_id().clone() };
    assert!(matches!(again, Err(ResumeError::Start(error)) if error == running));
    assert_eq!(stage.budget.holds().len(), 1);

    run.cancel();
    let settled = run.settled().await;
    assert!(settled.failures.is_empty(), "{:?}", settled.failures);
    assert_eq!(settled.outcome.status, RunStatus::Cancelled);
}

/// The hold of a dead life is settled with that life's time alone, not the lives before it.
#[tokio::test(start_paused = true)]
async fn each_life_pays_for_its_own_time() {
    let stage = Stage::new();
    let executor = stage.executor();
    let run = executor.start(request(model(busy())).limits(many_steps())).unwrap();
    let id = run.run_id().clone();
    tokio::time::sleep(seconds(40)).await;
    executor.shutdown(seconds(10)).await;
    // The second life dies without a word.
    let second = stage.executor();
    let (handle, task) = second.prepare_resume(&id, |_| request(model(busy()))).await.unwrap();
    let dead = tokio::time::timeout(seconds(7), task).await;
    assert!(dead.is_err(), "the second life was to die");
    drop(handle);
    tokio::time::sleep(seconds(100)).await;
    let third = stage.executor();
    let handle = third.resume(&id, |_| request(model([Say::Reply(Reply::text("done"))]))).await;
    handle.unwrap().settled().await;
    let spent = stage.budget.settled(&HoldId { run: id, attempt: 2 }).expect("settled");
    assert!(spent.runtime_ms <= 7_000, "{} ms for a life of 7 s", spent.runtime_ms);
}
