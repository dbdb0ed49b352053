//! The records as a whole: verified, accepted, exported, listed in pages, erased.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{Home, Said};

const BOOK: &str = r#"
[params]
name = { type = "string", default = "Ada" }
[[tool]]
name = "greet"
kind = "process"
argv = ["echo", "Hello {name}"]
effect = "read_only"
[[step]]
id = "greet"
description = "Greet"
tool = "greet"
store_as = "said"
on_failure = "abort"
[output]
template = "{said}"
"#;

/// A home with three runs, whose chain is anchored or not.
fn home(anchored: bool) -> Home {
    let home = Home::new();
    if anchored {
        home.file("key", "thirty-two bytes of a key, and a few more");
        home.file("executus.toml", "[audit]\nanchor = \"anchor\"\nanchor_key = \"key\"\n");
    }
    home.playbook(BOOK);
    for (run, caller, name) in [("a", "ann", "Ann"), ("b", "bob", "Bob"), ("c", "ann", "Cyd")] {
        let name = format!("name={name}");
        let args = ["run", "book.toml", "--run-id", run, "--caller", caller, "--input", &name];
        home.executus(&args).expect(0);
    }
    home
}

fn change(home: &Home, sql: &str) {
    let db = Connection::open(home.db()).unwrap();
    let triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
    let mut statement = db.prepare(triggers).unwrap();
    let names = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let names: Vec<_> = names.map(Result::unwrap).collect();
    drop(statement);
    for name in names {
        db.execute_batch(&format!("DROP TRIGGER \"{name}\"")).unwrap();
    }
    db.execute_batch(sql).unwrap();
}

fn verified(home: &Home, code: i32) -> (Said, Value) {
    let said = home.executus(&["audit", "verify"]).expect(code);
    (said, home.executus(&["audit", "verify", "--json"]).expect(code).last())
}

/// AR-10: what was edited is named; that nobody can tell a cut tail is told.
#[test]
fn an_edit_is_named() {
    let home = home(false);
    let (said, found) = verified(&home, 0);
    assert!(
        said.stdout.contains("no anchor: whether the end was cut off cannot be told"),
        "{said:?}"
    );
    assert_eq!((&found["holds"], &found["tail"]), (&json!(true), &json!("unknown")));
    change(
        &home,
        "UPDATE records SET body = replace(body, 'Hello Bob', 'Hello Bab') WHERE body LIKE '%Hello Bob%'",
    );
    let (said, found) = verified(&home, 1);
    assert!(said.stdout.contains("of run `b`: edited"), "{said:?}");
    assert!(found["flaw"]["entry"].is_u64(), "{found}");
}

/// AR-10: a cut tail is told from an edit by the anchor; the file is not used before it is accepted.
#[test]
fn a_cut_tail_is_named_and_accepted() {
    let home = home(true);
    let (_, found) = verified(&home, 0);
    assert_eq!(found["tail"], "anchored");
    // An older copy is put in its place.
    let files = |from: &str, to: &str| {
        for suffix in ["", "-wal"] {
            let path = |end: &str| format!("{}{end}{suffix}", home.db().display());
            let _none = std::fs::remove_file(path(to));
            let _none = std::fs::copy(path(from), path(to));
        }
    };
    files("", ".old");
    home.executus(&["run", "book.toml", "--run-id", "d"]).expect(0);
    files(".old", "");
    let (said, found) = verified(&home, 1);
    assert_eq!((&found["tail"], &found["flaw"]), (&json!("cut"), &Value::Null));
    assert!(said.stdout.contains("end: cut off"), "{said:?}");
    let refused = home.executus(&["run", "book.toml", "--run-id", "e"]).expect(1);
    assert!(refused.stderr.contains("executus audit accept"), "{}", refused.stderr);
    home.executus(&["audit", "accept", "--reason", "the disk was lost"]).expect(0);
    verified(&home, 0);
    home.executus(&["run", "book.toml", "--run-id", "e"]).expect(0);
    let notes = home.executus(&["audit", "export"]).expect(0).stdout;
    assert!(notes.contains("the disk was lost"), "{notes}");
}

#[test]
fn an_anchor_needs_its_key() {
    let home = home(true);
    home.file("executus.toml", "[audit]\nanchor = \"anchor\"\n");
    let said = home.executus(&["audit", "verify"]).expect(2);
    assert!(said.stderr.contains("anchor_key"), "{}", said.stderr);
    home.file("executus.toml", "[audit]\nanchor = \"anchor\"\nanchor_key_env = \"THE_KEY\"\n");
    let said = home.executus(&["audit", "verify"]).expect(2);
    assert!(said.stderr.contains("THE_KEY"), "{}", said.stderr);
    let mut command = home.command();
    command.args(["audit", "verify"]).env("THE_KEY", "another key of thirty-two bytes or more");
    let said = Said::from(command.output().unwrap()).expect(1);
    assert!(said.stdout.contains("another key"), "{}", said.stdout);
}

#[test]
fn records_are_exported() {
    let home = home(false);
    let lines = home.executus(&["audit", "export", "--caller", "ann"]).expect(0).json();
    let runs: Vec<_> = lines.iter().filter(|line| line["type"] == "run").collect();
    assert_eq!(runs.len(), 2);
    let said = home.executus(&["audit", "export", "--format", "markdown", "--run", "b"]).expect(0);
    assert!(
        said.stdout.contains("Hello Bob") && !said.stdout.contains("Hello Ann"),
        "{}",
        said.stdout
    );
    let said = home.executus(&["audit", "export", "--format", "ocsf", "-o", "out.jsonl"]).expect(0);
    assert!(said.stderr.contains("3 runs"), "{}", said.stderr);
    let text = std::fs::read_to_string(home.path().join("out.jsonl")).unwrap();
    assert!(text.lines().all(|line| line.contains("class_uid")), "{text}");
    home.executus(&["audit", "export", "--format", "xml"]).expect(2);
}

#[test]
fn records_are_found_by_their_words() {
    let home = home(false);
    let found = |args: &[&str]| {
        let said = home.executus(&[&["search", "--json"], args].concat()).expect(0);
        said.json().iter().map(|hit| hit["run_id"].clone()).collect::<Vec<_>>()
    };
    assert!(found(&["hello bob"]).iter().all(|run| run == "b"));
    assert!(!found(&["\"Hello Bob\""]).is_empty());
    assert!(found(&["hello", "--run", "c"]).iter().all(|run| run == "c"));
    assert_eq!(found(&["nowhere"]), [] as [Value; 0]);
    let said = home.executus(&["search", "hel*", "--limit", "1"]).expect(0);
    assert_eq!(said.stdout.lines().count(), 1);
    assert!(said.stderr.contains("--after"), "{}", said.stderr);
    home.executus(&["search", " "]).expect(2);
    home.executus(&["erase", "--caller", "bob"]).expect(0);
    assert_eq!(found(&["bob"]), [] as [Value; 0]);
    home.executus(&["search", "hello", "--db", "none.db"]).expect(2);
}

/// AR-09: the order is stable, `since` counts and `until` does not, and nothing is negative.
#[test]
fn runs_are_listed_in_pages() {
    let home = home(false);
    let ids = |said: &Said| {
        said.json().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = home.executus(&["runs", "--json", "--limit", "2"]).expect(0);
    assert_eq!(ids(&first), ["a", "b"]);
    let (_, place) = first.stderr.trim().rsplit_once(' ').unwrap();
    let second = home.executus(&["runs", "--json", "--limit", "2", "--after", place]).expect(0);
    assert_eq!((ids(&second), second.stderr.as_str()), (vec!["c".to_owned()], ""));
    assert_eq!(ids(&home.executus(&["runs", "--json", "--caller", "ann"]).expect(0)), ["c", "a"]);
    let started = second.json()[0]["started_at"].as_str().unwrap().to_owned();
    assert_eq!(ids(&home.executus(&["runs", "--json", "--since", &started]).expect(0)), ["c"]);
    assert_eq!(ids(&home.executus(&["runs", "--json", "--until", &started]).expect(0)), ["b", "a"]);
    for wrong in [["--limit", "-1"], ["--since", "soon"], ["--after", "here"]] {
        home.executus(&["runs", wrong[0], wrong[1]]).expect(2);
    }
    home.executus(&["runs", "--since", "2026-01-02", "--until", "2026-01-01"]).expect(2);
}

#[test]
fn a_caller_is_erased_and_the_chain_holds() {
    let home = home(true);
    let said = home.executus(&["erase", "--caller", "ann", "--compact"]).expect(0);
    assert!(said.stdout.starts_with("erased: 2 runs"), "{}", said.stdout);
    verified(&home, 0);
    let all = home.executus(&["audit", "export"]).expect(0).stdout;
    assert!(all.contains("Hello Bob") && !all.contains("Hello Ann"), "{all}");
    for file in std::fs::read_dir(home.db().parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(9).any(|window| window == b"Hello Ann"));
    }
}

#[test]
fn old_runs_are_dropped_by_configuration() {
    let home = home(true);
    let text = std::fs::read_to_string(home.path().join("executus.toml")).unwrap();
    home.file("executus.toml", &(text + "retention = \"1ms\"\njournal_retention = \"1ms\"\n"));
    home.executus(&["run", "book.toml", "--run-id", "d"]).expect(0);
    home.executus(&["run", "book.toml", "--run-id", "e"]).expect(0);
    assert!(home.executus(&["runs", "--json"]).expect(0).json().len() < 5);
    verified(&home, 0);
}

#[test]
fn actions_are_files_where_a_folder_is_named() {
    let home = Home::new();
    home.file("executus.toml", "[audit]\nactions = \"actions\"\n");
    home.playbook(BOOK);
    home.executus(&["run", "book.toml", "--run-id", "a/b"]).expect(0);
    let folders: Vec<_> = std::fs::read_dir(home.path().join("actions")).unwrap().collect();
    let [Ok(folder)] = &folders[..] else { panic!("{folders:?}") };
    let run = std::fs::read_to_string(folder.path().join("run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["run_id"], "a/b", "{run}");
    // AL-10: the steps of a playbook are shown as such.
    let action = std::fs::read_to_string(folder.path().join("0001_playbook_greet.json")).unwrap();
    assert!(action.contains("Hello Ada"), "{action}");
    verified(&home, 0);
    home.file("file", "");
    home.file("executus.toml", "[audit]\nactions = \"file\"\n");
    let said = home.executus(&["run", "book.toml"]).expect(2);
    assert!(said.stderr.contains("actions"), "{}", said.stderr);
}
