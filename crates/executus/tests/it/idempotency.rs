//! A run id is an idempotency key.

use std::process::Stdio;

use rustix::process::Signal;

use crate::support::{Home, end, send};

/// Every run of it leaves a line.
const TRACE: &str = r#"
[params]
text = { type = "string", default = "hello" }
[[tool]]
name = "trace"
kind = "process"
argv = ["sh", "-c", "echo ran >> trace; echo \"$1\"", "sh", "{text}"]
[[step]]
id = "trace"
description = "Leave a trace"
tool = "trace"
on_failure = "abort"
"#;

fn traces(home: &Home) -> usize {
    std::fs::read_to_string(home.path().join("trace")).unwrap_or_default().lines().count()
}

#[test]
fn a_finished_run_answers_with_its_result() {
    let home = Home::new();
    home.playbook(TRACE);
    let run =
        |extra: &[&str]| home.executus(&[&["run", "book.toml", "--run-id", "r"], extra].concat());
    let first = run(&["--json"]).expect(0).last();
    assert_eq!(first["output"], "hello");
    assert_eq!(run(&["--json"]).expect(0).last(), first);
    assert_eq!(run(&[]).expect(0).stdout, "hello\n");
    assert_eq!(run(&["--input", "text=hello"]).expect(0).stdout, "hello\n");
    assert_eq!(traces(&home), 1);

    let other = run(&["--input", "text=bye"]).expect(2);
    assert!(other.stderr.contains("other inputs"), "{}", other.stderr);
    run(&["--dry-run"]).expect(2);
    home.playbook(&TRACE.replace("Leave", "Make"));
    let changed = run(&[]).expect(2);
    assert!(changed.stderr.contains("another file"), "{}", changed.stderr);
    assert_eq!(traces(&home), 1);
}

#[test]
fn a_failed_run_answers_with_its_failure() {
    let home = Home::new();
    home.playbook(&TRACE.replace("echo \\\"$1\\\"", "exit 1"));
    let first = home.executus(&["run", "book.toml", "--run-id", "r", "--json"]).expect(1).last();
    let second = home.executus(&["run", "book.toml", "--run-id", "r", "--json"]).expect(1).last();
    assert_eq!(first, second);
    assert_eq!(traces(&home), 1);
}

#[test]
fn a_running_run_is_refused() {
    let home = Home::new();
    home.sleeper("");
    let child = home.start(&["run", "book.toml", "--run-id", "r"]);
    let refused = home.executus(&["run", "book.toml", "--run-id", "r"]).expect(2);
    assert!(refused.stderr.contains("run r is"), "{}", refused.stderr);
    let runs = home.executus(&["runs", "--status", "running", "--json"]).expect(0).json();
    assert_eq!(runs.len(), 1);
    send(&child, Signal::INT);
    end(child).expect(130);
}

#[test]
fn of_many_at_once_one_runs() {
    let home = Home::new();
    home.playbook(TRACE);
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut command = home.command();
            command.args(["run", "book.toml", "--run-id", "r"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let said = end(child);
        // The result, or the refusal while it is under way.
        match said.code {
            0 => assert_eq!(said.stdout, "hello\n"),
            _ => assert!(said.stderr.contains("is under way"), "{said:?}"),
        }
    }
    assert_eq!(traces(&home), 1);
}

#[test]
fn odd_run_ids_are_only_names() {
    let home = Home::new();
    home.playbook(TRACE);
    let long = "x".repeat(300);
    for id in ["../../x", "/etc/x", "%2f", "a b", "é", "e\u{301}", "\u{202e}x", &long, "R", "r"] {
        home.executus(&["run", "book.toml", "--run-id", id]).expect(0);
        let explained = home.executus(&["explain", id, "--json"]).expect(0).last();
        assert_eq!(explained["run"]["run_id"], id);
    }
    assert_eq!(home.executus(&["runs", "--json"]).expect(0).json().len(), 10);
    for id in ["", "a\nb", &"x".repeat(600)] {
        home.executus(&["run", "book.toml", "--run-id", id]).expect(2);
    }
    let files = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(files, 3, "book.toml, data and trace");
}
