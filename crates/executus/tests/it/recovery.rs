//! Playbooks that ask a model over real HTTP: steps that failed, texts to be read.

use std::process::Command;

use executus_testkit::provider::{Answer, Used};
use serde_json::{Value, json};

use crate::support::{Explained, Said, Scene, WAYS, Way, at_once};

mod page;
mod recording;

const TOKEN: &str = "t0k3n-0f-th3-h4rb0ur";

/// The second step fails twice and is handed over; the third one is never run by the playbook.
const BOOK: &str = r#"
[params]
token = { type = "string", sensitive = true, env = "BOOK_TOKEN" }
place = { type = "string", default = "harbour" }
[[tool]]
name = "look"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> looked; echo \"$1 seen\"", "sh", "{what}"]
effect = "read_only"
[tool.params]
what = { type = "string" }
[[tool]]
name = "fetch"
kind = "process"
argv = ["sh", "-c", "echo \"no entry with $1\" >&2; exit 3", "sh", "{token}"]
[[step]]
id = "first"
description = "Look at the {place}"
tool = "look"
args = { what = "{place}" }
store_as = "first"
on_failure = "abort"
[[step]]
id = "second"
description = "Fetch the list"
tool = "fetch"
store_as = "list"
[[step]]
id = "third"
description = "Look at the list"
tool = "look"
args = { what = "{list}" }
store_as = "third"
on_failure = "abort"
[output]
template = "{first}; {third}"
"#;

/// Two texts are read: one by a step, one into the fields of the output.
const READER: &str = r#"
[[tool]]
name = "page"
kind = "process"
argv = ["echo", "Berth 7 is free until noon."]
effect = "read_only"
[[step]]
id = "page"
description = "Get the page"
tool = "page"
store_as = "page"
on_failure = "abort"
[[step]]
id = "berth"
description = "Find the free berth"
extract = "{page}"
store_as = "berth"
on_failure = "abort"
[step.fields]
berth = { type = "integer" }
[output]
template = "Free: {berth}"
[output.fields]
number = { type = "integer" }
until = { type = "string", default = "evening" }
"#;

const DIALECTS: [Way; 4] = [WAYS[0], WAYS[1], WAYS[2], WAYS[3]];

fn used(input: u64, output: u64) -> Used {
    Used { input, output, ..Used::default() }
}

fn look(what: &str) -> Answer {
    Answer::calls([("look", json!({"what": what}))])
}

fn submit(fields: Value) -> Answer {
    Answer::calls([("submit_fields", fields)])
}

/// A playbook on the model of this way.
fn book(way: Way, rest: &str) -> String {
    let model = way.model("test-model");
    format!("kind = \"playbook\"\nname = \"book\"\nmodel = \"{model}\"\n{rest}")
}

/// A server, and a home with this playbook in it.
fn scene(way: Way, rest: &str, script: impl IntoIterator<Item = Answer>) -> Scene {
    let scene = Scene::new(way, script);
    scene.home.file("book.toml", &book(way, rest));
    scene
}

fn command(scene: &Scene, more: &[&str]) -> Command {
    let mut command = scene.command(&["run", "book.toml", "--run-id", "r"]);
    if !scene.way.stream {
        command.arg("--no-stream");
    }
    command.args(more).env("BOOK_TOKEN", TOKEN);
    command
}

fn run(scene: &Scene, more: &[&str]) -> Said {
    Said::from(command(scene, more).output().unwrap())
}

/// The tokens read and written, as a result tells them.
fn tokens(run: &Value) -> (u64, u64) {
    let count = |name: &str| run["stats"][name].as_u64().unwrap();
    (count("input_tokens"), count("output_tokens"))
}

/// The tools of the executed calls, in order.
fn tools(explained: &Explained) -> Vec<&str> {
    explained.calls().into_iter().map(|call| call["tool"].as_str().unwrap()).collect()
}

/// PB-07 PB-10 PB-14: the rest is the model's, with the playbook's tools and without its secrets.
#[test]
fn a_model_finishes_what_a_step_began() {
    at_once(&DIALECTS, |way| {
        let scene = scene(
            *way,
            BOOK,
            [
                look("quay").and_text("Another way.").usage(used(11, 7)),
                Answer::text("harbour seen; quay seen").usage(used(3, 2)),
            ],
        );
        let said = run(&scene, &[]).expect(0);
        assert_eq!(said.stdout, "harbour seen; quay seen\n");
        let looked = std::fs::read_to_string(scene.home.path().join("looked")).unwrap();
        assert_eq!(looked, "harbour\nquay\n");
        scene.no_complaints();
        scene.replays();

        let explained = scene.explained();
        assert_eq!(tools(&explained), ["look", "fetch", "fetch", "look"]);
        let calls = explained.calls();
        for failed in &calls[1..3] {
            let message = failed["error"]["message"].as_str().unwrap();
            assert!(message.contains("exit code 3"), "{message}");
        }
        assert_eq!(
            (&calls[3]["args"], &calls[3]["result"]),
            (&json!({"what": "quay"}), &json!("quay seen"))
        );
        assert_eq!(tokens(explained.run()), (14, 9));
        let said_by: Vec<_> = explained.of("decided").iter().map(|said| &said["model"]).collect();
        let served = json!(way.model("test-model"));
        let nobody = &Value::Null;
        assert_eq!(said_by, [nobody, nobody, nobody, &served, &served]);
        assert_eq!(explained.attempts(), []);

        let requests = scene.server.requests();
        assert_eq!(requests.len(), 2);
        for request in &requests {
            assert_eq!(request.streaming, way.stream);
            let asked = request.body.to_string();
            assert!(!asked.contains(TOKEN), "{asked}");
            for told in ["token = [redacted]", "place = harbour", "no entry with [redacted]"] {
                assert!(asked.contains(told), "no `{told}` in {asked}");
            }
        }
        for text in [explained.0.to_string(), said.stderr] {
            assert!(!text.contains(TOKEN), "{text}");
        }
    });
}

/// PB-09: both errors are told, whatever ended the recovery, and what it used counts.
#[test]
fn both_errors_are_told() {
    let cases = [(WAYS[0], 500, 4), (WAYS[3], 500, 4), (WAYS[1], 401, 1), (WAYS[2], 401, 1)];
    at_once(&cases, |(way, status, attempts)| {
        let failure = match status {
            401 => Answer::unauthorized(),
            status => Answer::status(*status, "out of order").repeated(),
        };
        let scene = scene(*way, BOOK, [look("quay").usage(used(11, 7)), failure]);
        let said = run(&scene, &["--json"]).expect(1);
        let last = said.last();
        assert_eq!((&last["status"], &last["error"]["kind"]), (&json!("error"), &json!("failed")));
        let message = last["error"]["message"].as_str().unwrap();
        let (step, recovery) = message.split_once("; recovery error: ").unwrap();
        assert!(step.starts_with("step error: ") && step.contains("exit code 3"), "{message}");
        assert!(recovery.contains(&format!("status {status}")), "{message}");
        assert!(!message.contains(TOKEN), "{message}");
        assert_eq!(tokens(&last), (11, 7));
        let explained = scene.explained();
        assert_eq!(tools(&explained), ["look", "fetch", "fetch", "look"]);
        assert_eq!(explained.attempts().len(), *attempts);
        assert_eq!(scene.server.requests().len(), 1 + attempts);
        scene.replays();
    });
}

#[test]
fn a_recovery_has_a_limit_of_its_own() {
    let limited = format!("{BOOK}[recovery]\nmax_steps = 2\n");
    let scene = scene(Way::STREAM, &limited, [look("quay").usage(used(5, 1)).repeated()]);
    let last = run(&scene, &["--json"]).expect(1).last();
    let message = last["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("; recovery error: no final answer after 2 steps"), "{message}");
    assert_eq!((&last["error"]["kind"], scene.server.requests().len()), (&json!("failed"), 2));
    // The second reply is not used, but it was paid for; its call is not made.
    assert_eq!(tokens(&last), (10, 2));
    assert_eq!(tools(&scene.explained()), ["look", "fetch", "fetch", "look"]);
    let asked = scene.server.requests()[0].body.to_string();
    assert!(asked.contains("You have 2 replies"), "{asked}");
}

/// PB-05 PB-06: no model is asked where no step is handed over.
#[test]
fn a_step_that_aborts_asks_nobody() {
    let aborting =
        BOOK.replace("store_as = \"list\"", "store_as = \"list\"\non_failure = \"abort\"");
    let scene = scene(Way::STREAM, &aborting, []);
    let said = run(&scene, &[]).expect(1);
    assert!(said.stderr.contains("step 2 \"Fetch the list\" failed"), "{}", said.stderr);
    assert_eq!(scene.server.requests().len(), 0);
}

/// PB-12: what a step and the last structuring used is summed.
#[test]
fn texts_are_read_into_fields() {
    at_once(&DIALECTS, |way| {
        let scene = scene(
            *way,
            READER,
            [
                submit(json!({"berth": 7})).usage(used(11, 7)),
                submit(json!({"number": 7})).usage(used(3, 2)),
            ],
        );
        let said = run(&scene, &["--json"]).expect(0);
        let last = said.last();
        let output: Value = serde_json::from_str(last["output"].as_str().unwrap()).unwrap();
        assert_eq!(output, json!({"number": 7, "until": "evening"}));
        assert_eq!(tokens(&last), (14, 9));
        scene.no_complaints();
        scene.replays();
        let asked = scene.server.requests();
        assert!(asked[0].body.to_string().contains("Berth 7 is free until noon."));
        let asked = asked[1].body.to_string();
        assert!(asked.contains(r#"Free: {\"berth\":7}"#), "{asked}");
    });
}

#[test]
fn a_text_that_cannot_be_read_fails_its_step() {
    let scene = scene(Way::STREAM, READER, [Answer::text("I see no berth.").usage(used(11, 7))]);
    let last = run(&scene, &["--json"]).expect(1).last();
    let message = last["error"]["message"].as_str().unwrap();
    assert!(message.contains("step 2 \"Find the free berth\" failed: "), "{message}");
    assert!(message.contains("the model did not call `submit_fields`"), "{message}");
    assert_eq!(tokens(&last), (11, 7));
}
