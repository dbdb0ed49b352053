//! The run kernel: every exit, recorded and settled once.

use std::sync::Arc;

use executus_core::port::{Amounts, EntryKind};
use executus_core::record::Fact;
use executus_core::transcript::CallOutcome;
use executus_core::{
    Entry, ErrorKind, Event, Executor, Limits, ModelError, Ports, Reply, RunId, RunStatus, Tool,
    ToolError, ToolOutput, Toolbox,
};
use executus_testkit::faulty::{Fault, Plan, Site};
use executus_testkit::scripted::{Do, Say, ScriptedModel};
use parking_lot::Mutex;
use serde_json::json;

use crate::stage::{Stage, model, request, seconds, tool, tools, two_steps, usage};

/// RK-01: nothing but a model is needed.
#[tokio::test(start_paused = true)]
async fn without_ports_the_result_is_the_returned_value() {
    let executor = Executor::new(Ports::default());
    let run = executor.start(request(two_steps())).unwrap();
    let outcome = run.outcome().await;
    assert_eq!(outcome.status, RunStatus::Ok);
    assert_eq!(outcome.output.as_deref(), Some("done"));
    assert_eq!(outcome.error, None);
    assert_eq!((outcome.stats.tally.steps, outcome.stats.tally.tool_calls), (2, 1));
    assert_eq!(outcome.stats.tally.tokens(), 44);
    let settled = run.settled().await;
    assert_eq!(settled.outcome, outcome);
    assert!(settled.failures.is_empty(), "{:?}", settled.failures);
}

/// Every way in which one call of a port can panic.
const PANICS: [Fault; 2] = [Fault::Panic, Fault::PanicEarly];

/// RK-03: a critic that panics at set-up is an error that names it; later it only ends the watching.
#[tokio::test(start_paused = true)]
async fn a_critic_that_panics_at_set_up_refuses_the_run() {
    for fault in PANICS {
        let stage = Stage::with(Plan::new().with(Site::Monitor, 1, fault));
        let model = two_steps();
        let ended = stage.run(request(model.clone())).await;
        assert_eq!(ended.status(), RunStatus::Error);
        assert_eq!(ended.outcome().error.as_ref().unwrap().kind, ErrorKind::Critic);
        assert!(ended.error().contains("planned panic at Monitor"), "{}", ended.error());
        assert_eq!(model.asked(), 0);
    }
    for site in [Site::WatcherStep, Site::WatcherTool, Site::WatcherSteer, Site::WatcherStop] {
        let stage = Stage::with(Plan::new().with(site, 1, Fault::Panic));
        let run = stage.executor().start(request(two_steps())).unwrap();
        let settled = run.settled().await;
        assert_eq!(settled.outcome.status, RunStatus::Ok, "{site}");
        assert_eq!(stage.plan.count(Site::WatcherStop), 1, "{site}");
    }
}

/// RK-04: an audit that panics at the start is an error that names it.
#[tokio::test(start_paused = true)]
async fn an_audit_that_panics_at_the_start_refuses_the_run() {
    for fault in PANICS {
        let stage = Stage::with(Plan::new().with(Site::AuditStart, 1, fault));
        let model = two_steps();
        let ended = stage.run(request(model.clone())).await;
        assert_eq!(ended.status(), RunStatus::Error);
        assert_eq!(ended.outcome().error.as_ref().unwrap().kind, ErrorKind::Audit);
        assert!(ended.error().contains("planned panic at AuditStart"), "{}", ended.error());
        assert_eq!(model.asked(), 0);
        assert_eq!(stage.plan.count(Site::Reserve), 0, "asked before there was a record");
    }
}

/// RK-05: a palette that panics at admission refuses the run; during a call it is the call's error.
#[tokio::test(start_paused = true)]
async fn a_palette_that_panics() {
    for fault in PANICS {
        let stage = Stage::with(Plan::new().with(Site::Resolve, 1, fault));
        let model = two_steps();
        let ended = stage.run(request(model.clone()).delegate_to(EntryKind::Skill, "foo")).await;
        assert_eq!(ended.outcome().error.as_ref().unwrap().kind, ErrorKind::Palette);
        assert!(ended.error().contains("planned panic at Resolve"), "{}", ended.error());
        assert_eq!(model.asked(), 0);

        let stage = Stage::with(Plan::new().with(Site::Invoke, 1, fault));
        let model = model_calling("skill__foo");
        let ended = stage.run(request(model.clone()).delegate_to(EntryKind::Skill, "foo")).await;
        assert_eq!(ended.status(), RunStatus::Ok);
        let failed = only_failure(&model);
        assert!(matches!(failed, ToolError::Panicked { .. }), "{failed:?}");
    }
}

fn model_calling(name: &str) -> Arc<ScriptedModel> {
    model([Reply::call(name, json!({})), Reply::text("done")])
}

/// The one failed call that a model has read.
fn only_failure(model: &ScriptedModel) -> ToolError {
    let seen = model.seen();
    let entries = seen.last().expect("a turn").entries();
    let mut failures = entries.iter().filter_map(|entry| match entry {
        Entry::Result(acted) => match &acted.outcome {
            CallOutcome::Failed(error) => Some(error.clone()),
            CallOutcome::Output(_) | CallOutcome::Unknown => None,
        },
        Entry::Reply(_) | Entry::Steer(_) => None,
    });
    let failure = failures.next().expect("a failed call");
    assert!(failures.next().is_none());
    failure
}

/// RK-07: each way to end has its status; only an interrupted run is not closed.
#[tokio::test(start_paused = true)]
async fn every_end_has_its_status() {
    let short = Limits { hard_timeout: seconds(5), ..Limits::default() };
    let hang = || request(model([Say::Hang]));
    let mut seen = Vec::new();

    let stage = Stage::new();
    seen.push(stage.run(request(two_steps())).await.status());
    seen.push(stage.run(request(model([Say::Panic]))).await.status());
    seen.push(stage.run(hang().limits(short)).await.status());
    seen.push(stage.run(request(two_steps()).dry_run(true)).await.status());

    let run = stage.executor().start(hang()).unwrap();
    tokio::time::sleep(seconds(1)).await;
    run.cancel();
    seen.push(stage.ended(run.run_id().clone(), run.settled().await).status());

    stage.budget.set_limit("someone", Amounts::default());
    seen.push(stage.run(request(two_steps())).await.status());

    let stage = Stage::new();
    let executor = stage.executor();
    let run = executor.start(hang()).unwrap();
    tokio::time::sleep(seconds(1)).await;
    let report = executor.shutdown(seconds(10)).await;
    assert!(report.unsettled.is_empty(), "{report:?}");
    seen.push(stage.ended(run.run_id().clone(), run.settled().await).status());
    assert!(!RunStatus::Interrupted.is_terminal());

    let expected = [
        RunStatus::Ok,
        RunStatus::Error,
        RunStatus::Timeout,
        RunStatus::DryRun,
        RunStatus::Cancelled,
        RunStatus::BudgetExceeded,
        RunStatus::Interrupted,
    ];
    assert_eq!(seen, expected);
}

/// RK-08: the start record is complete, and the same for audit and critic.
#[tokio::test(start_paused = true)]
async fn the_start_record_reaches_audit_and_critic() {
    let stage = Stage::new();
    let request = request(two_steps())
        .run_id(RunId::new("report-7").unwrap())
        .subject("agent-9")
        .name("Monthly report")
        .channel("mail")
        .inputs(json!({"month": "May"}));
    let ended = stage.run(request).await;
    let starts = stage.trail(&ended.run).starts;
    assert_eq!(starts.len(), 1);
    let (of_critic, _) = stage.critic.started(&ended.run).unwrap();
    assert_eq!(starts[0], of_critic);
    let spec = &starts[0].spec;
    assert_eq!(spec.run_id.as_str(), "report-7");
    assert_eq!((&*spec.subject_id, &*spec.name), ("agent-9", "Monthly report"));
    assert_eq!((&*spec.caller_id, &*spec.channel_id), ("someone", "mail"));
    assert_eq!(spec.parent_run_id, None);
    assert_eq!(*spec.inputs, json!({"month": "May"}));
    assert!(spec.started_at > executus_core::Timestamp::default());
}

/// RK-09: a budget that refuses: no model call, nothing saved, nothing delivered, but recorded.
#[tokio::test(start_paused = true)]
async fn a_refused_budget_ends_the_run_before_it_begins() {
    let stage = Stage::new();
    stage.budget.set_limit("someone", Amounts { runs: 1, ..Amounts::default() });
    let model = two_steps();
    let ended = stage.run(request(model.clone())).await;
    assert_eq!(ended.status(), RunStatus::BudgetExceeded);
    assert_eq!(model.asked(), 0);
    for site in [Site::Append, Site::Complete, Site::Fail, Site::Deliver, Site::Monitor] {
        assert_eq!(stage.plan.count(site), 0, "{site}");
    }
    assert_eq!(stage.trail(&ended.run).closed.len(), 1);
}

/// RK-10: a reservation is settled exactly once, with time and tokens, on every exit.
#[tokio::test(start_paused = true)]
async fn a_reservation_is_settled_once_on_every_exit() {
    let call = || Say::Reply(Reply::call("echo", json!({})).using(usage(10, 5)));
    let slow = || Say::Slowly(seconds(2), Reply::call("echo", json!({})).using(usage(10, 5)));
    let short = Limits { hard_timeout: seconds(5), ..Limits::default() };
    let cases = [
        ("success", vec![slow(), Reply::text("done").into()], RunStatus::Ok),
        (
            "error",
            vec![slow(), ModelError::Rejected { message: "no".into() }.into()],
            RunStatus::Error,
        ),
        ("panic", vec![slow(), Say::Panic], RunStatus::Error),
        ("timeout", vec![slow(), call(), Say::Hang], RunStatus::Timeout),
        ("cancel", vec![slow(), call(), Say::Hang], RunStatus::Cancelled),
        ("drop", vec![slow(), call(), Say::Hang], RunStatus::Cancelled),
    ];
    for (how, lines, status) in cases {
        let steps = lines.len() as u64 - 1;
        let stage = Stage::new();
        let executor = stage.executor();
        let run = executor.start(request(model(lines)).limits(short.clone())).unwrap();
        let id = run.run_id().clone();
        match how {
            "cancel" => {
                tokio::time::sleep(seconds(3)).await;
                run.cancel();
                run.settled().await;
            }
            "drop" => {
                tokio::time::sleep(seconds(3)).await;
                drop(run);
                while executor.counts().active > 0 {
                    tokio::time::sleep(seconds(1)).await;
                }
            }
            _ => {
                run.settled().await;
            }
        }
        assert_eq!(stage.plan.count(Site::Settle), 1, "{how}");
        assert_eq!(stage.plan.count(Site::Release), 0, "{how}");
        let closed = stage.trail(&id).closed;
        assert_eq!(closed.len(), 1, "{how}");
        assert_eq!(closed[0].status, status, "{how}");
        let account = stage.budget.account("someone");
        assert_eq!(account.held, Amounts::default(), "{how}");
        assert_eq!(account.spent.tokens, 16 * steps, "{how}");
        assert!(account.spent.runtime_ms >= 2000, "{how}: {account:?}");
    }
}

/// RK-10: a hold whose answer never came is released, and only released.
#[tokio::test(start_paused = true)]
async fn a_hold_that_may_be_granted_is_released() {
    for fault in [Fault::Lost, Fault::Stuck, Fault::Panic, Fault::Hang, Fault::Error] {
        let stage = Stage::with(Plan::new().with(Site::Reserve, 1, fault));
        let ended = stage.run(request(two_steps())).await;
        assert_eq!(ended.outcome().error.as_ref().unwrap().kind, ErrorKind::Budget, "{fault:?}");
        let (released, settled) = (stage.plan.count(Site::Release), stage.plan.count(Site::Settle));
        assert_eq!((released, settled), (1, 0), "{fault:?}");
    }
}

/// RK-11: a model's error keeps what was gathered so far.
#[tokio::test(start_paused = true)]
async fn a_failing_model_keeps_what_there_was() {
    let stage = Stage::new();
    let mut first = Reply::call("echo", json!({})).using(usage(10, 5));
    first.text = "I will look".into();
    let failure = ModelError::Unavailable { message: "gone".into() };
    let ended = stage.run(request(model([Say::Reply(first), failure.into()]))).await;
    let outcome = ended.outcome();
    assert_eq!(outcome.status, RunStatus::Error);
    assert_eq!(outcome.error.as_ref().unwrap().kind, ErrorKind::Model);
    assert!(outcome.error.as_ref().unwrap().message.contains("gone"));
    assert_eq!(outcome.output.as_deref(), Some("I will look"));
    assert_eq!((outcome.stats.tally.tool_calls, outcome.stats.tally.tokens()), (1, 16));
}

/// RK-12: a cancel is `cancelled`, answered at once, and recorded.
#[tokio::test(start_paused = true)]
async fn a_cancel_is_recorded() {
    let stage = Stage::new();
    let run = stage.executor().start(request(model([Say::Hang]))).unwrap();
    tokio::time::sleep(seconds(2)).await;
    run.cancel();
    let asked = tokio::time::Instant::now();
    let outcome = run.outcome().await;
    assert!(asked.elapsed().as_millis() <= 50);
    assert_eq!(outcome.status, RunStatus::Cancelled);
    let ended = stage.ended(run.run_id().clone(), run.settled().await);
    assert_eq!(ended.outcome(), &*outcome);
    assert_eq!(stage.trail(&ended.run).closed[0].status, RunStatus::Cancelled);
}

/// RK-13: a passed limit, the run's own or the critic's, is `timeout`.
#[tokio::test(start_paused = true)]
async fn a_passed_limit_is_a_timeout() {
    let stage = Stage::new();
    let limits = Limits { hard_timeout: seconds(5), ..Limits::default() };
    let slow_tool = tool("slow", Do::Slow(seconds(60)));
    let slow = request(model_calling("slow")).tools(tools([slow_tool])).limits(limits.clone());
    for request in [request(model([Say::Hang])).limits(limits), slow] {
        let began = tokio::time::Instant::now();
        let run = stage.executor().start(request).unwrap();
        assert_eq!(run.outcome().await.status, RunStatus::Timeout);
        let took = began.elapsed().as_millis();
        assert!((5000..=5050).contains(&took), "{took} ms");
        stage.ended(run.run_id().clone(), run.settled().await);
    }

    let run = stage.executor().start(request(model([Say::Hang]))).unwrap();
    tokio::time::sleep(seconds(1)).await;
    let (start, _) = stage.critic.started(run.run_id()).unwrap();
    stage.critic.move_deadline(run.run_id(), Some(start.at.after(seconds(3))));
    let ended = stage.ended(run.run_id().clone(), run.settled().await);
    assert_eq!(ended.status(), RunStatus::Timeout);
    assert!((3000..=3050).contains(&ended.outcome().stats.runtime_ms));
}

/// RK-14: a tool that fails or panics: its result, one event, and the loop goes on.
#[tokio::test(start_paused = true)]
async fn a_failing_tool_is_its_own_affair() {
    let broken = ToolError::failed("out of paper");
    for act in [Do::Panic, Do::Fail(broken)] {
        let stage = Stage::new();
        let model = model_calling("print");
        let print = tool("print", act);
        let ended = stage.run(request(model.clone()).tools(tools([print]))).await;
        assert_eq!(ended.status(), RunStatus::Ok);
        assert_eq!(ended.outcome().output.as_deref(), Some("done"));
        let told = only_failure(&model).to_string();
        assert!(told.contains("the script says so") || told.contains("out of paper"), "{told}");
        let records = stage.trail(&ended.run).records;
        let acted = records.iter().filter(|record| matches!(record.fact, Fact::Acted(_))).count();
        assert_eq!(acted, 1);
        assert_eq!(ended.outcome().stats.tally.tool_calls, 1);
    }
}

/// RK-14: a panic in the drop of a tool's future is that call's affair too.
#[tokio::test(start_paused = true)]
async fn a_tool_that_panics_in_its_drop() {
    let stage = Stage::new();
    let mine = executus_testkit::scripted::ScriptedTool::new("mine", Do::PanicInDrop)
        .with(|spec| spec.timeout(seconds(1)))
        .shared();
    let ended = stage.run(request(model_calling("mine")).tools(tools([mine.clone()]))).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(mine.alive(), 0);
}

/// RK-15: tools and the caller can read the counts while the run goes on.
#[tokio::test(start_paused = true)]
async fn the_tally_is_live() {
    let tallies = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&tallies);
    let status = tool(
        "status",
        Do::ask(move |context, _| {
            let tally = context.tally();
            noted.lock().push((tally.steps, tally.tool_calls, tally.tokens()));
            Ok(ToolOutput::text("noted"))
        }),
    );
    let ask = || Say::Reply(Reply::call("status", json!({})).using(usage(10, 5)));
    let lines = [ask(), ask(), Say::Slowly(seconds(5), Reply::text("done").using(usage(1, 1)))];
    let stage = Stage::new();
    let run = stage.executor().start(request(model(lines)).tools(tools([status]))).unwrap();
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(*tallies.lock(), [(1, 0, 16), (2, 1, 32)]);
    let tally = run.tally();
    assert_eq!((tally.steps, tally.tool_calls, tally.tokens()), (2, 2, 32));
    let ended = stage.ended(run.run_id().clone(), run.settled().await);
    assert_eq!(ended.outcome().stats.tally.tokens(), 35);
}

/// RK-15: the self-status tool answers with the run's own live counts and limits.
#[tokio::test(start_paused = true)]
async fn a_run_can_ask_how_far_it_is() {
    let status: Arc<dyn Tool> = Arc::new(executus_core::tool::RunStatusTool::new());
    let lines = [
        Say::Reply(Reply::call("run_status", json!({})).using(usage(10, 5))),
        Say::Reply(Reply::text("done")),
    ];
    let model = model(lines);
    let stage = Stage::new();
    let asked = request(Arc::clone(&model) as _).tools(Toolbox::new([status]).unwrap());
    let run = stage.executor().start(asked).unwrap();
    run.settled().await;
    let transcript = model.seen().pop().unwrap();
    let answer = transcript.last_results().next().unwrap().outcome.clone();
    let CallOutcome::Output(output) = answer else { panic!("{answer:?}") };
    let data = output.data.unwrap();
    assert_eq!((data["steps"].as_u64(), data["tokens"].as_u64()), (Some(1), Some(16)));
    assert_eq!(data["max_steps"], 20);
    assert!(data["ms_left"].as_u64().unwrap() <= 600_000);
}

/// Whoever waits until a run has settled finds all its events sent, also without ports.
#[tokio::test(start_paused = true)]
async fn the_last_event_is_sent_before_all_is_settled() {
    let executor = Executor::new(Ports::default());
    let mut asked = request(two_steps());
    let mut events = asked.watch(64);
    let run = executor.start(asked).unwrap();
    let settled = run.settled().await;
    drop(run);
    let mut last = None;
    while let Ok(Some(event)) = tokio::time::timeout(seconds(1), events.next()).await {
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Finished { outcome: settled.outcome }));
}
