//! How a child's life ends.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use serde_json::json;

use crate::support::{call, everything_with_pid, has, hostile};

async fn pid(file: &Path, before: &str) -> Pid {
    let text = has(file, "\n").await;
    let line = text.lines().find_map(|line| line.strip_prefix(before)).unwrap();
    Pid::from_raw(line.trim().parse().unwrap()).unwrap()
}

/// Waits for the end of a process, in real time.
async fn gone(pid: Pid) -> bool {
    let mut turns = tokio::time::interval(Duration::from_millis(10));
    for _ in 0..500 {
        turns.tick().await;
        if test_kill_process(pid).is_err() || is_zombie(pid) {
            return true;
        }
    }
    false
}

/// A process that nobody here can wait for: its parent was ended before it.
fn is_zombie(pid: Pid) -> bool {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    std::fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") Z "))
}

#[tokio::test]
async fn a_closed_server_gets_the_end_of_its_input_and_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let server = hostile("plain", &notes).build().unwrap();
    assert_eq!(call(&server, "work", json!({})).await.unwrap().text, "done");
    server.close().await;
    server.close().await;
    assert!(std::fs::read_to_string(&notes).unwrap().ends_with("end of input\n"));
}

#[tokio::test]
async fn a_stubborn_server_is_ended_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let limits = executus_mcp::McpLimits {
        close: Duration::from_millis(200),
        ..executus_mcp::McpLimits::default()
    };
    let server = hostile("stubborn", &notes).limits(limits).build().unwrap();
    server.tools().await.unwrap();
    let child = pid(&notes, "child ").await;
    server.close().await;
    assert!(gone(child).await);
}

#[tokio::test]
async fn the_last_handle_takes_the_server_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let server = everything_with_pid(&file).build().unwrap();
    server.tools().await.unwrap();
    let pid = pid(&file, "").await;
    assert!(test_kill_process(pid).is_ok());
    drop(server);
    assert!(gone(pid).await);
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_any_more_serves_those_who_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = everything_with_pid(&folder.path().join("pid")).build().unwrap();
    let first = tokio::time::timeout(Duration::from_millis(5), server.tools()).await;
    assert!(first.is_err());
    assert!(!server.tools().await.unwrap().is_empty());
    assert_eq!(server.lives(), 1);
    server.close().await;
}
