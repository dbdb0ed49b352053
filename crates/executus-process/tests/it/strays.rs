//! Those that leave the group of their task.

use std::time::Duration;

use executus_process::{FailureKind, TASK_VARIABLE, Task};
use serde_json::json;

use crate::support::{call, eventually, is_running, pids, scratch, sh, tool};

/// A daemon: a session of its own, and no parent.
const DAEMON: &str = "(setsid sh -c 'echo $$ > \"$0\"; exec sleep 60' \"$0\" \
                      >/dev/null 2>&1 </dev/null &)";

#[tokio::test]
async fn strays_are_ended_with_their_task() {
    let wait = "; while ! test -s \"$0\"; do sleep 0.01; done";
    for (name, rest, kind) in [
        ("stray-ok", "true", None),
        ("stray-failed", "exit 1", Some(FailureKind::Exit)),
        ("stray-late", "sleep 60", Some(FailureKind::Timeout)),
    ] {
        let file = scratch(name);
        let script = format!("{DAEMON}{wait}; {rest}");
        let task = sh(&script, file.to_str().unwrap()).end_strays();
        let result = task.timeout(Duration::from_millis(1500)).run().await;
        assert_eq!(result.err().map(|failure| failure.kind()), kind, "{name}");
        let stray = pids(&file, 1).await[0];
        eventually("it is ended", || !is_running(stray)).await;
    }
}

#[tokio::test]
async fn strays_of_a_dropped_task_are_ended() {
    let file = scratch("stray-dropped");
    let lines = sh(&format!("{DAEMON}; sleep 60"), file.to_str().unwrap());
    let lines = lines.end_strays().lines().unwrap();
    let stray = pids(&file, 1).await[0];
    assert!(is_running(stray));
    drop(lines);
    eventually("it is ended", || !is_running(stray)).await;
}

#[tokio::test]
async fn strays_of_other_tasks_are_left_alone() {
    let file = scratch("stray-other");
    let other = sh(&format!("{DAEMON}; sleep 60"), file.to_str().unwrap()).end_strays();
    let lines = other.lines().unwrap();
    let stray = pids(&file, 1).await[0];
    call(tool(&["true"]).end_strays(), json!({})).await.unwrap();
    assert!(is_running(stray));
    drop(lines);
    eventually("it is ended", || !is_running(stray)).await;
}

#[tokio::test]
async fn only_who_is_asked_to_marks_and_ends() {
    let variable = format!("echo ${TASK_VARIABLE}");
    let run = |task: Task| async move { task.run().await.unwrap().stdout_bytes };
    assert_eq!(run(sh(&variable, "sh")).await, 1);
    assert!(run(sh(&variable, "sh").end_strays()).await > 16);
}
