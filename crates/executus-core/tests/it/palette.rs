//! Runs that delegate.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::EntryKind;
use executus_core::transcript::CallOutcome;
use executus_core::{
    Entry, Event, Executor, Model, ModelError, Ports, Reply, RunRequest, RunStatus, Tool,
    ToolContext, ToolError, ToolOutput, ToolSpec, Toolbox, Turn,
};
use executus_testkit::scripted::{Behind, Do, Say, ScriptedModel, ScriptedPalette};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::stage::{Stage, model, request, seconds, tool, tools, usage};

/// Remembers which tools it was offered.
#[derive(Default)]
struct Offered(Mutex<Vec<String>>);

#[async_trait]
impl Model for Offered {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let names = turn.tools().iter().map(|tool| tool.spec().name.to_string());
        self.0.lock().extend(names);
        Ok(Reply::text("done"))
    }
}

/// PL-01: skills and agents are tools, by prefix.
#[tokio::test(start_paused = true)]
async fn entries_become_tools() {
    let stage = Stage::new();
    let model = Arc::new(Offered::default());
    let request = request(model.clone())
        .delegate_to(EntryKind::Skill, "foo")
        .delegate_to(EntryKind::Agent, "bar");
    assert_eq!(stage.run(request).await.status(), RunStatus::Ok);
    assert_eq!(*model.0.lock(), ["agent__bar", "echo", "skill__foo"]);
}

fn results(model: &ScriptedModel) -> Vec<CallOutcome> {
    let seen = model.seen();
    let entries = seen.last().expect("a turn").entries();
    let results = entries.iter().filter_map(|entry| match entry {
        Entry::Result(acted) => Some(acted.outcome.clone()),
        Entry::Reply(_) | Entry::Steer(_) => None,
    });
    results.collect()
}

/// PL-02: without a palette the call answers that it is not configured, and the run goes on.
#[tokio::test(start_paused = true)]
async fn without_a_palette_the_call_says_so() {
    let model = model([Reply::call("skill__foo", json!({})), Reply::text("done")]);
    let request = request(model.clone()).delegate_to(EntryKind::Skill, "foo");
    let run = Executor::new(Ports::default()).start(request).unwrap();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    let results = results(&model);
    let [CallOutcome::Failed(error)] = &results[..] else { panic!("{results:?}") };
    assert!(matches!(error, ToolError::NotConfigured { .. }), "{error:?}");
    assert!(error.to_string().contains("not configured"), "{error}");
}

/// PL-03: caller, channel and the current run as parent reach the callee.
#[tokio::test(start_paused = true)]
async fn the_callee_knows_who_calls() {
    let stage = Stage::new();
    let model = model([Reply::call("agent__bar", json!({"input": {"n": 7}})), Reply::text("done")]);
    let request = request(model.clone()).channel("mail").delegate_to(EntryKind::Agent, "bar");
    let ended = stage.run(request).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    let children = stage.palette.children();
    let [child] = &children[..] else { panic!("{children:?}") };
    assert_eq!((&*child.caller_id, &*child.channel_id), ("someone", "mail"));
    assert_eq!(child.parent_run_id.as_ref(), Some(&ended.run));
    assert_eq!(*child.inputs, json!({"n": 7}));
    let results = results(&model);
    let [CallOutcome::Output(output)] = &results[..] else { panic!("{results:?}") };
    assert_eq!(output.text, "from the agent");
    // The child is recorded as a run of its own, and takes no hold of its own.
    assert_eq!(stage.trail(&child.run_id).closed.len(), 1);
}

/// PL-04: model tier, prompt prefix and tool subset are passed on, and progress comes back.
#[tokio::test(start_paused = true)]
async fn settings_go_down_and_progress_comes_up() {
    let agent = Arc::new(Offered::default());
    let both = tools([tool("read", Do::Echo), tool("write", Do::Echo)]);
    let palette = ScriptedPalette::new()
        .with(EntryKind::Agent, "bar", Behind::Run(agent.clone(), both))
        .with(EntryKind::Agent, "idle", Behind::Run(agent.clone(), Toolbox::default()));
    let palette = Arc::new(palette);
    let ports = Ports { palette: Some(palette.clone()), ..Ports::default() };
    let args = json!({"model_tier": "small", "prompt_prefix": "Be brief.", "tools": ["read"]});
    let lines = [Reply::call("agent__bar", args.clone()), Reply::text("done")];
    let mut request = request(model(lines)).delegate_to(EntryKind::Agent, "bar");
    let mut events = request.watch(64);
    let run = Executor::new(ports).start(request).unwrap();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
    assert_eq!(palette.delegated(), [args]);
    assert_eq!(*agent.0.lock(), ["read"]);
    let labels = &palette.children()[0].labels;
    assert_eq!(**labels, json!({"model_tier": "small", "prompt_prefix": "Be brief."}));
    let mut progress = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Event::ToolProgress { text, .. } => progress.push(text),
            Event::Finished { .. } => break,
            _ => {}
        }
    }
    assert_eq!(progress, ["done"]);
}

fn spending(text: &str) -> Arc<ScriptedModel> {
    model([Reply::text(text).using(usage(10, 5))])
}

/// What children and their children spend is charged to the hold of the run at the top.
#[tokio::test(start_paused = true)]
async fn descendants_spend_on_the_hold_at_the_top() {
    let mut stage = Stage::new();
    let below = tool_delegating(spending("deep"));
    let child = model([
        Reply::call("deeper", json!({})).using(usage(10, 5)),
        Reply::text("child").using(usage(10, 5)),
    ]);
    stage.palette = Arc::new(ScriptedPalette::new().with(
        EntryKind::Agent,
        "bar",
        Behind::Run(child, Toolbox::new([below]).unwrap()),
    ));
    let model = model([Reply::call("agent__bar", json!({})), Reply::text("done")]);
    let ended = stage.run(request(model.clone()).delegate_to(EntryKind::Agent, "bar")).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    let results = results(&model);
    let [CallOutcome::Output(output)] = &results[..] else { panic!("{results:?}") };
    assert_eq!(output.text, "child");
    // Two replies of the child and one of its own child, 16 tokens each.
    assert_eq!(stage.budget.account("someone").spent.tokens, 48);
}

/// The children of a resumed run spend on the hold of its present life.
#[tokio::test(start_paused = true)]
async fn children_of_a_resumed_run_spend_on_its_hold() {
    let mut stage = Stage::new();
    stage.palette = Arc::new(ScriptedPalette::new().with(
        EntryKind::Agent,
        "bar",
        Behind::Run(spending("child"), Toolbox::default()),
    ));
    let first = stage.executor();
    let delegating = || request(model([Say::Hang])).delegate_to(EntryKind::Agent, "bar");
    let run = first.start(delegating()).unwrap();
    tokio::time::sleep(seconds(1)).await;
    first.shutdown(seconds(10)).await;

    let next = model([Reply::call("agent__bar", json!({})), Reply::text("done")]);
    let executor = stage.executor();
    let resumed = executor
        .resume(run.run_id(), |_| request(next.clone()).delegate_to(EntryKind::Agent, "bar"));
    let resumed = resumed.await.unwrap();
    let ended = stage.ended(run.run_id().clone(), resumed.settled().await);
    assert_eq!(ended.status(), RunStatus::Ok);
    let results = results(&next);
    let [CallOutcome::Output(output)] = &results[..] else { panic!("{results:?}") };
    assert_eq!(output.text, "child");
    assert_eq!(stage.budget.account("someone").spent.tokens, 16);
}

/// A tool `deeper` that runs a model as a child of the run that calls it.
fn tool_delegating(model: Arc<ScriptedModel>) -> Arc<dyn Tool> {
    struct Deeper(ToolSpec, Arc<ScriptedModel>);

    #[async_trait]
    impl Tool for Deeper {
        fn spec(&self) -> &ToolSpec {
            &self.0
        }

        async fn call(&self, context: &ToolContext, _: &Value) -> Result<ToolOutput, ToolError> {
            let request = RunRequest::new(self.1.clone());
            let child = context.delegate(request).map_err(|e| ToolError::failed(e.to_string()))?;
            let outcome = child.outcome().await;
            let error = outcome.error.as_ref().map(|error| ToolError::failed(error.to_string()));
            error.map_or_else(|| Ok(ToolOutput::text("deep")), Err)
        }
    }
    Arc::new(Deeper(ToolSpec::new("deeper", "Delegates."), model))
}
