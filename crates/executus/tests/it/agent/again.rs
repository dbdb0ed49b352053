//! The same run asked for again, and runs that may only read.

use executus_testkit::provider::Answer;
use serde_json::json;

use crate::support::{Scene, WAYS, at_once};

const NOTE: &str = r#"
prompt = "Note {text}."
[params]
text = { type = "string", default = "hello" }
[[tool]]
name = "note"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> notes", "sh", "{text}"]
[[tool]]
name = "again"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> notes", "sh", "{text}"]
effect = "idempotent"
[[tool]]
name = "look"
kind = "process"
argv = ["echo", "nothing yet"]
effect = "read_only"
"#;

fn script() -> [Answer; 2] {
    let calls = ["note", "again", "look"].map(|name| (name, json!({})));
    [Answer::calls(calls), Answer::text("noted")]
}

#[test]
fn a_run_id_is_run_once() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, script());
        scene.agent(NOTE);
        let notes = || std::fs::read_to_string(scene.home.path().join("notes")).unwrap();
        let first = scene.run(&["--json"]).expect(0).last();
        assert_eq!(first["output"], "noted");
        assert_eq!(notes(), "hello\nhello\n");

        assert_eq!(scene.run(&["--json"]).expect(0).last(), first);
        let again = scene.run(&["--input", "text=hello"]).expect(0);
        assert_eq!(again.stdout, "noted\n");
        assert!(again.stderr.contains("stored result"), "{}", again.stderr);
        let other = way.model("other-model");
        for (args, part) in [
            (&["--input", "text=bye"][..], "other inputs"),
            (&["--model", &other], "another model"),
            (&["--read-only"], "was not read-only"),
            (&["--dry-run"], "was not a dry run"),
        ] {
            let refused = scene.run(args).expect(2);
            assert!(refused.stderr.contains(part), "no `{part}` in {}", refused.stderr);
            assert!(refused.stderr.contains("--run-id"), "{}", refused.stderr);
            assert_eq!(refused.stdout, "");
        }
        scene.agent(&NOTE.replace("Note {text}", "Write {text}"));
        let refused = scene.run(&[]).expect(2);
        assert!(refused.stderr.contains("another file"), "{}", refused.stderr);

        assert_eq!(scene.server.requests().len(), 2, "nobody was asked again");
        assert_eq!(notes(), "hello\nhello\n");
        let runs = scene.home.executus(&["runs", "--json"]).expect(0).json();
        assert_eq!(runs.len(), 1);
    });
}

/// A failed run answers with its failure.
#[test]
fn a_failure_is_an_answer_too() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, [Answer::unauthorized()]);
        scene.agent(NOTE);
        let first = scene.run(&["--json"]).expect(1).last();
        assert_eq!(scene.run(&["--json"]).expect(1).last(), first);
        assert_eq!(scene.server.requests().len(), 1);
    });
}

#[test]
fn a_read_only_run_changes_nothing() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, script());
        scene.agent(NOTE);
        let said = scene.run(&["--read-only"]).expect(0);
        assert_eq!(said.stdout, "noted\n");
        assert!(!scene.home.path().join("notes").exists(), "the tools ran");
        let explained = scene.explained();
        let mut calls = explained.calls();
        calls.sort_by_key(|call| call["call"].as_u64());
        let told: Vec<_> = calls.iter().map(|call| call["tool"].as_str().unwrap()).collect();
        assert_eq!(told, ["note", "again", "look"]);
        for call in &calls[..2] {
            let error = &call["error"];
            assert_eq!(error["kind"], "denied", "{call}");
            assert!(error["message"].as_str().unwrap().contains("(read_only)"), "{call}");
            assert!(call.get("result").is_none(), "{call}");
        }
        assert_eq!(calls[2]["result"], "nothing yet");
        assert!(explained.of("started").is_empty());
        assert_eq!(explained.records()[0]["read_only"], true);
        let told = scene.server.requests()[1].body.to_string();
        assert!(told.contains("the run is read-only"), "{told}");
        scene.no_complaints();
        scene.replays();

        let refused = scene.run(&[]).expect(2);
        assert!(refused.stderr.contains("was read-only"), "{}", refused.stderr);
        assert_eq!(scene.run(&["--read-only"]).expect(0).stdout, "noted\n");
        assert_eq!(scene.server.requests().len(), 2);
    });
}

/// A dry run loads, binds and checks, and asks nobody.
#[test]
fn a_dry_run_asks_nobody() {
    at_once(&WAYS, |way| {
        let scene = Scene::new(*way, []);
        scene.agent(NOTE);
        let said = scene.run(&["--dry-run", "--json", "--record", "said.jsonl"]).expect(0);
        assert_eq!(said.last()["status"], "dry_run");
        assert_eq!(scene.server.requests().len(), 0);
        assert!(!scene.home.path().join("said.jsonl").exists());
        assert_eq!(scene.explained().records()[0]["brief"]["prompt"], "Note hello.");
    });
}
