//! Agents that call tools.

use executus_testkit::provider::{Answer, Dialect, Used};
use serde_json::{Value, json};

use super::web::Web;
use crate::support::{Explained, Scene, WAYS, at_once};

/// A server that answers every request with the last part of its path, as JSON.
fn tickets() -> Web {
    Web::answering(|head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let id = path.rsplit('/').next().unwrap_or_default();
        json!({"id": id, "title": "It rains \u{2614}"}).to_string()
    })
}

fn file(tickets: &Web) -> String {
    format!(
        r#"
system = "You answer for {{who}}."
prompt = "What is the weather in {{place}}?"
[params]
who = {{ type = "string", default = "Ada" }}
place = {{ type = "string" }}
[[tool]]
name = "say"
kind = "process"
description = "Says it"
argv = ["sh", "-c", "echo \"$1: $2\"", "sh", "{{place}}", "{{words}}"]
effect = "read_only"
[tool.params]
words = {{ type = "string", description = "what to say" }}
[[tool]]
name = "note"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> notes", "sh", "{{n}}"]
[tool.params]
n = {{ type = "integer", default = 7 }}
[[tool]]
name = "ticket"
kind = "http"
method = "GET"
url = "http://{}/tickets/{{id}}"
effect = "read_only"
[tool.params]
id = {{ type = "string" }}
"#,
        tickets.0
    )
}

fn script() -> [Answer; 3] {
    let used = |input, output| Used { input, output, ..Used::default() };
    [
        Answer::calls([
            ("say", json!({"words": "rain; rm -rf \"$HOME\" \u{20ac}"})),
            ("ticket", json!({"id": "4 2"})),
        ])
        .and_text("Let me see. \u{e4}\u{20ac}")
        .usage(used(100, 20)),
        Answer::calls([("note", json!({}))]).usage(used(200, 10)),
        Answer::text("It rains \u{1f327} and rains.\nStill.")
            .usage(used(300, 5))
            .model("test-model-2025-01-31"),
    ]
}

#[test]
fn three_calls_in_two_steps() {
    let tickets = tickets();
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, script());
        scene.agent(&file(&tickets));
        let said = scene.run(&["--input", "place=Bath"]).expect(0);
        assert_eq!(said.stdout, "It rains \u{1f327} and rains.\nStill.\n");
        for part in ["Let me see.", "ticket", "ok", "3 calls"] {
            assert!(said.stderr.contains(part), "no `{part}` in {}", said.stderr);
        }
        scene.no_complaints();
        let asked = scene.server.requests();
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().all(|request| request.streaming == way.stream));
        for part in ["You answer for Ada.", "What is the weather in Bath?", "rm -rf", "\u{2614}"] {
            let told = asked[2].body.to_string();
            assert!(told.contains(part), "no `{part}` in {told}");
        }
        assert_eq!(std::fs::read_to_string(scene.home.path().join("notes")).unwrap(), "7\n");
        scene.replays();
        check(&scene, &scene.explained());
    });
}

/// The record tells all of it.
fn check(scene: &Scene, explained: &Explained) {
    let run = explained.run();
    assert_eq!((&run["status"], &run["error"]), (&json!("ok"), &Value::Null));
    assert_eq!(run["inputs"], json!({"place": "Bath", "who": "Ada"}));
    let file = scene.home.path().join("agent.toml");
    let digest = executus_playbook::RunFile::load(file).unwrap().digest.to_string();
    let mut labels = json!({
        "file": "agent.toml",
        "file_digest": digest,
        "folder": scene.home.path().canonicalize().unwrap(),
        "models": [scene.way.model("test-model")],
        "version": env!("CARGO_PKG_VERSION"),
    });
    if !scene.way.stream {
        labels["stream"] = json!(false);
    }
    assert_eq!(run["labels"], labels);
    let opened = explained.records().first().unwrap();
    assert_eq!(
        opened["brief"],
        json!({"system": "You answer for Ada.", "prompt": "What is the weather in Bath?"})
    );

    let decided = explained.of("decided");
    let served: Vec<_> = decided.iter().map(|record| record["model"].as_str().unwrap()).collect();
    let (model, dated) = ("test-model", "test-model-2025-01-31");
    assert_eq!(served, [model, model, dated].map(|name| scene.way.model(name)));
    let used: Vec<_> =
        decided.iter().map(|record| record["usage"]["input_tokens"].as_u64().unwrap()).collect();
    assert_eq!(used, [100, 200, 300]);

    let mut calls = explained.calls();
    calls.sort_by_key(|call| (call["step"].as_u64(), call["call"].as_u64()));
    let told = |call: &&Value| (call["tool"].clone(), call["args"].clone(), call["result"].clone());
    let told: Vec<_> = calls.iter().map(told).collect();
    let words = "rain; rm -rf \"$HOME\" \u{20ac}";
    // What a model passes cannot leave its place in the path.
    let ticket = json!({"id": "4%202", "title": "It rains \u{2614}"});
    assert_eq!(
        told,
        [
            (json!("say"), json!({"words": words}), json!(format!("Bath: {words}"))),
            (json!("ticket"), json!({"id": "4 2"}), json!(ticket.to_string())),
            (json!("note"), json!({}), json!("")),
        ]
    );
    assert!(calls.iter().all(|call| call["duration_ms"].is_u64()), "{calls:?}");
    assert_eq!(calls[1]["data"], ticket);
    // What may happen only once is known to have begun.
    let started = explained.of("started");
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["starts"], "note");
}

/// The last line has the sums of all calls of the model, in every dialect.
#[test]
fn the_last_line_has_the_sums() {
    let tickets = tickets();
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, script());
        scene.agent(&file(&tickets));
        let last = scene.run(&["--input", "place=Bath", "--json"]).expect(0).last();
        let mut expected = json!({
            "type": "run.finished", "run_id": "r", "status": "ok", "error": null,
            "output": "It rains \u{1f327} and rains.\nStill.",
            "stats": {
                "steps": 3, "tool_calls": 3, "input_tokens": 600, "output_tokens": 35,
                "thinking_tokens": 0, "cached_tokens": 0, "cost_micros": 0,
            },
        });
        expected["stats"]["runtime_ms"] = last["stats"]["runtime_ms"].clone();
        assert!(last["stats"]["runtime_ms"].is_u64());
        assert_eq!(last, expected);
        let run = scene.explained().run().clone();
        for field in ["run_id", "status", "output", "error", "stats"] {
            assert_eq!(run[field], last[field], "{field}");
        }
    });
}

/// Thinking is counted and not shown; what came from a cache is counted, where it is told.
#[test]
fn thinking_is_counted_and_not_shown() {
    let used = Used { input: 1000, output: 50, thinking: 30, cached: 400, cache_written: 0 };
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text("done").thinking("hm, hm").usage(used)]);
        scene.agent("prompt = \"Think.\"\n");
        let said = scene.run(&["--json"]).expect(0);
        assert!(!said.stdout.contains("hm, hm"), "{}", said.stdout);
        let (thinking, cached) = match way.dialect {
            Dialect::OpenAi | Dialect::Gemini => (30, 400),
            Dialect::Anthropic => (0, 400),
            Dialect::Ollama => (0, 0),
        };
        let stats = said.last()["stats"].clone();
        assert_eq!(stats["output_tokens"], 50 - thinking);
        assert_eq!(
            (&stats["thinking_tokens"], &stats["cached_tokens"]),
            (&json!(thinking), &json!(cached))
        );
    });
}

/// A tool that fails, arguments that do not fit and a tool that is not there are results for the
/// model, and the run goes on.
#[test]
fn a_failed_call_is_a_result() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(
            *way,
            [
                Answer::calls([
                    ("fail", json!({"code": 3})),
                    ("fail", json!({"code": "three"})),
                    ("fly", json!({})),
                ]),
                Answer::text("never mind"),
            ],
        );
        scene.agent(
            "prompt = \"Fail.\"\n[[tool]]\nname = \"fail\"\nkind = \"process\"\n\
             argv = [\"sh\", \"-c\", \"echo no way >&2; exit $1\", \"sh\", \"{code}\"]\n\
             effect = \"read_only\"\n[tool.params]\ncode = { type = \"integer\" }\n",
        );
        let said = scene.run(&[]).expect(0);
        assert_eq!(said.stdout, "never mind\n");
        let explained = scene.explained();
        let mut calls = explained.calls();
        calls.sort_by_key(|call| call["call"].as_u64());
        let errors: Vec<_> = calls.iter().map(|call| call["error"].to_string()).collect();
        for (error, part) in errors.iter().zip(["exit code 3: no way", "code", "fly"]) {
            assert!(error.contains(part), "no `{part}` in {error}");
        }
        assert_eq!(errors.len(), 3);
        let told = scene.server.requests()[1].body.to_string();
        assert!(told.contains("no way"), "{told}");
        scene.no_complaints();
        scene.replays();
    });
}

/// More calls than one step may make: those beyond are answered, and the run goes on.
#[test]
fn calls_beyond_the_limit_are_answered() {
    at_once(&WAYS, |way| {
        let calls = (0..12).map(|_| ("look", json!({})));
        let scene = Scene::new(*way, [Answer::calls(calls), Answer::text("enough")]);
        scene.agent(
            "prompt = \"Look.\"\n[limits]\nmax_calls_per_step = 10\nconcurrency = 3\n\
             [[tool]]\nname = \"look\"\nkind = \"process\"\neffect = \"read_only\"\n\
             argv = [\"sh\", \"-c\", \"echo x >> looked\"]\n",
        );
        let said = scene.run(&[]).expect(0);
        assert_eq!(said.stdout, "enough\n");
        let explained = scene.explained();
        let calls = explained.calls();
        let beyond = calls.iter().filter(|call| {
            let error = call["error"]["message"].as_str().unwrap_or_default();
            error.contains("one step may make 10 calls")
        });
        assert_eq!((calls.len(), beyond.count()), (12, 2));
        let looked = std::fs::read_to_string(scene.home.path().join("looked")).unwrap();
        assert_eq!(looked.lines().count(), 10);
        scene.no_complaints();
        scene.replays();
    });
}

/// No text and no calls is an end too.
#[test]
fn an_empty_answer_is_an_answer() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::text("")]);
        scene.agent("prompt = \"Say nothing.\"\n");
        let said = scene.run(&[]);
        let run = scene.explained().run().clone();
        assert_eq!((said.code, &*said.stdout, &run["output"]), (0, "", &json!("")), "{run}");
        scene.replays();
    });
}
