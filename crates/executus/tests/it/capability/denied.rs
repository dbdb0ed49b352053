//! What a policy refuses: bounded for the model, on record, and the end of a run if it is to be.

use std::path::Path;

use executus_testkit::provider::Answer;
use serde_json::json;

use super::{actions, explain, in_words, told};
use crate::support::{Scene, Way};

/// An agent that may read, and asks for more.
fn agent(scene: &Scene, policy: &str) {
    scene.agent(&format!(
        r#"
prompt = "Clean up."
[principal]
id = "ada"
roles = ["reader"]
[policy]
justification = "cleaning up after the fair"
{policy}
[[tool]]
name = "wipe"
kind = "process"
argv = ["sh", "-c", "echo \"$1\" >> wiped", "sh", "{{what}}"]
[tool.params]
what = {{ type = "string" }}
[[tool]]
name = "look"
kind = "process"
argv = ["echo", "much dust"]
effect = "read_only"
[[capability]]
id = "shop.wipe"
safety = "destructive"
drivers = ["wipe"]
[[capability]]
id = "shop.look"
safety = "read"
drivers = ["look"]
"#
    ));
}

fn script() -> [Answer; 3] {
    [
        Answer::calls([("shop__wipe", json!({"what": "floor"}))]),
        Answer::calls([("shop__look", json!({}))]),
        Answer::text("I may not."),
    ]
}

/// A destructive capability without the role.
#[test]
fn a_denial_is_told_and_recorded_and_the_run_goes_on() {
    let scene = Scene::new(Way::STREAM, script());
    agent(&scene, "");
    let said = scene.run(&[]).expect(0);
    assert_eq!(said.stdout, "I may not.\n");
    scene.no_complaints();
    assert!(!scene.home.path().join("wiped").exists());
    let asked = scene.server.requests();
    let denial = told(&asked[1]);
    assert!(denial.contains("denied (missing_role)") && denial.contains("`admin`"), "{denial}");
    assert!(denial.len() < 1000, "{denial}");
    assert!(told(&asked[2]).contains("much dust"));

    let actions = actions(&scene);
    assert_eq!(actions.len(), 2);
    let denied = explain(&scene, &actions[0]);
    assert_eq!((&denied["kind"], &denied["capability_id"]), (&json!("deny"), &json!("shop.wipe")));
    assert_eq!((&denied["principal_id"], &denied["run_id"]), (&json!("ada"), &json!("r")));
    assert_eq!(denied["error"]["code"], "missing_role");
    let words = in_words(&scene, &actions[0]);
    assert!(words.contains("· deny · missing_role\n") && words.contains("error: "), "{words}");
    assert_eq!(explain(&scene, &actions[1])["kind"], "invoke");
    scene.replays();
}

#[test]
fn a_denial_ends_the_run_where_the_file_says_so() {
    let scene = Scene::new(Way::STREAM, script());
    agent(&scene, "denial_ends_run = true");
    let last = scene.run(&["--json"]).expect(3).last();
    assert_eq!((&last["status"], &last["error"]["kind"]), (&json!("error"), &json!("denied")));
    assert!(last["error"]["message"].as_str().unwrap().contains("missing_role"), "{last}");
    assert_eq!(scene.server.requests().len(), 1);
    let actions = actions(&scene);
    assert_eq!(actions.len(), 1);
    assert_eq!(explain(&scene, &actions[0])["error"]["code"], "missing_role");
    scene.replays();
}

/// By its effect, before the policy is asked.
#[test]
fn a_read_only_run_denies_what_does_not_only_read() {
    let scene = Scene::new(Way::STREAM, script());
    agent(&scene, "");
    scene.run(&["--read-only"]).expect(0);
    let asked = scene.server.requests();
    assert!(told(&asked[1]).contains("denied (read_only)"));
    assert!(told(&asked[2]).contains("much dust"));
    assert_eq!(actions(&scene).len(), 1);
}

#[test]
fn nobody_knows_an_action_that_was_not() {
    let scene = Scene::new(Way::STREAM, script());
    agent(&scene, "");
    scene.run(&[]).expect(0);
    let said = scene.home.executus(&["explain", "r/9/0"]).expect(2);
    assert!(said.stderr.contains("r/9/0"), "{}", said.stderr);
    assert!(said.stdout.is_empty());
}

/// The schema before there were actions.
const FIRST: &str = include_str!("../../../../executus-audit-sqlite/tests/it/migration/v1.sql");

/// Writes the runs of a database into one of the first version, in its place.
fn as_the_first_version_kept_it(path: &Path) {
    let old = path.with_extension("old");
    let db = rusqlite::Connection::open(&old).unwrap();
    db.execute_batch(FIRST).unwrap();
    db.execute("ATTACH ?1 AS kept", [path.to_str().unwrap()]).unwrap();
    for table in ["runs", "records"] {
        let names = "SELECT group_concat(name) FROM pragma_table_info(?1, 'main')";
        let names: String = db.query_row(names, [table], |row| row.get(0)).unwrap();
        let copy = format!("INSERT INTO main.{table} ({names}) SELECT {names} FROM kept.{table}");
        db.execute_batch(&copy).unwrap();
    }
    let id: i32 = db.pragma_query_value(Some("kept"), "application_id", |row| row.get(0)).unwrap();
    db.execute_batch("DETACH kept").unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "application_id", id).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    for suffix in ["db-wal", "db-shm"] {
        let _none = std::fs::remove_file(path.with_extension(suffix));
    }
    std::fs::rename(old, path).unwrap();
}

/// A file from before there were actions is brought up to date by whoever looks into it.
#[test]
fn an_older_database_is_read() {
    let scene = Scene::new(Way::STREAM, script());
    agent(&scene, "");
    scene.run(&[]).expect(0);
    as_the_first_version_kept_it(&scene.home.db());
    let explained = scene.explained();
    assert_eq!(explained.run()["status"], "ok");
    assert!(actions(&scene).is_empty());
}
