//! Agents as child runs.

use executus_core::port::EntryKind;
use executus_core::{Limits, Reply, RunRequest, RunStatus, ToolError, Toolbox, Usage};
use executus_palette::{AgentEntry, BuildError, LocalPalette, Skill};
use executus_testkit::scripted::{Do, Say, ScriptedModel, ScriptedTool};
use serde_json::json;

use crate::support::{Scripted, Seen, calling, examples, needing, watch};

const BAR: [(EntryKind, &str); 1] = [(EntryKind::Agent, "bar")];

fn one(entry: AgentEntry) -> LocalPalette {
    LocalPalette::builder()
        .agent(Scripted::new(entry, vec![Reply::text("from bar")]))
        .build()
        .unwrap()
}

/// PL-01: an agent is the tool `agent__NAME`, beside the skills; its text is the call's result.
#[tokio::test]
async fn an_agent_is_a_tool() {
    let palette = LocalPalette::builder()
        .agent(Scripted::new(AgentEntry::new("bar", "Does."), vec![Reply::text("from bar")]))
        .skills(Skill::load_all(examples()).unwrap())
        .build()
        .unwrap();
    let names = [BAR[0], (EntryKind::Skill, "sql-review")];
    let calls = [("agent__bar", json!({})), ("skill__sql-review", json!({}))];
    let watched = calling(&palette, &names, &calls).await;
    assert_eq!(watched.outcome.status, RunStatus::Ok);
    assert_eq!(watched.text(), "from bar");
    assert_eq!(watched.results.len(), 2);
    let unknown = calling(&palette, &[(EntryKind::Agent, "nobody")], &[]);
    let error = unknown.await.outcome.error.clone().unwrap();
    assert_eq!(error.message, "there is no agent `nobody`");
}

/// PL-02: a run without the palette answers the call with "not configured", and goes on.
#[tokio::test]
async fn without_the_palette_the_call_says_so() {
    let model = ScriptedModel::new([Reply::call("agent__bar", json!({})), Reply::text("done")]);
    let request = RunRequest::new(model.shared()).delegate_to(EntryKind::Agent, "bar");
    let run = executus_core::Executor::builder().build().start(request).unwrap();
    let outcome = run.settled().await.outcome;
    assert_eq!((outcome.status, outcome.stats.tally.tool_calls), (RunStatus::Ok, 1));
}

/// PL-03: caller, channel and the current run as parent reach the callee, also two deep.
#[tokio::test]
async fn the_callee_knows_who_calls() {
    let top = AgentEntry::new("bar", "Asks baz.").delegate_to(EntryKind::Agent, "baz");
    let lines =
        vec![Reply::call("agent__baz", json!({"input": {"n": 1}})), Reply::text("bar done")];
    let palette = LocalPalette::builder()
        .agent(Scripted::new(top, lines))
        .agent(Scripted::new(AgentEntry::new("baz", "Does."), vec![Reply::text("baz done")]))
        .build()
        .unwrap();
    let watched = calling(&palette, &BAR, &[("agent__bar", json!({}))]).await;
    assert_eq!(watched.text(), "bar done");
    let runs = watched.audit.runs();
    let specs: Vec<_> =
        runs.iter().map(|run| watched.audit.trail(run).unwrap().starts[0].spec.clone()).collect();
    let of = |name: &str| specs.iter().find(|spec| &*spec.subject_id == name).unwrap();
    let (root, bar, baz) = (of(""), of("bar"), of("baz"));
    assert_eq!(bar.parent_run_id.as_ref(), Some(&root.run_id));
    assert_eq!(baz.parent_run_id.as_ref(), Some(&bar.run_id));
    for child in [bar, baz] {
        assert_eq!((&*child.caller_id, &*child.channel_id), ("someone", "mail"));
        assert_eq!(watched.audit.trail(&child.run_id).unwrap().closed.len(), 1);
    }
    assert_eq!((baz.depth, &*baz.inputs), (2, &json!({"n": 1})));
    assert!(baz.deadline < bar.deadline && bar.deadline < root.deadline);
}

fn tool(name: &str) -> std::sync::Arc<dyn executus_core::Tool> {
    ScriptedTool::new(name, Do::Echo).shared()
}

/// PL-04: model tier, prompt prefix and tool subset are passed on, and progress comes back.
#[tokio::test]
async fn choices_go_down_and_progress_comes_up() {
    let tools = Toolbox::new([tool("read"), tool("write")]).unwrap();
    let entry = AgentEntry::new("bar", "Does.")
        .input(needing("task"))
        .tiers(["small", "large"])
        .tools(["read", "write"])
        .prompt_prefix()
        .delegate_to(EntryKind::Skill, "sql-review");
    let lines = vec![
        Reply::call("read", json!({})),
        Reply::call("skill__sql-review", json!({})),
        Reply::text("from bar"),
    ];
    let bar = Scripted::with_tools(entry, tools, lines);
    let skills = Skill::load_all(examples()).unwrap();
    let palette = LocalPalette::builder().agent(bar.clone()).skills(skills).build().unwrap();
    let args = json!({
        "input": {"task": "x"}, "model_tier": "small", "prompt_prefix": "Be brief.", "tools": ["read"],
    });
    let watched = calling(&palette, &BAR, &[("agent__bar", args)]).await;
    assert_eq!(watched.text(), "from bar");
    let expected = Seen {
        input: json!({"task": "x"}),
        tier: Some("small".into()),
        prompt: "Be brief.\n\nDo it.".into(),
        tools: "read".into(),
        max_tokens: 200_000,
    };
    assert_eq!(*bar.seen.lock(), [expected]);
    // The skill was not among the chosen tools, so the agent had none of that name.
    let told = "bar: skill__sql-review failed: there is no tool";
    let progress = &watched.progress;
    assert_eq!(progress[0], "bar calls read");
    assert!(progress.iter().any(|line| line.starts_with(told)), "{progress:?}");
    assert_eq!(progress.last().unwrap(), "bar: from bar");

    let watched = calling(&palette, &BAR, &[("agent__bar", json!({"input": {"task": "x"}}))]).await;
    assert_eq!(watched.text(), "from bar");
    assert_eq!(bar.seen.lock()[1].tools, "read, write");
    assert!(!watched.progress.iter().any(|line| line.contains("failed")), "{:?}", watched.progress);
}

/// Arguments that do not fit are the call's error, and nothing is started.
#[tokio::test]
async fn bad_arguments_start_nothing() {
    let open = AgentEntry::new("bar", "Does.").tiers(["small"]).tools(["read"]).prompt_prefix();
    for (args, told) in [
        (
            json!({"inputs": {}}),
            "no argument `inputs`; there are: input, model_tier, prompt_prefix, tools",
        ),
        (json!({"input": "x"}), "`input` must be an object"),
        (json!({"input": {"bad": 1}}), "`bad` is no input"),
        (json!({"model_tier": "huge"}), "no model tier `huge`; there are: small"),
        (json!({"model_tier": 1}), "`model_tier` must be a text"),
        (json!({"prompt_prefix": "x".repeat(9000)}), "at most 8192 bytes"),
        (json!({"tools": "read"}), "`tools` must be a list"),
        (json!({"tools": ["write"]}), "the agent has no tool \"write\"; it has: read"),
    ] {
        let watched = calling(&one(open.clone()), &BAR, &[("agent__bar", args)]).await;
        assert_eq!(watched.outcome.status, RunStatus::Ok);
        let error = watched.error();
        assert!(matches!(error, ToolError::Arguments { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(watched.audit.runs().len(), 1);
    }
    // What an agent does not offer cannot be passed.
    for name in ["model_tier", "prompt_prefix", "tools"] {
        let palette = one(AgentEntry::new("bar", ""));
        let watched = calling(&palette, &BAR, &[("agent__bar", json!({name: []}))]).await;
        let error = watched.error().to_string();
        assert!(error.ends_with("there are: input"), "{error}");
    }
}

/// An agent that fails is the call's error, with its run, and the run that asked goes on.
#[tokio::test]
async fn a_failed_agent_is_the_calls_error() {
    let lines =
        vec![Say::Fail(executus_core::ModelError::Failed { message: "no such model".into() })];
    let palette = LocalPalette::builder()
        .agent(Scripted::new(AgentEntry::new("bar", ""), lines))
        .build()
        .unwrap();
    let watched = calling(&palette, &BAR, &[("agent__bar", json!({}))]).await;
    assert_eq!(watched.outcome.status, RunStatus::Ok);
    let error = watched.error().to_string();
    assert!(error.starts_with("the agent `bar` (run "), "{error}");
    assert!(error.ends_with(" ended error: no such model"), "{error}");
}

/// An agent's limits are its own, or what is left of those above it.
#[tokio::test]
async fn limits_lie_inside_each_other() {
    let usage = |tokens| Usage { output_tokens: tokens, ..Usage::default() };
    let limits = Limits { max_tokens: 500, ..Limits::default() };
    let bar = Scripted::new(
        AgentEntry::new("bar", "").limits(limits),
        vec![Reply::text("from bar").using(usage(400))],
    );
    let palette = LocalPalette::builder().agent(bar.clone()).build().unwrap();
    let call = |tokens| Reply::call("agent__bar", json!({})).using(usage(tokens));
    let model = ScriptedModel::new([call(100), call(50), call(50), call(10), Reply::text("done")]);
    let model = model.shared();
    let limits = Limits { max_tokens: 1000, ..Limits::default() };
    let request = RunRequest::new(model.clone() as std::sync::Arc<dyn executus_core::Model>);
    let watched = watch(&palette, &BAR, request.limits(limits), &model).await;
    assert_eq!(watched.outcome.status, RunStatus::Ok);
    // 1000 less 100; less another 50 and the first child's 400; nothing is left for a third.
    let seen: Vec<_> = bar.seen.lock().iter().map(|seen| seen.max_tokens).collect();
    assert_eq!(seen, [500, 450]);
    let last = format!("{:?}", watched.results[2]);
    assert!(last.contains("token_limit") && last.contains("no tokens left"), "{last}");
}

#[test]
fn a_palette_that_is_not_whole_is_refused() {
    let missing = AgentEntry::new("bar", "").delegate_to(EntryKind::Skill, "none");
    let build = |entries: Vec<AgentEntry>| {
        let mut builder = LocalPalette::builder();
        for entry in entries {
            builder = builder.agent(Scripted::new(entry, vec![Reply::text("")]));
        }
        builder.build().unwrap_err()
    };
    let error = build(vec![missing]);
    assert_eq!(
        error.to_string(),
        "the agent `bar` delegates to the skill `none`, and there is none"
    );
    let error = build(vec![AgentEntry::new("bar", ""), AgentEntry::new("bar", "")]);
    assert_eq!(error.to_string(), "two agents are called `bar`; give one of them another name");
    assert!(matches!(build(vec![AgentEntry::new("a b", "")]), BuildError::Name { .. }));
    assert!(matches!(build(vec![AgentEntry::new("", "")]), BuildError::Name { .. }));
}
