//! Calls that somebody has to approve: the run waits without being performed, and goes on with an
//! answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::executor::{Awaited, ResumeError};
use executus_core::machine::{Digester, Verdict, replay};
use executus_core::port::Checkpointer;
use executus_core::record::Decided;
use executus_core::secret::Secret;
use executus_core::transcript::CallOutcome;
use executus_core::{
    Answer, ApprovalLimit, Effect, Entry, ErrorKind, Event, Executor, Fact, Next, Ports, Record,
    Reply, Run, RunId, RunRequest, RunStatus, Settled, Timestamp, Tool, ToolContext, ToolError,
    ToolOutput, ToolSpec, Toolbox,
};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::sample;
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use serde_json::{Value, json};

use crate::stage::{Stage, model, request, seconds, tool, tools};

const DAY: Duration = Duration::from_secs(86_400);

/// Counts its calls, each of which somebody has to approve.
fn write(within: Duration) -> Arc<ScriptedTool> {
    let tool = ScriptedTool::new("write", Do::Echo);
    tool.with(|spec| spec.effect(Effect::Once).approval(ApprovalLimit::new(within))).shared()
}

/// A look and a write in one step, then the answer.
fn look_and_write() -> Arc<ScriptedModel> {
    let calls = Reply::call("write", json!({"n": 1})).and_call("echo", json!({"n": 2}));
    model([calls, Reply::text("done")])
}

/// A run that waits, what it can do, and the ports that keep it.
struct Waiting {
    stage: Stage,
    run: RunId,
    write: Arc<ScriptedTool>,
    echo: Arc<ScriptedTool>,
    model: Arc<ScriptedModel>,
}

impl Waiting {
    async fn new(within: Duration) -> Self {
        Self::saying(within, look_and_write()).await
    }

    async fn saying(within: Duration, model: Arc<ScriptedModel>) -> Self {
        let (stage, echo) = (Stage::new(), tool("echo", Do::Echo));
        let run = RunId::random();
        let waiting = Self { stage, run, write: write(within), echo, model };
        let request = waiting.request().run_id(waiting.run.clone());
        let parked = waiting.stage.executor().start(request).unwrap().settled().await;
        waiting.check_parked(&parked);
        waiting
    }

    fn request(&self) -> RunRequest {
        let secrets = [("token".to_owned(), Secret::new("tok-4711-secret"))].into_iter().collect();
        let tools = tools([self.write.clone(), self.echo.clone()]);
        request(self.model.clone()).tools(tools).secrets(secrets)
    }

    fn check_parked(&self, settled: &Settled) {
        self.stage.check(&self.run, &settled.outcome);
        let error = settled.outcome.error.as_ref().unwrap();
        let (status, kind) = (settled.outcome.status, error.kind);
        assert_eq!((status, kind), (RunStatus::Interrupted, ErrorKind::AwaitingApproval));
        assert!(error.message.contains("`write` awaits approval until 20"), "{error}");
        assert!(settled.failures.is_empty(), "{settled:?}");
        assert_eq!(self.stage.checkpointer.kept(), std::slice::from_ref(&self.run));
        assert_eq!(self.stage.delivery.arrivals(&self.run), 0);
    }

    /// Goes on in another executor, as another process would, when the claim of the last one is over.
    async fn resume(&self, answers: Vec<Answer>) -> Result<Settled, ResumeError> {
        let saved = self.stage.checkpointer.load(&self.run).await.unwrap();
        if saved.is_some_and(|saved| saved.claims > 0) {
            tokio::time::sleep(seconds(61)).await;
        }
        let next = self.stage.executor();
        let resumed = next.resume(&self.run, |_| self.request().answers(answers)).await?;
        Ok(resumed.settled().await)
    }

    /// Moves the time limit of what is asked, in what is kept.
    async fn shift(&self, to: Timestamp) {
        let mut saved = self.stage.checkpointer.load(&self.run).await.unwrap().unwrap();
        for record in &mut saved.records {
            if let Fact::Asked { until, .. } = &mut record.fact {
                *until = to;
            }
        }
        self.stage.checkpointer.complete(&self.run).await.unwrap();
        let kept = &self.stage.checkpointer;
        kept.append(&self.run, &saved.records, seconds(60)).await.unwrap();
        kept.release(&self.run).await.unwrap();
    }

    fn results(&self) -> Vec<CallOutcome> {
        let records = self.stage.audit.records(&self.run);
        let run = replay(&records).unwrap();
        let entries = run.transcript().entries().iter();
        let results = entries.filter_map(|entry| match entry {
            Entry::Result(acted) => Some(acted.outcome.clone()),
            Entry::Reply(_) | Entry::Steer(_) => None,
        });
        results.collect()
    }

    fn code(&self, call: usize) -> (String, String) {
        match &self.results()[call] {
            CallOutcome::Failed(ToolError::Denied { code, message, ends_run: false }) => {
                (code.clone(), message.clone())
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The calls that need nobody's yes are made; then the run is kept and nothing of it is performed.
#[tokio::test(start_paused = true)]
async fn a_run_waits_without_being_performed() {
    let waiting = Waiting::new(DAY).await;
    assert_eq!((waiting.write.calls().len(), waiting.echo.calls().len()), (0, 1));
    let next = waiting.stage.executor();
    assert_eq!((next.counts().active, next.resumable().await.unwrap().len()), (0, 1));
    let awaited = next.awaited(&waiting.run).await.unwrap();
    let [Awaited { step: 1, call: 0, name, args, until }] = &awaited[..] else {
        panic!("{awaited:?}")
    };
    assert_eq!((&**name, args), ("write", &json!({"n": 1})));
    let saved = waiting.stage.checkpointer.load(&waiting.run).await.unwrap().unwrap();
    let kept = Run::fold(&saved.records).unwrap();
    assert_eq!(kept.waits(), Some(*until));
    assert_eq!(waiting.stage.trail(&waiting.run).suspended.len(), 1);
}

/// A yes is on record with its giver; the call is made once, the rest of the step is not repeated.
#[tokio::test(start_paused = true)]
async fn a_yes_lets_the_call_be_made() {
    let waiting = Waiting::new(DAY).await;
    let yes = Answer::yes(1, 0, "ann").because("looks fine");
    let settled = waiting.resume(vec![yes.clone()]).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(settled.outcome.output.as_deref(), Some("done"));
    assert_eq!((waiting.write.calls(), waiting.echo.calls().len()), (vec![json!({"n": 1})], 1));
    assert_eq!(waiting.model.asked(), 2, "the step was decided again");
    let records = waiting.stage.audit.records(&waiting.run);
    let said = records.iter().find_map(|record| match &record.fact {
        Fact::Answered(answer) => Some((Answer::clone(answer), record.key)),
        _ => None,
    });
    let (said, key) = said.unwrap();
    assert_eq!((said, key.call), (yes, Some(0)));
    let results = waiting.results();
    assert!(results.iter().all(|one| matches!(one, CallOutcome::Output(_))), "{results:?}");
    assert!(waiting.stage.checkpointer.kept().is_empty());
}

/// A no is that call's error, with its reason; no secret gets into it.
#[tokio::test(start_paused = true)]
async fn a_no_is_the_calls_error() {
    let waiting = Waiting::new(DAY).await;
    let no = Answer::no(1, 0, "ann").because("not with tok-4711-secret");
    let settled = waiting.resume(vec![no]).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert!(waiting.write.calls().is_empty());
    let (code, message) = waiting.code(0);
    assert_eq!(code, "approval_denied");
    assert!(message.contains("`write` was not approved: not with"), "{message}");
    let journal = serde_json::to_string(&waiting.stage.audit.records(&waiting.run)).unwrap();
    assert!(!journal.contains("tok-4711-secret"));
}

/// When its time is over, a call is denied without an answer; and a yes that comes later is none.
#[tokio::test(start_paused = true)]
async fn after_its_time_a_call_is_denied() {
    // It is over before the other call of the step is done.
    let (stage, write, model) = (Stage::new(), write(seconds(1)), look_and_write());
    let slow = tools([write.clone(), tool("echo", Do::Slow(seconds(2)))]);
    assert_eq!(stage.run(request(model.clone()).tools(slow)).await.status(), RunStatus::Ok);
    let seen = format!("{:?}", model.seen()[1].entries());
    assert!(seen.contains("approval_expired") && write.calls().is_empty(), "{seen}");

    // It is over while nobody performs the run.
    let waiting = Waiting::new(DAY).await;
    waiting.shift(Timestamp::now().before(seconds(5))).await;
    let settled = waiting.resume(Vec::new()).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert!(waiting.write.calls().is_empty());
    let seen = format!("{:?}", waiting.model.seen()[1].entries());
    assert!(seen.contains("approval_expired"), "{seen}");

    // A yes that comes later is none.

    let waiting = Waiting::new(DAY).await;
    let late = Timestamp::now().after(DAY + seconds(10));
    waiting.resume(vec![Answer::yes(1, 0, "ann").at(late)]).await.unwrap();
    assert_eq!(waiting.code(0).0, "approval_expired");
    assert!(waiting.write.calls().is_empty());
}

/// Without an answer nothing is claimed: whoever has one goes on at once.
#[tokio::test(start_paused = true)]
async fn without_an_answer_it_is_left_alone() {
    let waiting = Waiting::new(DAY).await;
    let facts = waiting.stage.audit.records(&waiting.run).len();
    // One that is for another call, or another step, is none.
    for answers in [vec![], vec![Answer::yes(1, 1, "ann")], vec![Answer::yes(2, 0, "ann")]] {
        let error = waiting.resume(answers).await.unwrap_err();
        assert!(matches!(&error, ResumeError::AwaitingApproval { .. }), "{error}");
        assert!(error.to_string().contains("awaits approval until 20"), "{error}");
    }
    assert_eq!(waiting.stage.audit.records(&waiting.run).len(), facts);
    let saved = waiting.stage.checkpointer.load(&waiting.run).await.unwrap().unwrap();
    assert_eq!(saved.claims, 0);
    let settled = waiting.resume(vec![Answer::yes(1, 0, "ann")]).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    let over = waiting.resume(vec![Answer::yes(1, 0, "ann")]).await.unwrap_err();
    assert!(matches!(over, ResumeError::Unknown { .. }), "{over}");
}

/// Each of several calls has its own answer; the run waits again for those that have none.
#[tokio::test(start_paused = true)]
async fn each_call_has_its_own_answer() {
    let calls = (1..=3).fold(Reply::default(), |reply, n| reply.and_call("write", json!({"n": n})));
    let waiting = Waiting::saying(DAY, model([calls, Reply::text("done")])).await;
    let parked = waiting.resume(vec![Answer::yes(1, 2, "ann")]).await.unwrap();
    waiting.check_parked(&parked);
    assert_eq!(waiting.write.calls(), [json!({"n": 3})]);
    let answers = vec![Answer::no(1, 0, "bob"), Answer::yes(1, 1, "bob")];
    let settled = waiting.resume(answers).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert_eq!(waiting.write.calls(), [json!({"n": 3}), json!({"n": 2})]);
    assert_eq!(waiting.code(0).0, "approval_denied");
}

/// What an answer in one life cannot be for: a call that a later step asks for.
#[tokio::test(start_paused = true)]
async fn an_answer_never_comes_before_it_was_asked_for() {
    let twice = [
        Reply::call("write", json!({"n": 1})),
        Reply::call("write", json!({"n": 2})),
        Reply::text("done"),
    ];
    let waiting = Waiting::saying(DAY, model(twice)).await;
    let both = vec![Answer::yes(1, 0, "ann"), Answer::yes(2, 0, "ann")];
    let parked = waiting.resume(both).await.unwrap();
    waiting.check_parked(&parked);
    assert_eq!(waiting.write.calls(), [json!({"n": 1})]);
    let settled = waiting.resume(vec![Answer::yes(2, 0, "ann")]).await.unwrap();
    assert_eq!(settled.outcome.status, RunStatus::Ok);
}

/// A run that nobody keeps cannot wait: the call is denied, and the run goes on.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_not_kept_does_not_wait() {
    let (write, model) = (write(DAY), look_and_write());
    let request = request(model.clone()).tools(tools([write.clone(), tool("echo", Do::Echo)]));
    let run = Executor::new(Ports::default()).start(request).unwrap();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    assert!(write.calls().is_empty());
    let seen = model.seen();
    let first = seen[1].last_results().next().unwrap();
    let CallOutcome::Failed(error) = &first.outcome else { panic!("{first:?}") };
    assert!(error.to_string().starts_with("denied (approval_unavailable)"), "{error}");
}

/// A run that cannot be kept as it waits ends: it would never go on.
#[tokio::test(start_paused = true)]
async fn a_run_that_could_not_be_kept_ends() {
    let stage = Stage::with(Plan::new().from(Site::Append, 1, Fault::Error));
    let tools = tools([write(DAY), tool("echo", Do::Echo)]);
    let ended = stage.run(request(look_and_write()).tools(tools)).await;
    let kind = ended.outcome().error.as_ref().unwrap().kind;
    assert_eq!((ended.status(), kind), (RunStatus::Error, ErrorKind::Checkpoint));
}

/// A run that waits can be ended for good, by its id alone; one that is under way, too.
#[tokio::test(start_paused = true)]
async fn runs_are_cancelled_by_their_id() {
    let waiting = Waiting::new(DAY).await;
    let executor = waiting.stage.executor();
    assert!(!executor.cancel(&waiting.run), "nothing of it is under way");
    let ended = executor.cancel_kept(&waiting.run, |_| waiting.request()).await.unwrap();
    let settled = ended.settled().await;
    assert_eq!(settled.outcome.status, RunStatus::Cancelled);
    assert!(waiting.write.calls().is_empty());
    assert_eq!(waiting.model.asked(), 1);
    assert_eq!(waiting.stage.trail(&waiting.run).closed.len(), 1);
    assert_eq!(waiting.stage.delivery.arrivals(&waiting.run), 1);
    assert!(waiting.stage.checkpointer.kept().is_empty());

    let stage = Stage::new();
    let executor = stage.executor();
    let hangs = model([executus_testkit::scripted::Say::Hang]);
    let run = executor.start(request(hangs)).unwrap();
    tokio::time::sleep(seconds(1)).await;
    assert!(executor.cancel(run.run_id()));
    assert_eq!(run.settled().await.outcome.status, RunStatus::Cancelled);
    assert!(!executor.cancel(run.run_id()));
}

/// Its own time passes only while a run is performed; a cancel that came first counts.
#[tokio::test(start_paused = true)]
async fn waiting_takes_none_of_the_runs_time() {
    let waiting = Waiting::new(DAY).await;
    let saved = waiting.stage.checkpointer.load(&waiting.run).await.unwrap().unwrap();
    let kept = Run::fold(&saved.records).unwrap();
    let left = kept.deadline().since(kept.last_at());
    waiting.resume(vec![Answer::yes(1, 0, "ann")]).await.unwrap();
    let records = waiting.stage.audit.records(&waiting.run);
    let resumed = records.iter().find_map(|record| match record.fact {
        Fact::Resumed { deadline, .. } => Some(deadline.since(record.at)),
        _ => None,
    });
    assert_eq!(resumed, Some(left));
}

/// Who watches a run reads what is asked and what was said.
#[tokio::test(start_paused = true)]
async fn who_watches_reads_of_it() {
    let stage = Stage::new();
    let tools = tools([write(DAY), tool("echo", Do::Echo)]);
    let mut first = request(look_and_write()).tools(tools.clone());
    let mut events = first.watch(64);
    let run = stage.executor().start(first).unwrap();
    run.settled().await;
    let mut asked = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::ApprovalAsked { step, call, name, args, .. } = event {
            asked.push((step, call, name.to_string(), args));
        }
    }
    assert_eq!(asked, [(1, 0, "write".to_owned(), json!({"n": 1}))]);

    let mut second = request(model([Reply::text("done")])).tools(tools);
    let mut events = second.watch(64);
    let yes = Answer::yes(1, 0, "ann");
    let resumed = stage.executor().resume(run.run_id(), |_| second.answers([yes])).await.unwrap();
    resumed.settled().await;
    let mut said = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::ApprovalAnswered { call, approved, by, .. } = event {
            said.push((call, approved, by.to_string()));
        }
    }
    assert_eq!(said, [(0, true, "ann".to_owned())]);
}

/// Runs a child that needs somebody's yes.
struct Below(Arc<ScriptedTool>, ToolSpec);

#[async_trait]
impl Tool for Below {
    fn spec(&self) -> &ToolSpec {
        &self.1
    }

    async fn call(&self, context: &ToolContext, _: &Value) -> Result<ToolOutput, ToolError> {
        let child = model([Reply::call("write", json!({})), Reply::text("from below")]);
        let request = RunRequest::new(child.clone()).tools(tools([self.0.clone()]));
        let run =
            context.delegate(request).map_err(|error| ToolError::failed(error.to_string()))?;
        let outcome = run.outcome().await;
        let seen = child.seen();
        let told = seen[1].last_results().next().unwrap();
        Ok(ToolOutput::text(format!("{} {:?}", outcome.status, told.outcome)))
    }
}

/// A child run is kept by its parent and cannot wait by itself; the call that delegates can.
#[tokio::test(start_paused = true)]
async fn a_child_does_not_wait() {
    let (stage, write) = (Stage::new(), write(DAY));
    let spec = ToolSpec::new("below", "Runs a child.").effect(Effect::Idempotent);
    let below: Arc<dyn Tool> = Arc::new(Below(write.clone(), spec));
    let asking = model([Reply::call("below", json!({})), Reply::text("done")]);
    let request = request(asking.clone()).tools(Toolbox::new([below]).unwrap());
    assert_eq!(stage.run(request).await.status(), RunStatus::Ok);
    assert!(write.calls().is_empty());
    let seen = asking.seen();
    let told = format!("{:?}", seen[1].last_results().next().unwrap().outcome);
    assert!(told.contains("approval_unavailable") && told.contains("ok "), "{told}");
}

fn decided(calls: usize) -> Fact {
    let reply = (0..calls).fold(Reply::default(), |reply, n| reply.and_call("w", json!({"n": n})));
    let effects = vec![Effect::Once; calls];
    Fact::Decided(Decided { step: 1, reply: Arc::new(reply), effects })
}

/// The machine: plans, orders and refusals, without anybody who performs them.
#[test]
fn the_plan_of_a_step_that_waits() {
    let spec = Arc::new(sample::spec(&RunId::new("plans").unwrap()));
    let mut run = Run::new(Arc::clone(&spec));
    let at = run.last_at().after(seconds(1));
    let (soon, later) = (at.after(seconds(60)), at.after(seconds(120)));
    let take = |run: &mut Run, fact: Fact| run.apply(at, &fact).map_err(|it| it.fact);
    let asked = |call, until| Fact::Asked { step: 1, call, until };
    let said = |answer: Answer| Fact::Answered(Arc::new(answer.at(at)));
    take(&mut run, decided(3)).unwrap();
    take(&mut run, asked(2, soon)).unwrap();
    take(&mut run, asked(0, later)).unwrap();
    assert_eq!(run.plan(), Next::Act { step: 1 });
    // What waits does not begin, and is not asked for twice; what was not asked for is not answered.
    assert_eq!(take(&mut run, Fact::Started { step: 1, call: 0 }), Err("started"));
    assert_eq!(take(&mut run, asked(0, soon)), Err("asked"));
    assert_eq!(take(&mut run, said(Answer::yes(1, 1, "ann"))), Err("answered"));
    let acted = |call, failed| {
        let outcome = match failed {
            true => CallOutcome::Failed(ToolError::failed("no")),
            false => CallOutcome::Output(ToolOutput::text("yes")),
        };
        let (id, name) = ("".into(), "w".into());
        let acted =
            executus_core::transcript::Acted { step: 1, call, id, name, outcome, duration_ms: 0 };
        Fact::Acted(Arc::new(acted))
    };
    assert_eq!(take(&mut run, acted(2, true)), Err("acted"));
    take(&mut run, acted(1, false)).unwrap();
    assert_eq!(run.plan(), Next::Wait { step: 1 });
    assert_eq!(run.waits(), Some(soon));
    take(&mut run, said(Answer::yes(1, 0, "ann"))).unwrap();
    assert_eq!(take(&mut run, said(Answer::no(1, 0, "bob"))), Err("answered"));
    assert_eq!(run.plan(), Next::Act { step: 1 });
    take(&mut run, Fact::Started { step: 1, call: 0 }).unwrap();
    take(&mut run, acted(0, false)).unwrap();
    assert_eq!(run.plan(), Next::Wait { step: 1 });
    take(&mut run, said(Answer::no(1, 2, "bob"))).unwrap();
    assert_eq!(run.approval(2).unwrap().verdict(), Some(Verdict::Denied));
    // What was denied neither begins nor succeeds.
    assert_eq!(take(&mut run, Fact::Started { step: 1, call: 2 }), Err("started"));
    assert_eq!(take(&mut run, acted(2, false)), Err("acted"));
    take(&mut run, acted(2, true)).unwrap();
    assert_eq!(run.plan(), Next::Decide { step: 2 });
    assert!(run.approvals().is_empty());
}

/// A journal of a version that knew no approvals folds to the states that it was written with.
#[test]
fn older_journals_replay() {
    let lines = include_str!("journal-without-approvals.jsonl").lines();
    let records: Vec<Record> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let run = replay(&records).unwrap();
    assert_eq!(run.end().unwrap().stop.status, RunStatus::Ok);
    assert_eq!(run.attempt(), 2);
    assert_eq!(Digester::new().digest(&run), records.last().unwrap().state);
    let again: Vec<String> = records.iter().map(|it| serde_json::to_string(it).unwrap()).collect();
    assert!(
        again
            .iter()
            .map(String::as_str)
            .eq(include_str!("journal-without-approvals.jsonl").lines())
    );
}
