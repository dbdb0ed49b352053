//! Limits in money, tokens, steps and context.

use executus_testkit::provider::{Answer, Dialect, Used};
use serde_json::{Value, json};

use crate::support::{Explained, Scene, WAYS, Way, at_once};

/// An agent with these limits and a tool.
fn limited(scene: &Scene, limits: &str) {
    scene.agent(&format!(
        "prompt = \"Look.\"\n[limits]\n{limits}\n[[tool]]\nname = \"look\"\nkind = \"process\"\n\
         argv = [\"sh\", \"-c\", \"echo x >> looked\"]\neffect = \"read_only\"\n"
    ));
}

/// A call, which used a million tokens in and a tenth of one out.
fn dear() -> Answer {
    let used = Used { input: 1_000_000, output: 100_000, ..Used::default() };
    Answer::calls([("look", json!({}))]).usage(used)
}

/// What the model costs: one and ten dollars for a million tokens.
fn prices(way: Way) -> String {
    format!("[prices.\"{}\"]\ninput = 1.0\noutput = 10.0\n", way.model("test-model"))
}

fn looked(scene: &Scene) -> usize {
    let text = std::fs::read_to_string(scene.home.path().join("looked")).unwrap_or_default();
    text.lines().count()
}

fn ends_by(scene: &Scene, code: i32, status: &str, kind: &str) -> (Value, Explained) {
    let last = scene.run(&["--json"]).expect(code).last();
    assert_eq!((&last["status"], &last["error"]["kind"]), (&json!(status), &json!(kind)), "{last}");
    let explained = scene.explained();
    assert_eq!(explained.run()["error"], last["error"]);
    assert_eq!(explained.run()["stats"], last["stats"]);
    scene.replays();
    (last, explained)
}

#[test]
fn a_run_that_costs_too_much_is_stopped() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [dear().repeated()]);
        limited(&scene, &format!("max_tokens = 100_000_000\nmax_cost = 3.0\n{}", prices(*way)));
        let (last, explained) = ends_by(&scene, 4, "budget_exceeded", "cost_limit");
        // A dollar for what is read, another for what is written.
        assert_eq!(last["stats"]["cost_micros"], 4_000_000, "{last}");
        assert_eq!(scene.server.requests().len(), 2);
        // The calls that the second step asks for are not made any more.
        assert_eq!(looked(&scene), 1);
        assert_eq!(explained.of("decided")[0]["usage"]["cost_micros"], 2_000_000);
    });
}

/// Below its limit a run ends well, and says what it cost.
#[test]
fn what_a_run_cost_is_told() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [dear(), Answer::text("done").without_usage()]);
        limited(&scene, &format!("max_tokens = 100_000_000\nmax_cost = 2.0\n{}", prices(*way)));
        let last = scene.run(&["--json"]).expect(0).last();
        assert_eq!(last["stats"]["cost_micros"], 2_000_000, "{last}");
        assert_eq!(scene.explained().run()["stats"]["cost_micros"], 2_000_000);
    });
}

/// What failed attempts used is paid for as well.
#[test]
fn a_cut_answer_costs_too() {
    let way = Way { dialect: Dialect::Anthropic, stream: true };
    let used = Used { input: 500_000, output: 9, ..Used::default() };
    let cut = Answer::text("one two three").usage(used).cut_after_pieces(2);
    let scene = Scene::new(way, [cut, Answer::text("good").without_usage()]);
    limited(&scene, &format!("max_tokens = 100_000_000\n{}", prices(way)));
    let last = scene.run(&["--json"]).expect(0).last();
    assert!(last["stats"]["cost_micros"].as_u64().unwrap() >= 500_000, "{last}");
    assert_eq!(scene.explained().of("attempted")[0]["usage"]["input_tokens"], 500_000);
}

#[test]
fn an_unknown_price_is_refused_where_the_cost_is_limited() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text("free")]);
        limited(&scene, "max_cost = 0.5");
        if way.dialect == Dialect::Ollama {
            // It runs at home.
            assert_eq!(scene.run(&["--json"]).expect(0).last()["stats"]["cost_micros"], 0);
            return;
        }
        let said = scene.run(&[]).expect(2);
        let name = way.model("test-model");
        for part in ["max_cost", &name, "help: ", &format!("[prices.\"{name}\"]")] {
            assert!(said.stderr.contains(part), "no `{part}` in {}", said.stderr);
        }
        assert_eq!(scene.server.requests().len(), 0);
        // Without the limit nobody asks.
        limited(&scene, "max_steps = 5");
        scene.run(&[]).expect(0);
    });
}

#[test]
fn too_many_tokens_are_too_many() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [dear().repeated()]);
        limited(&scene, "max_tokens = 1_500_000");
        let (last, _) = ends_by(&scene, 4, "budget_exceeded", "token_limit");
        assert_eq!(last["stats"]["input_tokens"], 2_000_000);
        assert_eq!((scene.server.requests().len(), looked(&scene)), (2, 1));
    });
}

#[test]
fn too_many_steps_are_too_many() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::calls([("look", json!({}))]).repeated()]);
        limited(&scene, "max_steps = 3");
        let (last, _) = ends_by(&scene, 1, "error", "step_limit");
        assert_eq!(last["stats"]["steps"], 3);
        // The last step has to be the answer: its calls are not made.
        assert_eq!((scene.server.requests().len(), looked(&scene)), (3, 2));
    });
}

#[test]
fn a_context_that_overflows_is_told() {
    at_once(&WAYS, |way| {
        let scene =
            Scene::new(*way, [Answer::calls([("look", json!({}))]), Answer::context_overflow()]);
        limited(&scene, "max_steps = 9");
        let (last, _) = ends_by(&scene, 1, "error", "context_overflow");
        assert_eq!(last["error"]["retryable"], false);
        assert_eq!((scene.server.requests().len(), looked(&scene)), (2, 1));
    });
}
