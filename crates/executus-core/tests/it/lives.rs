//! Runs that are left: by the dead, by those who were taken for dead, and by those who kill their
//! worker.

use executus_core::executor::{Executor, LeftState, ResumeError};
use executus_core::memory::MemoryCheckpointer;
use executus_core::port::{Checkpointer, Ports};
use executus_core::record::Fact;
use executus_core::{Effect, ErrorKind, HoldId, Reply, RunId, RunStatus};
use executus_testkit::faulty::Site;
use executus_testkit::scripted::{Do, Say, ScriptedTool};
use serde_json::json;

use crate::stage::{Stage, model, request, seconds, tools, two_steps};

/// One call, then nothing for ever.
fn stuck() -> [Say; 2] {
    [Reply::call("echo", json!({"n": 1})).into(), Say::Hang]
}

/// A run whose process dies after this long.
async fn dead(stage: &Stage, lines: impl IntoIterator<Item = Say>, after: u64) -> RunId {
    let (handle, task) = stage.executor().prepare(request(model(lines))).unwrap();
    assert!(tokio::time::timeout(seconds(after), task).await.is_err(), "it was to die");
    handle.run_id().clone()
}

/// Another life that dies after this long.
async fn dies_again(stage: &Stage, run: &RunId, after: u64) -> Result<(), ResumeError> {
    let executor = stage.executor();
    let (_handle, task) = executor.prepare_resume(run, |_| request(model(stuck()))).await?;
    assert!(tokio::time::timeout(seconds(after), task).await.is_err(), "it was to die");
    Ok(())
}

/// CK-01: that a run began is kept before its model is asked, and what happened is kept soon, while
/// the model thinks.
#[tokio::test(start_paused = true)]
async fn what_waits_is_kept_while_the_model_thinks() {
    let stage = Stage::new();
    let run = stage.executor().start(request(model(stuck()))).unwrap();
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(stage.plan.count(Site::Append), 2);
    let saved = stage.checkpointer.load(run.run_id()).await.unwrap().unwrap();
    assert!(matches!(saved.records.last().unwrap().fact, Fact::Acted(_)), "{:?}", saved.records);
    run.cancel();
}

/// CK-01: the answer of a call that may happen only once is kept before anything else happens.
#[tokio::test(start_paused = true)]
async fn the_answer_of_a_once_call_is_kept_at_once() {
    let stage = Stage::new();
    let once = ScriptedTool::new("once", Do::Echo).with(|spec| spec.effect(Effect::Once)).shared();
    let lines = [Reply::call("once", json!({})).into(), Say::Hang];
    let request = request(model(lines)).tools(tools([once]));
    let (handle, task) = stage.executor().prepare(request).unwrap();
    // No time passes: it dies as soon as it waits for its model.
    assert!(tokio::time::timeout(seconds(0), task).await.is_err());
    let saved = stage.checkpointer.load(handle.run_id()).await.unwrap().unwrap();
    assert!(matches!(saved.records.last().unwrap().fact, Fact::Acted(_)), "{:?}", saved.records);
}

/// K6: a run in its first life is held for as long as it lives, whatever little it says.
#[tokio::test(start_paused = true)]
async fn a_silent_life_is_held() {
    let stage = Stage::new();
    let run = stage.executor().start(request(model([Say::Hang]))).unwrap();
    tokio::time::sleep(seconds(200)).await;
    assert_eq!(stage.plan.count(Site::Append), 1);
    let other = stage.executor();
    assert_eq!(other.resumable().await.unwrap(), []);
    let taken = other.resume(run.run_id(), |_| request(two_steps())).await;
    assert!(matches!(taken, Err(ResumeError::Claimed { .. })), "{taken:?}");
    run.cancel();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Cancelled);
}

/// CK-04: what a boot finds dead is recorded as interrupted, its budget is settled, and it can be
/// resumed; a claim for that is no attempt.
#[tokio::test(start_paused = true)]
async fn the_dead_are_recorded_as_interrupted() {
    let stage = Stage::new();
    let run = dead(&stage, stuck(), 20).await;
    let boot = stage.executor();
    assert!(boot.recover().await.unwrap().is_empty(), "its lease has not run out");
    tokio::time::sleep(seconds(61)).await;

    let left = boot.recover().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].run, &left[0].spec.as_ref().unwrap().run_id), (&run, &run));
    assert!(matches!(left[0].state, LeftState::Interrupted { died: true }), "{left:?}");
    let suspended = stage.trail(&run).suspended;
    assert_eq!(suspended.len(), 1);
    assert_eq!(suspended[0].status, RunStatus::Interrupted);
    let error = suspended[0].error.as_ref().unwrap();
    assert!(error.kind == ErrorKind::Interrupted && error.message.contains("died"), "{error}");
    assert!(stage.budget.settled(&HoldId { run: run.clone(), attempt: 1 }).is_some());
    let saved = stage.checkpointer.load(&run).await.unwrap().unwrap();
    assert_eq!((saved.claims, saved.in_vain), (0, 0));

    let resumed = boot.resume(&run, |_| request(two_steps())).await.unwrap();
    let ended = stage.ended(run, resumed.settled().await);
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(stage.trail(&ended.run).closed.len(), 1);
}

/// CK-04: what was interrupted in order is not recorded again.
#[tokio::test(start_paused = true)]
async fn an_orderly_interruption_is_no_death() {
    let stage = Stage::new();
    let executor = stage.executor();
    let run = executor.start(request(model(stuck()))).unwrap();
    tokio::time::sleep(seconds(5)).await;
    executor.shutdown(seconds(10)).await;
    let left = stage.executor().recover().await.unwrap();
    assert!(matches!(left[0].state, LeftState::Interrupted { died: false }), "{left:?}");
    assert_eq!(stage.trail(run.run_id()).suspended.len(), 1);
}

/// K8 K9: lives without an advance are counted; after too many the run is parked, and recorded so;
/// unparked, it goes on.
#[tokio::test(start_paused = true)]
async fn a_run_that_dies_in_vain_is_parked() {
    let stage = Stage::new();
    let run = dead(&stage, stuck(), 20).await;
    for _ in 0..5 {
        tokio::time::sleep(seconds(61)).await;
        dies_again(&stage, &run, 20).await.unwrap();
    }
    tokio::time::sleep(seconds(61)).await;
    let boot = stage.executor();
    let refused = dies_again(&stage, &run, 20).await;
    assert!(matches!(refused, Err(ResumeError::Parked { .. })), "{refused:?}");
    assert!(boot.resumable().await.unwrap().is_empty());
    assert_eq!(boot.parked().await.unwrap(), std::slice::from_ref(&run));
    let left = boot.recover().await.unwrap();
    let why = match &left[0].state {
        LeftState::Parked { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why.kind, ErrorKind::Parked);
    let trail = stage.trail(&run);
    assert_eq!(trail.suspended.last().unwrap().error.as_ref(), Some(&why));
    assert!(left[0].spec.is_some(), "a parked run is readable");

    assert!(boot.unpark(&run).await.unwrap());
    let resumed = boot.resume(&run, |_| request(two_steps())).await.unwrap();
    assert_eq!(resumed.settled().await.outcome.status, RunStatus::Ok);
}

/// A run that advances in each life is not parked, however often its process dies.
#[tokio::test(start_paused = true)]
async fn one_that_advances_is_not_parked() {
    let stage = Stage::new();
    let slow = || vec![Say::Slowly(seconds(15), Reply::call("echo", json!({}))); 12];
    let run = dead(&stage, slow(), 20).await;
    for _ in 0..8 {
        tokio::time::sleep(seconds(61)).await;
        let executor = stage.executor();
        let (_handle, task) =
            executor.prepare_resume(&run, |_| request(model(slow()))).await.unwrap();
        assert!(tokio::time::timeout(seconds(20), task).await.is_err());
    }
    let saved = stage.checkpointer.load(&run).await.unwrap().unwrap();
    assert_eq!((saved.claims, saved.in_vain), (8, 0));
}

/// A parked run can be cancelled.
#[tokio::test(start_paused = true)]
async fn a_parked_run_can_be_cancelled() {
    let stage = Stage::new();
    let run = dead(&stage, stuck(), 20).await;
    tokio::time::sleep(seconds(61)).await;
    let why = executus_core::RunError::new(ErrorKind::Parked, "by hand");
    stage.checkpointer.park(&run, &why).await.unwrap();
    let cancelled = stage.executor().cancel_kept(&run, |_| request(two_steps())).await.unwrap();
    assert_eq!(cancelled.settled().await.outcome.status, RunStatus::Cancelled);
    assert!(stage.checkpointer.kept().is_empty());
}

/// K7: who was taken for dead and comes back leaves the run to the life that has it: nothing more
/// is recorded, called, delivered or ended by him.
#[tokio::test(start_paused = true)]
async fn who_lost_a_run_leaves_it() {
    let stage = Stage::new();
    let first = stage.executor();
    let once = ScriptedTool::new("once", Do::Echo).with(|spec| spec.effect(Effect::Once)).shared();
    let lines = [
        Say::Slowly(seconds(15), Reply::call("echo", json!({}))),
        Reply::call("once", json!({})).into(),
    ];
    let again = request(model(lines)).tools(tools([once.clone()]));
    let run = first.start(again).unwrap();
    tokio::time::sleep(seconds(5)).await;
    // As after a pause longer than the lease: somebody else has it.
    let other = MemoryCheckpointer::clone(&stage.checkpointer);
    let (id, kept) = (run.run_id(), stage.checkpointer.kept());
    assert_eq!(kept, std::slice::from_ref(id));
    steal(&other, id).await;

    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Interrupted);
    assert!(once.calls().is_empty(), "a call was made without the run");
    let trail = stage.trail(id);
    assert!(trail.closed.is_empty() && trail.suspended.is_empty());
    assert!(!trail.records.iter().any(|record| matches!(record.fact, Fact::Stopped(_))));
    assert_eq!(stage.checkpointer.kept(), kept, "what another one has is kept");
}

/// K7: a renewal tells it too, while the model thinks.
#[tokio::test(start_paused = true)]
async fn a_renewal_tells_what_is_lost() {
    let stage = Stage::new();
    let run = stage.executor().start(request(model([Say::Hang]))).unwrap();
    tokio::time::sleep(seconds(5)).await;
    steal(&stage.checkpointer.clone(), run.run_id()).await;
    let settled = tokio::time::timeout(seconds(25), run.settled()).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Interrupted);
}

/// Takes a run from who holds it, as if its lease had run out.
async fn steal(thief: &MemoryCheckpointer, run: &RunId) {
    thief.expire(run);
    assert!(thief.claim(run, seconds(600)).await.unwrap());
}

/// An id under which another run is kept is not taken: neither run is harmed.
#[tokio::test(start_paused = true)]
async fn a_kept_id_is_not_started_anew() {
    let stage = Stage::new();
    let checkpointer = MemoryCheckpointer::clone(&stage.checkpointer);
    let run = dead(&stage, stuck(), 20).await;
    let before = checkpointer.load(&run).await.unwrap();
    let ports =
        Ports { checkpointer: Some(std::sync::Arc::new(checkpointer.clone())), ..Ports::default() };
    let model = two_steps();
    let again = Executor::new(ports).start(request(model.clone()).run_id(run.clone())).unwrap();
    assert_eq!(again.settled().await.outcome.status, RunStatus::Interrupted);
    assert_eq!(model.asked(), 0);
    assert_eq!(checkpointer.load(&run).await.unwrap(), before);
}
