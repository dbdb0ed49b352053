//! What a production host leans on: failed attempts, caps, read-only runs, counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use executus_core::executor::Durations;
use executus_core::memory::MemoryAudit;
use executus_core::transcript::{CallOutcome, Steer};
use executus_core::{
    Brief, Effect, Entry, ErrorKind, Event, Executor, Fact, Limits, Model, ModelError, Ports,
    Reply, RunRequest, RunStatus, ToolError, ToolOutput, Toolbox, Transcript, Turn, Usage,
};
use executus_testkit::scripted::{Do, Say, ScriptedModel, ScriptedTool};
use serde_json::json;

use crate::stage::{Stage, request, usage};

/// Fails twice and tells of it, then answers; or does not answer at all.
#[derive(Debug)]
struct Stumbling {
    hangs: bool,
}

#[async_trait]
impl Model for Stumbling {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        turn.attempt_failed("first", "it said api_key=sk-1234567890", usage(10, 1));
        turn.attempt_failed("second", "away", Usage::default());
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Reply::text("done").using(usage(20, 2)))
    }
}

fn spent(stage: &Stage) -> executus_core::port::Amounts {
    stage.budget.account("someone").spent
}

fn facts(stage: &Stage, run: &executus_core::RunId) -> Vec<Fact> {
    stage.audit.records(run).into_iter().map(|record| record.fact).collect()
}

fn attempts(facts: &[Fact]) -> Vec<(&str, &str)> {
    let attempts = facts.iter().filter_map(|fact| match fact {
        Fact::Attempted(attempt) => Some((&*attempt.model, attempt.error.as_str())),
        _ => None,
    });
    attempts.collect()
}

const TOLD: [(&str, &str); 2] = [("first", "it said api_key=[redacted]"), ("second", "away")];

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_recorded_before_the_decision_and_count() {
    let stage = Stage::new();
    let ended = stage.run(request(Arc::new(Stumbling { hangs: false }))).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    let facts = facts(&stage, &ended.run);
    assert_eq!(attempts(&facts), TOLD);
    let place = |is: fn(&Fact) -> bool| facts.iter().position(is).unwrap();
    let (attempted, decided) = (
        place(|fact| matches!(fact, Fact::Attempted(_))),
        place(|fact| matches!(fact, Fact::Decided(_))),
    );
    assert_eq!(decided, attempted + 2);
    let tally = ended.outcome().stats.tally;
    assert_eq!((tally.steps, tally.input_tokens, tally.output_tokens), (1, 30, 3));
    // The budget was settled with all of it.
    assert_eq!(spent(&stage).tokens, 35);
}

#[tokio::test(start_paused = true)]
async fn what_a_dropped_decision_used_counts_too() {
    let stage = Stage::new();
    let run = stage.executor().start(request(Arc::new(Stumbling { hangs: true }))).unwrap();
    tokio::task::yield_now().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    run.cancel();
    let settled = run.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Cancelled);
    assert_eq!(attempts(&facts(&stage, run.run_id())), TOLD);
    assert_eq!(settled.outcome.stats.tally.input_tokens, 10);
    assert_eq!(spent(&stage).tokens, 12);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_the_failed_attempts() {
    let mut request = request(Arc::new(Stumbling { hangs: false }));
    let mut events = request.watch(64);
    Executor::new(Ports::default()).start(request).unwrap().settled().await;
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::AttemptFailed { model, .. } = event {
            seen.push(model.to_string());
        }
    }
    assert_eq!(seen, ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_over_its_limit_is_cut_marked_and_no_good_answer() {
    let limits = Limits { max_reply_bytes: 10, ..Limits::default() };
    let model = ScriptedModel::answering("é".repeat(50)).shared();
    let outcome = outcome(RunRequest::new(model).limits(limits)).await;
    assert_eq!(outcome.status, RunStatus::Error);
    let error = outcome.error.as_ref().unwrap();
    assert_eq!(error.kind, ErrorKind::Model);
    assert_eq!(error.message, "the final answer is not whole: it is longer than 10 bytes");
    assert_eq!(outcome.output.as_deref(), Some("ééééé… [cut, 100 bytes in all]"));
}

#[tokio::test(start_paused = true)]
async fn arguments_over_the_limit_are_answered_with_an_error() {
    let limits = Limits { max_reply_bytes: 100, ..Limits::default() };
    let tool = Arc::new(ScriptedTool::new("look", Do::Answer("seen".into())));
    let model = ScriptedModel::new([
        Reply::call("look", json!({"text": "x".repeat(200)})),
        Reply::text("done"),
    ])
    .shared();
    let tools = Toolbox::new([tool.clone() as Arc<dyn executus_core::Tool>]).unwrap();
    let outcome = outcome(RunRequest::new(model.clone()).tools(tools).limits(limits)).await;
    assert_eq!(outcome.status, RunStatus::Ok);
    assert_eq!(tool.calls().len(), 0);
    let Some(error) = failure(&model.seen()[1]) else { panic!("no failure") };
    assert!(error.to_string().contains("bytes, 100 are allowed"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_history_over_its_limit_is_a_context_overflow() {
    let limits = Limits { max_history_bytes: 1000, ..Limits::default() };
    let tool = Arc::new(ScriptedTool::new("look", Do::Answer("x".repeat(600).into())));
    let model = ScriptedModel::new([Say::Reply(Reply::call("look", json!({})))]).for_ever();
    let model = model.shared();
    let tools = Toolbox::new([tool as Arc<dyn executus_core::Tool>]).unwrap();
    let outcome = outcome(RunRequest::new(model.clone()).tools(tools).limits(limits)).await;
    assert_eq!(outcome.status, RunStatus::Error);
    let error = outcome.error.as_ref().unwrap();
    assert_eq!(error.kind, ErrorKind::ContextOverflow);
    assert_eq!(error.message, "the transcript has 1204 bytes, 1000 are allowed");
    assert_eq!(model.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_only_run_denies_what_is_not_and_records_it() {
    for effect in [Effect::Idempotent, Effect::Once, Effect::ReadOnly] {
        let tool = Arc::new(
            ScriptedTool::new("act", Do::Answer("done".into())).with(|spec| spec.effect(effect)),
        );
        let model =
            ScriptedModel::new([Reply::call("act", json!({})), Reply::text("done")]).shared();
        let tools = Toolbox::new([tool.clone() as Arc<dyn executus_core::Tool>]).unwrap();
        let audit = Arc::new(MemoryAudit::default());
        let executor = Executor::builder().audit(audit.clone()).build();
        let request = RunRequest::new(model.clone()).tools(tools).read_only(true);
        let run = executor.start(request).unwrap();
        assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
        let denied = effect != Effect::ReadOnly;
        assert_eq!(tool.calls().is_empty(), denied, "{effect:?}");
        let records = audit.records(run.run_id());
        let found = records.iter().any(|record| match &record.fact {
            Fact::Acted(acted) => matches!(
                &acted.outcome,
                CallOutcome::Failed(ToolError::Denied { code, ends_run: false, .. })
                    if code == "read_only"
            ),
            _ => false,
        });
        assert_eq!(found, denied, "{effect:?}");
        assert!(matches!(&records[0].fact, Fact::Opened(spec) if spec.read_only));
    }
}

/// Asks itself something else before it answers.
#[derive(Debug, Default)]
struct Asking {
    saw: AtomicBool,
}

#[async_trait]
impl Model for Asking {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        assert_eq!(turn.brief(), Some(&Brief::new("the task").system("be brief")));
        let mut transcript = Transcript::default();
        let text = "left".to_owned();
        transcript.push(Entry::Steer(Arc::new(Steer { source: "caller".into(), text })));
        let other = turn.asking(Brief::new("another"), transcript, Toolbox::default());
        assert_eq!(other.brief(), Some(&Brief::new("another")));
        assert_eq!(other.transcript().entries().len(), 1);
        other.attempt_failed("inner", "away", usage(1, 0));
        self.saw.store(true, Ordering::SeqCst);
        Ok(Reply::text("done"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_brief_is_recorded_and_a_turn_can_ask_something_else() {
    let audit = Arc::new(MemoryAudit::default());
    let executor = Executor::builder().audit(audit.clone()).build();
    let model = Arc::new(Asking::default());
    let request = RunRequest::new(model.clone()).brief(Brief::new("the task").system("be brief"));
    let run = executor.start(request).unwrap();
    let outcome = run.settled().await.outcome;
    assert_eq!(outcome.status, RunStatus::Ok, "{outcome:?}");
    assert!(model.saw.load(Ordering::SeqCst));
    assert_eq!(outcome.stats.tally.input_tokens, 1);
    let records = audit.records(run.run_id());
    let Fact::Opened(spec) = &records[0].fact else { panic!("not opened") };
    assert_eq!(spec.brief.as_ref().unwrap().prompt, "the task");
}

/// FN-07: the gauge falls once, the count and the duration carry the same label.
#[tokio::test(start_paused = true)]
async fn the_executor_counts_what_a_host_exports() {
    let executor = Executor::new(Ports::default());
    let slow = Say::Slowly(std::time::Duration::from_millis(700), Reply::text("late"));
    let run = executor.start(request(ScriptedModel::new([slow]).shared())).unwrap();
    assert_eq!((executor.counts().started, executor.counts().active), (1, 1));
    run.settled().await;
    let refused = Limits { max_steps: 0, ..Limits::default() };
    let model = ScriptedModel::answering("never").shared();
    executor.start(RunRequest::new(model).limits(refused)).unwrap().settled().await;
    let counts = executor.counts();
    assert_eq!((counts.started, counts.active), (2, 0));
    for status in RunStatus::ALL {
        let expected = u64::from(matches!(status, RunStatus::Ok | RunStatus::Error));
        assert_eq!(counts.ended[status as usize], expected, "{status}");
        assert_eq!(counts.durations[status as usize].count(), expected, "{status}");
    }
    let ok = counts.durations[RunStatus::Ok as usize];
    assert_eq!(ok.sum_ms, 700);
    let bucket = Durations::BOUNDS_MS.iter().position(|bound| *bound == 1000).unwrap();
    assert_eq!(ok.buckets[bucket], 1);
}

async fn outcome(request: RunRequest) -> Arc<executus_core::Outcome> {
    Executor::new(Ports::default()).start(request).unwrap().outcome().await
}

fn failure(transcript: &Transcript) -> Option<ToolError> {
    transcript.last_results().find_map(|acted| match &acted.outcome {
        CallOutcome::Failed(error) => Some(error.clone()),
        CallOutcome::Output(ToolOutput { .. }) | CallOutcome::Unknown => None,
    })
}
