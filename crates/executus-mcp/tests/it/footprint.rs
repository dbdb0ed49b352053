//! What servers cost this process, measured in one of its own.

use std::process::Command;

use executus_core::Effect;
use executus_mcp::{McpError, McpLimits};
use serde_json::json;

use crate::support::{args, everything, hostile};

const ALONE: &str = "EXECUTUS_TEST_ALONE";
const MIB: u64 = 1024 * 1024;

/// Whether this is the process of this test alone; in the other one, runs it and answers no.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let complaint = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}\n{complaint}");
    false
}

/// A figure of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() * 1024
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn an_endless_line_takes_no_more_than_its_limit() {
    if !alone("footprint::an_endless_line_takes_no_more_than_its_limit") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let limits = McpLimits { message_bytes: 16 * 1024 * 1024, ..McpLimits::default() };
    let notes = folder.path().join("notes");
    let server = hostile("endless-line", &notes).limits(limits).build().unwrap();
    server.tools().await.unwrap();
    let before = memory("VmRSS:");
    let error = server.call("work", &args(json!({})), Effect::Once).await.unwrap_err();
    assert!(matches!(&error, McpError::TooLarge { .. }), "{error}");
    let most = memory("VmHWM:").saturating_sub(before);
    assert!(most <= 24 * MIB, "{most} bytes");
    server.close().await;
}

#[tokio::test]
async fn lives_that_ended_leave_no_descriptor_and_no_zombie() {
    if !alone("footprint::lives_that_ended_leave_no_descriptor_and_no_zombie") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let live = async |mode: &str| {
        let server = hostile(mode, &notes).build().unwrap();
        let _result = server.call("work", &args(json!({})), Effect::Once).await;
        server.close().await;
    };
    live("plain").await;
    let before = descriptors();
    for _ in 0..2 {
        for mode in ["plain", "dies", "closes", "endless-line", "gone"] {
            live(mode).await;
        }
    }
    let dropped = everything().build().unwrap();
    dropped.tools().await.unwrap();
    drop(dropped);
    let mut turns = tokio::time::interval(std::time::Duration::from_millis(10));
    for turn in 0.. {
        turns.tick().await;
        let (open, left) = (descriptors(), children());
        if open <= before && left.is_empty() {
            break;
        }
        assert!(turn < 1000, "{open} descriptors, {before} at first; children: {left}");
    }
}

/// The children that this process has, zombies too.
fn children() -> String {
    let own = std::process::id();
    let file = format!("/proc/{own}/task/{own}/children");
    let mut all = std::fs::read_to_string(file).unwrap();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let more = std::fs::read_to_string(task.unwrap().path().join("children"));
        all.push_str(&more.unwrap_or_default());
    }
    all
}
