//! Runs that another process ends.

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use crate::support::{Home, end, send};

const ASKING: &str = r#"
[[tool]]
name = "send"
kind = "process"
argv = ["sh", "-c", "echo sent >> sent"]
approval = "required"
[[step]]
id = "send"
description = "Send"
tool = "send"
on_failure = "abort"
"#;

fn is_cancelled(home: &Home) {
    let runs = home.executus(&["runs", "--status", "cancelled", "--json"]).expect(0).json();
    assert_eq!((runs.len(), &runs[0]["run_id"]), (1, &json!("r")));
    home.executus(&["replay", "r"]).expect(0);
    assert_eq!(home.executus(&["resume", "--all"]).expect(0).stdout, "");
    home.executus(&["resume", "r"]).expect(130);
}

#[test]
fn a_run_that_lives_is_ended() {
    let home = Home::new();
    home.sleeper("");
    let child = home.start(&["run", "book.toml", "--run-id", "r", "--json"]);
    let said = home.executus(&["cancel", "r"]).expect(0);
    assert_eq!(said.stdout, "run r: cancelled\n");
    let run = end(child).expect(130);
    assert_eq!(run.last()["status"], "cancelled");
    is_cancelled(&home);
    // Nothing is left of the ask, and there is nothing left to ask for.
    let asks = home.path().join("data/executus/executus.db.asks");
    assert_eq!(std::fs::read_dir(asks).unwrap().count(), 0);
    home.executus(&["cancel", "r"]).expect(0);
}

#[test]
fn a_run_that_waits_is_ended() {
    let home = Home::new();
    home.playbook(ASKING);
    home.executus(&["run", "book.toml", "--run-id", "r"]).expect(75);
    home.executus(&["cancel", "r"]).expect(0);
    is_cancelled(&home);
    assert!(!home.path().join("sent").exists());
}

#[test]
fn a_run_whose_process_died_is_ended() {
    let home = Home::new();
    home.sleeper("");
    let mut child = home.start(&["run", "book.toml", "--run-id", "r"]);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    let tool = std::fs::read_to_string(home.path().join("there")).unwrap();
    kill_process_group(Pid::from_raw(tool.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    home.executus(&["cancel", "r"]).expect(0);
    is_cancelled(&home);
}

#[test]
fn a_run_that_is_over_stays_as_it_was() {
    let home = Home::new();
    let said = home.executus(&["cancel", "r"]).expect(2);
    assert!(said.stderr.contains("no run `r`"), "{}", said.stderr);
    home.playbook(&ASKING.replace("approval = \"required\"\n", ""));
    home.executus(&["run", "book.toml", "--run-id", "r"]).expect(0);
    let said = home.executus(&["cancel", "r"]).expect(1);
    assert_eq!(said.stdout, "run r: ok\n");
}
