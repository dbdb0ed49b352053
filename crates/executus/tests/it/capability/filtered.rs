//! What a model sees of a result, and what it does not.

use executus_testkit::provider::{Answer, ProviderServer};
use serde_json::{Value, json};

use super::{actions, explain, in_words, left, offered, told};
use crate::support::{Home, Scene, Way};

/// In a field that is never shown.
const CANARY: &str = "c4n4ry-0f-th3-m1n3";

/// An agent that lists people; all it knows of them is in `people.json`.
const AGENT: &str = r#"
prompt = "Who is there?"
[principal]
roles = ["reader"]
[[tool]]
name = "list"
kind = "process"
description = "Lists people"
argv = ["cat", "people.json"]
effect = "read_only"
[[capability]]
id = "people.list"
safety = "read"
drivers = ["list"]
"#;

fn people() -> String {
    let person = |n: u32| {
        json!({
            "id": n, "name": format!("Person {n}"), "email": format!("p{n}@example.org"),
            "password": format!("{CANARY}-{n}"), "note": format!("write to p{n}@example.org"),
        })
    };
    Value::from_iter((0..100).map(person)).to_string()
}

/// The handle that a text tells of.
fn handle(text: &str) -> &str {
    let after = text.split_once("behind the handle ").unwrap().1;
    after.split_whitespace().next().unwrap()
}

/// Asks for the list, then for five rows of what lies behind the handle, then answers.
fn pages() -> Scene {
    let mut step = 0;
    let server = ProviderServer::answering(Way::STREAM.dialect, move |request| {
        step += 1;
        match step {
            1 => Answer::calls([("people__list", json!({}))]),
            2 => {
                let query = json!({
                    "handle": handle(told(request)), "offset": 10, "limit": 5,
                    "fields": ["id", "name", "email"],
                });
                Answer::calls([("expand_handle", query)])
            }
            _ => Answer::text("Persons 10 to 14."),
        }
    });
    let scene = Scene { home: Home::new(), server, way: Way::STREAM };
    scene.home.file("people.json", &people());
    scene
}

#[test]
fn a_model_sees_a_summary_and_reads_pages_of_the_whole() {
    let scene = pages();
    scene.agent(AGENT);
    let said = scene.run(&[]).expect(0);
    assert_eq!(said.stdout, "Persons 10 to 14.\n");
    scene.no_complaints();
    let asked = scene.server.requests();
    assert_eq!(offered(&asked[0]), ["expand_handle", "people__list"]);

    let summary = told(&asked[1]);
    assert!(summary.contains("100"), "{summary}");
    assert!(summary.contains("the whole result, 100 rows, is behind the handle"), "{summary}");
    let page = told(&asked[2]);
    for part in ["Person 10", "Person 14", "5 rows from 10 of 100", "next page is at offset 15"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert!(!page.contains("Person 9\"") && !page.contains("Person 15"), "{page}");
    for request in &asked {
        let body = request.body.to_string();
        for hidden in ["example.org", CANARY, "Person 57"] {
            assert!(!body.contains(hidden), "`{hidden}` in {body}");
        }
    }

    let actions = actions(&scene);
    assert_eq!(actions.len(), 2);
    let listed = explain(&scene, &actions[0]);
    assert_eq!(listed["kind"], "invoke");
    assert_eq!(listed["capability_id"], "people.list");
    assert_eq!((&listed["principal_id"], &listed["run_id"]), (&json!("cli"), &json!("r")));
    assert_eq!((&listed["driver_id"], &listed["mode"]), (&json!("list"), &json!("summary")));
    assert!((1..=20).contains(&listed["counts"]["fact_count"].as_u64().unwrap()), "{listed}");
    assert_eq!(listed["counts"]["has_handle"], true);
    assert!(listed["counts"]["cost_tokens"].as_u64().unwrap() > 0);
    let expanded = explain(&scene, &actions[1]);
    assert_eq!(
        (&expanded["kind"], &expanded["counts"]["row_count"]),
        (&json!("expand"), &json!(5))
    );
    let words = in_words(&scene, &actions[0]);
    for part in ["· invoke · ok\n", "capability  people.list\n", "driver      list\n", "1 handle"]
    {
        assert!(words.contains(part), "no `{part}` in {words}");
    }
    let run = scene.home.executus(&["explain", "r"]).expect(0).stdout;
    assert!(run.contains(&format!("action {}\n", actions[0])), "{run}");
    scene.replays();
}

/// Every mode, and how much of it.
#[test]
fn a_file_says_how_much_is_shown() {
    for (extra, shown, not) in [
        ("mode = \"table\"\nmax_rows = 3\n", "Person 2\"", "Person 3\""),
        (
            "mode = \"table\"\nallowed_fields = [\"id\"]\nsensitivity = \"pii\"\n",
            "\"id\":7",
            "Person",
        ),
        ("mode = \"handle_only\"\n", "behind the handle", "Person"),
        ("mode = \"raw\"\n", "`raw` was asked for, `summary` is shown", "Person 57"),
    ] {
        let scene = pages();
        let agent = AGENT.replace("[\"reader\"]", "[]\nattributes = { tenant = \"acme\" }");
        scene.agent(&(agent + extra));
        scene.run(&[]).expect(0);
        let asked = scene.server.requests();
        let text = told(&asked[1]);
        assert!(text.contains(shown) && !text.contains(not), "{extra}: {text}");
        assert!(!text.contains("example.org") && !text.contains(CANARY), "{extra}: {text}");
    }
}

#[test]
fn what_is_sensitive_is_in_no_file_that_the_run_left() {
    let scene = pages();
    scene.agent(AGENT);
    let said = scene.run(&["--json", "--record", "said.jsonl"]).expect(0);
    for text in left(&scene, &said, &["people.json"]) {
        for hidden in [CANARY, "@example.org"] {
            let at = text.find(hidden).unwrap_or_default();
            let shown = &text[text.floor_char_boundary(at.saturating_sub(200))..];
            assert!(!text.contains(hidden), "`{hidden}` in {shown}");
        }
    }
}

const TWO: &str = r#"
prompt = "Look."
[policy]
budget_tokens = 2000
[[tool]]
name = "broken"
kind = "process"
argv = ["sh", "-c", "echo 'password: hunter2hunter2' >&2; exit 3"]
effect = "read_only"
[[tool]]
name = "slow"
kind = "process"
argv = ["sleep", "60"]
effect = "read_only"
timeout = "100ms"
[[tool]]
name = "good"
kind = "process"
argv = ["echo", "all is well"]
effect = "read_only"
[[capability]]
id = "state.look"
safety = "read"
drivers = ["broken", "slow", "good"]
[[capability]]
id = "state.guess"
safety = "read"
drivers = ["broken"]
"#;

#[test]
fn the_next_driver_is_tried_when_one_fails() {
    let calls = [("state__look", json!({})), ("state__guess", json!({}))];
    let scene = Scene::new(Way::STREAM, [Answer::calls(calls), Answer::text("done")]);
    scene.agent(TWO);
    let said = scene.run(&[]).expect(0);
    let body = scene.server.requests()[1].body.to_string();
    assert!(body.contains("all is well") && body.contains("exit code 3"), "{body}");
    let actions = actions(&scene);
    let records: Vec<_> = actions.iter().map(|action| explain(&scene, action)).collect();
    let of = |id: &str| records.iter().find(|record| record["capability_id"] == id).unwrap();
    let look = of("state.look");
    assert_eq!(
        (&look["driver_id"], &look["counts"]["fallback_count"]),
        (&json!("good"), &json!(2))
    );
    let guess = of("state.guess");
    assert_eq!(
        (&guess["driver_id"], &guess["error"]["code"]),
        (&json!("broken"), &json!("driver"))
    );
    for text in left(&scene, &said, &["agent.toml"]) {
        assert!(!text.contains("hunter2hunter2"), "{text}");
    }
}
