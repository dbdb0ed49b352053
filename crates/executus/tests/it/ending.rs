//! How runs end, and how the process shows it.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::support::{Home, Said, end, send};

const ECHO: &str = r#"
[params]
text = { type = "string", default = "hello" }
[[tool]]
name = "echo"
kind = "process"
argv = ["echo", "{text}"]
effect = "read_only"
[[step]]
id = "echo"
description = "Say it"
tool = "echo"
store_as = "said"
on_failure = "abort"
[output]
template = "It says {said}."
"#;

#[test]
fn a_run_prints_its_output_and_nothing_else() {
    let home = Home::new();
    home.playbook(ECHO);
    let said = home.executus(&["run", "book.toml"]).expect(0);
    assert_eq!(said.stdout, "It says hello.\n");
    assert!(said.stderr.contains("Say it") && said.stderr.contains("ok"), "{}", said.stderr);
    assert!(!said.stderr.contains('\u{1b}'), "{:?}", said.stderr);
}

/// FN-05
#[test]
fn json_ends_with_the_result() {
    let home = Home::new();
    home.playbook(ECHO);
    let said = home.executus(&["run", "book.toml", "--json", "--run-id", "r"]).expect(0);
    let mut lines = said.json();
    let last = lines.pop().unwrap();
    assert!(last["stats"]["runtime_ms"].is_u64(), "{last}");
    assert_eq!(
        last,
        json!({
            "type": "run.finished", "run_id": "r", "status": "ok", "output": "It says hello.",
            "error": null,
            "stats": {
                "steps": 2, "tool_calls": 1, "input_tokens": 0, "output_tokens": 0,
                "thinking_tokens": 0, "cached_tokens": 0, "cost_micros": 0, "runtime_ms": last["stats"]["runtime_ms"],
            },
        })
    );
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types[0], "run.started");
    for expected in ["step.started", "tool.started", "tool.finished"] {
        assert!(types.contains(&expected), "no {expected} in {types:?}");
    }
    assert_eq!(types.iter().filter(|kind| **kind == "run.finished").count(), 0);
}

#[test]
fn a_failed_step_is_an_error() {
    let home = Home::new();
    home.playbook(&ECHO.replace("\"echo\", \"{text}\"", "\"false\", \"{text}\""));
    let said = home.executus(&["run", "book.toml", "--json"]).expect(1);
    let last = said.last();
    assert_eq!(last["status"], "error");
    assert_eq!(last["error"]["kind"], "failed");
    assert_eq!(last["error"]["retryable"], false);
    let message = last["error"]["message"].as_str().unwrap();
    assert!(message.contains("step 1") && message.contains("exit code 1"), "{message}");
    // Without --json the error is on standard error, and nothing on standard output.
    let said = home.executus(&["run", "book.toml"]).expect(1);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("exit code 1"), "{}", said.stderr);
}

#[test]
fn a_deadline_is_124() {
    let home = Home::new();
    home.sleeper("[limits]\nhard_timeout = \"300ms\"");
    let said = home.executus(&["run", "book.toml", "--json"]).expect(124);
    assert_eq!(said.last()["status"], "timeout");
    assert_gone(&home);
}

#[test]
fn a_step_limit_is_an_error() {
    let home = Home::new();
    home.playbook(&format!("[limits]\nmax_steps = 1\n{ECHO}"));
    let said = home.executus(&["run", "book.toml", "--json"]).expect(1);
    assert_eq!(said.last()["error"]["kind"], "step_limit");
}

#[test]
fn an_interrupt_cancels_and_settles() {
    let home = Home::new();
    home.sleeper("");
    let child = home.start(&["run", "book.toml", "--json", "--run-id", "r"]);
    send(&child, Signal::INT);
    let said = end(child).expect(130);
    assert_eq!(said.last()["status"], "cancelled");
    assert_gone(&home);
    let runs = home.executus(&["runs", "--status", "cancelled", "--json"]).expect(0).json();
    assert_eq!((runs.len(), &runs[0]["run_id"]), (1, &json!("r")));
    home.executus(&["replay", "r"]).expect(0);
}

#[test]
fn two_interrupts_are_no_dirtier() {
    let home = Home::new();
    home.sleeper("");
    let child = home.start(&["run", "book.toml", "--json", "--run-id", "r"]);
    send(&child, Signal::INT);
    send(&child, Signal::INT);
    let said = end(child).expect(130);
    assert_eq!(said.last()["status"], "cancelled");
    assert_gone(&home);
    let runs = home.executus(&["runs", "--status", "cancelled", "--json"]).expect(0).json();
    assert_eq!(runs.len(), 1);
}

#[test]
fn a_termination_interrupts() {
    let home = Home::new();
    home.sleeper("");
    let child = home.start(&["run", "book.toml", "--json", "--run-id", "r"]);
    send(&child, Signal::TERM);
    let said = end(child).expect(143);
    assert_eq!(said.last()["status"], "interrupted");
    assert_gone(&home);
    let runs = home.executus(&["runs", "--status", "interrupted", "--json"]).expect(0).json();
    assert_eq!(runs.len(), 1);
}

/// FN-05
#[test]
fn a_killed_process_leaves_an_interrupted_run() {
    let home = Home::new();
    home.sleeper("");
    let mut child = home.start(&["run", "book.toml", "--run-id", "r"]);
    let running = home.executus(&["runs", "--status", "running", "--json"]).expect(0).json();
    assert_eq!(running.len(), 1);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    let runs = home.executus(&["runs", "--status", "interrupted", "--json"]).expect(0).json();
    assert_eq!((runs.len(), &runs[0]["run_id"]), (1, &json!("r")));
    assert_eq!(runs[0]["error"]["kind"], "interrupted");
    let refused = home.executus(&["run", "book.toml", "--run-id", "r"]).expect(2);
    assert!(refused.stderr.contains("was interrupted"), "{}", refused.stderr);
    home.executus(&["replay", "r"]).expect(0);
    // Nobody was there to end its tool.
    let tool = std::fs::read_to_string(home.path().join("there")).unwrap();
    let tool = rustix::process::Pid::from_raw(tool.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process_group(tool, Signal::KILL).unwrap();
}

#[test]
fn nobody_reading_is_no_panic() {
    let home = Home::new();
    home.playbook(&ECHO.replace("\"echo\", \"{text}\"", "\"seq\", \"20000\""));
    for args in [&["run", "book.toml"][..], &["run", "book.toml", "--json"]] {
        let mut child = home
            .command()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let said: Said = end(child).expect(0);
        assert!(!said.stderr.contains("panic"), "{}", said.stderr);
    }
}

#[test]
fn escapes_of_a_tool_do_not_reach_the_screen() {
    let home = Home::new();
    let shout = ECHO.replace(
        "\"echo\", \"{text}\"",
        r#""sh", "-c", "printf '\\033[2Joops\\033]0;title\\007' >&2; exit 1""#,
    );
    home.playbook(&shout);
    let said = home.executus(&["run", "book.toml"]).expect(1);
    assert!(said.stderr.contains("oops") && !said.stderr.contains('\u{1b}'), "{:?}", said.stderr);
}

/// The tool's process is not there any more.
fn assert_gone(home: &Home) {
    let pid = std::fs::read_to_string(home.path().join("there")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    crate::support::eventually("the tool is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        rustix::process::test_kill_process(pid).is_err() || stat.contains(") Z ")
    });
}
