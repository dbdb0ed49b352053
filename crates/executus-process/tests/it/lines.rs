//! Tasks that are read while they run.

use std::time::Duration;

use executus_process::{FailureKind, Format, Line, Task, TaskLines};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{eventually, is_known, is_running, logged, much, pids, scratch, sh};

async fn next(lines: &mut TaskLines) -> String {
    lines.next().await.unwrap().unwrap().text
}

#[tokio::test]
async fn lines_come_while_the_child_runs() {
    // It waits for each answer, so a line that is held back would hold both.
    let go = scratch("lines-go");
    let script = "echo one; while ! test -e \"$0\"; do sleep 0.01; done; printf 'two\\r\\nlast'";
    let mut lines = sh(script, go.to_str().unwrap()).lines().unwrap();
    assert_eq!(next(&mut lines).await, "one");
    assert!(timeout(Duration::from_millis(50), lines.next()).await.is_err());
    std::fs::write(&go, "").unwrap();
    assert_eq!(next(&mut lines).await, "two");
    assert_eq!(next(&mut lines).await, "last");
    assert_eq!(lines.next().await.unwrap(), None);
    assert_eq!(lines.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_failure_comes_behind_the_last_line_once() {
    let mut lines = sh("echo one; echo oh >&2; exit 3", "sh").lines().unwrap();
    assert_eq!(next(&mut lines).await, "one");
    let (failure, log) = logged(lines.next()).await;
    let failure = failure.unwrap_err();
    assert_eq!((failure.status(), failure.kind()), (500, FailureKind::Exit));
    assert_eq!((failure.detail(), log.len()), ("`sh` ended with exit code 3: oh", 1));
    assert_eq!(lines.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_failure_keeps_the_report_of_the_last_line() {
    let script = "echo 1; echo '{\"status\": 429, \"cost\": 2}'; exit 1";
    let mut lines = sh(script, "sh").format(Format::JsonLines).lines().unwrap();
    next(&mut lines).await;
    next(&mut lines).await;
    let failure = lines.next().await.unwrap_err();
    assert_eq!(failure.status(), 429);
    assert_eq!(failure.report().unwrap().cost, Some(json!(2)));
}

#[tokio::test]
async fn nobody_is_read_ahead() {
    let done = scratch("lines-done");
    let script = "head -c 300000 /dev/zero | tr '\\0' '\\n'; : > \"$0\"";
    let mut lines = sh(script, done.to_str().unwrap()).lines().unwrap();
    assert_eq!(next(&mut lines).await, "");
    // It could be done long since, were there room for what it writes.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!done.exists());
    let mut count = 1;
    while lines.next().await.unwrap().is_some() {
        count += 1;
    }
    assert!(done.exists() && count == 300_000, "{count}");
}

#[tokio::test]
async fn a_dropped_stream_leaves_no_process() {
    let file = scratch("lines-dropped");
    let script = "sleep 60 & echo $! > \"$0\"; echo $$ >> \"$0\"; echo on; wait";
    let mut lines = sh(script, file.to_str().unwrap()).lines().unwrap();
    assert_eq!(next(&mut lines).await, "on");
    let pids = pids(&file, 2).await;
    drop(lines);
    eventually("both are ended", || !pids.iter().any(|&pid| is_running(pid))).await;
    eventually("the child is waited for", || !is_known(pids[1])).await;
}

#[tokio::test]
async fn a_long_line_is_cut() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end";
    let mut lines = sh(script, "sh").max_line(10).lines().unwrap();
    let line = lines.next().await.unwrap().unwrap();
    assert_eq!(line, Line { text: "x".repeat(10), is_cut: true });
    assert_eq!(next(&mut lines).await, "end");
}

#[tokio::test]
async fn the_limits_are_those_of_any_task() {
    let begun = Instant::now();
    let task = Task::new("yes").timeout(Duration::from_millis(200));
    let mut lines = task.lines().unwrap();
    let failure = loop {
        match lines.next().await {
            Ok(line) => assert!(line.is_some()),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.kind(), FailureKind::Timeout);
    let stop = tokio::time::sleep(Duration::from_millis(50));
    let mut lines = Task::new("sleep").args(["60"]).lines().unwrap();
    assert_eq!(lines.next_until(stop).await.unwrap_err().kind(), FailureKind::Cancelled);
    let mut lines = sh("echo on; exec 0<&-; exit 0", "sh").input(much()).lines().unwrap();
    assert_eq!(next(&mut lines).await, "on");
    assert_eq!(lines.next().await.unwrap_err().status(), 502);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn those_that_hold_the_pipe_do_not_hold_the_stream() {
    let begun = Instant::now();
    for script in ["sleep 60 & printf out", "setsid sleep 2 & printf out", "yes & echo out"] {
        let mut lines = sh(script, "sh").lines().unwrap();
        let mut found = false;
        while let Some(line) = lines.next().await.unwrap() {
            found |= line.text == "out";
        }
        assert!(found, "{script}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
