//! Sequences of actions.

use std::time::Duration;

use executus_core::{ApprovalLimit, Effect, Tool, ToolError, Toolbox};
use executus_guard::{GuardConfig, Role, Sequence};
use executus_testkit::scripted::{Do, ScriptedTool};
use serde_json::json;

use crate::stage::{Stage, actor, code, goto};

/// A sequence stops at the first action that fails, and says what was made.
#[tokio::test]
async fn the_first_failure_ends_a_sequence() {
    let stage = Stage::new(GuardConfig::default());
    let (a, b) = (actor("a"), actor("b"));
    let tools = [
        stage.guard.wrap(a.clone(), Role::default()),
        stage.guard.wrap(b.clone(), Role::default()),
    ];
    let sequence = Sequence::new("all", Toolbox::new(tools).unwrap()).unwrap();
    let actions = json!([
        {"tool": "a", "args": {"n": 1}},
        {"tool": "b", "args": {"fail": "here"}},
        {"tool": "a", "args": {"n": 2}},
    ]);
    let error = stage.call(&sequence, json!({"actions": actions})).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "action 2 of 3, b, failed: failed: \"here\"\n1 after it were not made. Before it:\n1. a: ok\n"
    );
    assert_eq!(a.calls(), [json!({"n": 1})]);
    let fine = json!({"actions": [{"tool": "a"}, {"tool": "b"}]});
    assert_eq!(stage.call(&sequence, fine).await.unwrap(), "1. a: ok\n2. b: ok\n");
    let mut keys = a.keys();
    keys.extend(b.keys());
    assert_eq!(keys, ["run/1/0.0", "run/1/0.0", "run/1/0.1", "run/1/0.1"]);
}

/// All actions are read before one is made.
#[tokio::test]
async fn a_wrong_action_makes_none() {
    let stage = Stage::new(GuardConfig::default());
    let a = actor("a");
    let sequence =
        Sequence::new("all", Toolbox::new([a.clone() as std::sync::Arc<dyn Tool>]).unwrap())
            .unwrap();
    for actions in [
        json!([{"tool": "a"}, {"tool": "x"}]),
        json!([]),
        json!("a"),
        json!(vec![json!({"tool": "a"}); 21]),
    ] {
        let error = stage.call(&sequence, json!({"actions": actions})).await.unwrap_err();
        assert!(matches!(error, ToolError::Arguments { .. }), "{error}");
    }
    assert_eq!(a.calls().len(), 0);
}

/// SG-08: a navigation inside a sequence is remembered.
#[tokio::test]
async fn a_navigation_in_a_sequence_is_remembered() {
    let stage = Stage::new(GuardConfig::default());
    let (_, goto) = goto(&stage);
    let sequence = Sequence::new("all", Toolbox::new([goto.clone()]).unwrap()).unwrap();
    let to = |n: u32| json!({"tool": "goto", "args": {"url": format!("https://a.example/{n}")}});
    let actions: Vec<_> = (1..6).map(to).collect();
    stage.call(&sequence, json!({"actions": actions})).await.unwrap();
    let text = stage.call(&*goto, json!({"url": "https://a.example/1"})).await.unwrap();
    assert!(text.starts_with("[guard] Hint: this page was left 5 actions ago"), "{text}");
    // So is one in a list of a tool's own.
    let steps = Role::default().address("/steps/*/url");
    let steps = stage.guard.wrap(actor("steps"), steps);
    let args =
        json!({"steps": [{"url": "https://b.example/1"}, {"wait": 1}, {"url": "http://10.0.0.1"}]});
    assert_eq!(code(&stage.call(&*steps, args).await.unwrap_err()), "url_private");
}

/// A stop in the middle of a sequence ends it, and the run's actions with it.
#[tokio::test]
async fn a_stop_ends_a_sequence() {
    let stage = Stage::new(GuardConfig { stop_ends_run: true, ..GuardConfig::default() });
    let a = actor("a");
    let tools = Toolbox::new([stage.guard.wrap(a.clone(), Role::default())]).unwrap();
    let sequence = Sequence::new("all", tools).unwrap();
    let actions = vec![json!({"tool": "a"}); 10];
    let error = stage.call(&sequence, json!({"actions": actions})).await.unwrap_err();
    assert!(
        matches!(&error, ToolError::Denied { code, ends_run: true, .. } if code == "stuck"),
        "{error}"
    );
    assert_eq!(a.calls().len(), 7);
}

/// Each action has the limit of its tool; what may have happened is not said to have failed.
#[tokio::test(start_paused = true)]
async fn each_action_has_its_limit() {
    for (effect, unknown) in [(Effect::Once, true), (Effect::Idempotent, false)] {
        let hangs = ScriptedTool::new("a", Do::Hang);
        let hangs = hangs.with(|spec| spec.effect(effect).timeout(Duration::from_secs(3)));
        let tools = Toolbox::new([hangs.shared() as std::sync::Arc<dyn Tool>]).unwrap();
        let sequence = Sequence::new("all", tools).unwrap();
        assert_eq!(sequence.spec().effect, effect);
        let stage = Stage::new(GuardConfig::default());
        let began = tokio::time::Instant::now();
        let error = stage.call(&sequence, json!({"actions": [{"tool": "a"}]})).await.unwrap_err();
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert_eq!(matches!(error, ToolError::Unknown { .. }), unknown, "{error}");
    }
}

#[test]
fn what_is_approved_is_no_part() {
    let within = ApprovalLimit::new(Duration::from_secs(60));
    let asks = ScriptedTool::new("a", Do::Echo).with(|spec| spec.approval(within));
    let tools = Toolbox::new([asks.shared() as std::sync::Arc<dyn Tool>]).unwrap();
    assert!(Sequence::new("all", tools).unwrap_err().to_string().starts_with("`a` cannot"));
}
