//! How children end, and that nothing of them stays.

use std::time::Duration;

use executus_core::{RunStatus, ToolError};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    alone, call, eventually, is_known, is_running, limited, pids, scratch, script, start, tool,
};

#[tokio::test]
async fn a_late_child_is_ended() {
    let begun = Instant::now();
    let result = call(limited(&["sleep", "60"], Duration::from_millis(100)), json!({})).await;
    assert_eq!(result, Err(ToolError::Timeout { limit_ms: 100 }));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_late_child_may_tidy_up() {
    let seen = scratch("tidied");
    let tidies = "trap 'echo tidy > \"$0\"; exit 0' TERM; sleep 60 & wait";
    let argv = ["sh", "-c", tidies, seen.to_str().unwrap()];
    let result = call(limited(&argv, Duration::from_millis(200)), json!({})).await;
    assert_eq!(result, Err(ToolError::Timeout { limit_ms: 200 }));
    assert_eq!(std::fs::read_to_string(&seen).unwrap(), "tidy\n");
}

#[tokio::test]
async fn a_child_that_ignores_the_request_is_killed_with_its_children() {
    let file = scratch("stubborn");
    let stubborn = "trap '' TERM; sleep 60 & echo $! > \"$0\"; echo $$ >> \"$0\"; wait; wait";
    let argv = ["sh", "-c", stubborn, file.to_str().unwrap()];
    let begun = Instant::now();
    let result = call(limited(&argv, Duration::from_millis(200)), json!({})).await;
    assert_eq!(result, Err(ToolError::Timeout { limit_ms: 200 }));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for pid in pids(&file, 2).await {
        eventually("it is ended", || !is_running(pid)).await;
    }
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipe_does_not_hold_the_call() {
    let file = scratch("holder");
    let argv = ["sh", "-c", "sleep 60 & echo $! > \"$0\"; echo out", file.to_str().unwrap()];
    let begun = Instant::now();
    let output = call(tool(&argv), json!({})).await.unwrap();
    assert_eq!(output.text, "out");
    assert_eq!(output.data.unwrap()["pipe_held"], json!(true));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let holder = pids(&file, 1).await[0];
    eventually("the group ends with the call", || !is_running(holder)).await;
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_does_not_hold_the_call() {
    let begun = Instant::now();
    // It is not in the group any more: it lives on, and the call does not wait for it.
    let output = script("setsid sleep 3 & echo out").await.unwrap();
    assert_eq!(output.text, "out");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn late_output_of_a_grandchild_is_waited_for_a_little() {
    assert_eq!(script("(sleep 0.05; echo late) & echo out").await.unwrap().text, "out\nlate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_the_middle_leaves_no_process() {
    let file = scratch("cancelled");
    let busy = "trap '' TERM; sleep 60 & echo $! > \"$0\"; echo $$ >> \"$0\"; wait; wait";
    let (run, _result) = start(tool(&["sh", "-c", busy, file.to_str().unwrap()]), json!({}));
    let pids = pids(&file, 2).await;
    assert!(pids.iter().all(|&pid| is_running(pid)));
    run.cancel();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Cancelled);
    eventually("both are ended", || !pids.iter().any(|&pid| is_running(pid))).await;
    eventually("the child is waited for", || !is_known(pids[1])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_run_leaves_no_process() {
    let file = scratch("dropped");
    let argv = ["sh", "-c", "echo $$ > \"$0\"; sleep 60; true", file.to_str().unwrap()];
    let (run, _result) = start(tool(&argv), json!({}));
    let pid = pids(&file, 1).await[0];
    drop(run);
    eventually("the child is ended and waited for", || !is_known(pid)).await;
}

/// Counts descriptors, so it needs a process of its own: the test below starts it.
#[tokio::test]
#[ignore = "started by `many_runs_leave_nothing`"]
async fn many_runs() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let echo = || call(tool(&["sh", "-c", "echo $$"]), json!({}));
    echo().await.unwrap();
    let before = descriptors();
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen.push(echo().await.unwrap().text.parse::<i32>().unwrap());
    }
    assert_eq!(descriptors(), before);
    // The last children may still be on their way out.
    eventually("no child is left", || !seen.iter().any(|&pid| is_known(pid))).await;
}

#[test]
fn many_runs_leave_nothing() {
    alone("ending::many_runs");
}
