//! Who is offered what: models that look for capabilities, and playbooks.

use executus_testkit::provider::Answer;
use serde_json::json;

use super::{actions, explain, offered, told};
use crate::support::{Home, Scene, WAYS, Way, at_once};

const MANY: &str = r#"
prompt = "Do it."
[principal]
roles = ["writer"]
[policy]
search = true
justification = "because it was asked for"
[[tool]]
name = "read"
kind = "process"
argv = ["echo", "[{\"row\": 1}, {\"row\": 2}, {\"row\": 3}]"]
effect = "read_only"
[[tool]]
name = "write"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> written", "sh", "{text}"]
[tool.params]
text = { type = "string" }
[[tool]]
name = "direct"
kind = "process"
argv = ["echo", "no capability"]
[[capability]]
id = "notes.list"
description = "Lists notes"
safety = "read"
mode = "table"
max_rows = 2
drivers = ["read"]
[[capability]]
id = "notes.add"
description = "Adds a note"
tags = ["write"]
safety = "write"
drivers = ["write"]
"#;

fn invoke(id: &str, args: serde_json::Value) -> Answer {
    Answer::calls([("invoke_capability", json!({"capability": id, "args": args}))])
}

fn script() -> Vec<Answer> {
    vec![
        Answer::calls([("search_capabilities", json!({"query": "add a note"}))]),
        invoke("notes.add", json!({"text": "milk"})),
        invoke("notes.list", json!({})),
        invoke("notes.burn", json!({})),
        Answer::text("done"),
    ]
}

#[test]
fn a_model_finds_capabilities_and_performs_them_by_id() {
    let scene = Scene::new(Way::STREAM, script());
    scene.agent(MANY);
    scene.run(&[]).expect(0);
    scene.no_complaints();
    let asked = scene.server.requests();
    let names = ["direct", "expand_handle", "invoke_capability", "search_capabilities"];
    assert_eq!(offered(&asked[0]), names);
    assert!(told(&asked[1]).starts_with("notes.add: Adds a note"), "{}", told(&asked[1]));
    assert_eq!(std::fs::read_to_string(scene.home.path().join("written")).unwrap(), "milk\n");
    // In its own mode, with its own rows.
    let list = told(&asked[3]);
    assert!(list.contains("{\"row\":2}") && !list.contains("{\"row\":3}"), "{list}");
    assert!(told(&asked[4]).contains("notes.burn"), "{}", told(&asked[4]));
    let kinds: Vec<_> =
        actions(&scene).iter().map(|action| explain(&scene, action)["kind"].clone()).collect();
    assert_eq!(kinds, [json!("invoke"), json!("invoke"), json!("deny")]);
}

/// Providers differ in which schemas they take.
#[test]
fn every_provider_takes_the_tools() {
    at_once(&WAYS, |way| {
        for file in [MANY.to_owned(), MANY.replace("search = true", "")] {
            let scene = Scene::new(*way, [Answer::text("nothing to do")]);
            scene.agent(&file);
            scene.run(&[]).expect(0);
            scene.no_complaints();
        }
    });
}

#[test]
fn a_read_only_run_finds_them_too_and_performs_what_reads() {
    let scene = Scene::new(Way::STREAM, script());
    scene.agent(MANY);
    scene.run(&["--read-only"]).expect(0);
    let asked = scene.server.requests();
    assert!(told(&asked[2]).contains("denied (read_only)"), "{}", told(&asked[2]));
    assert!(told(&asked[3]).contains("{\"row\":2}"), "{}", told(&asked[3]));
    assert!(!scene.home.path().join("written").exists());
}

const BOOK: &str = r#"
[principal]
roles = ["writer"]
[policy]
justification = "because it was asked for"
[params]
word = { type = "string", sensitive = true, default = "c4n4ry-0f-th3-m1n3" }
[[tool]]
name = "write"
kind = "process"
argv = ["sh", "-c", "printf %s \"$1\" | wc -c | tr -d ' '", "sh", "{text}"]
[tool.params]
text = { type = "string" }
[[capability]]
id = "notes.add"
safety = "write"
drivers = ["write"]
[[step]]
id = "add"
tool = "notes__add"
args = { text = "{word}" }
store_as = "length"
on_failure = "abort"
[output]
template = "length: {length}"
"#;

/// With its secrets bound for the tool, and in no record.
#[test]
fn a_step_of_a_playbook_performs_a_capability() {
    let home = Home::new();
    home.playbook(BOOK);
    let said = home.executus(&["run", "book.toml", "--run-id", "r"]).expect(0);
    assert!(said.stdout.starts_with("length: ") && said.stdout.contains("18"), "{}", said.stdout);
    let explained = home.executus(&["explain", "r", "--json"]).expect(0).last();
    let records = explained["records"].as_array().unwrap();
    let id = records.iter().find_map(|record| record["action_id"].as_str()).unwrap();
    let action = home.executus(&["explain", id, "--json"]).expect(0).stdout;
    assert!(action.contains("notes.add") && !action.contains("c4n4ry"), "{action}");
}

#[test]
fn a_step_that_is_denied_fails() {
    let home = Home::new();
    home.playbook(&BOOK.replace("roles = [\"writer\"]", "roles = []"));
    let said = home.executus(&["run", "book.toml"]).expect(1);
    assert!(said.stderr.contains("missing_role"), "{}", said.stderr);
    home.playbook(
        &BOOK
            .replace("roles = [\"writer\"]", "")
            .replace("[policy]", "[policy]\ndenial_ends_run = true"),
    );
    home.executus(&["run", "book.toml"]).expect(3);
}
