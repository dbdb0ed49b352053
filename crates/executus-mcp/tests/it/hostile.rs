//! A server of ours that does its part badly.

use std::path::PathBuf;
use std::time::Duration;

use executus_core::{Effect, Tool, ToolError, ToolSpec};
use executus_mcp::{McpError, McpLimits, McpServer};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{args, call, context, has, hostile, tool, within};

/// A folder for what the server gets.
fn notes() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes");
    (folder, file)
}

async fn work(server: &McpServer) -> Result<String, McpError> {
    let output = server.call("work", &args(json!({})), Effect::Once).await;
    output.map(|output| output.text)
}

/// The error of one call that counts, and how often it was made.
async fn error(mode: &str, limits: McpLimits) -> (McpError, usize) {
    let (_folder, notes) = notes();
    let server = hostile(mode, &notes).limits(limits).build().unwrap();
    // So that the start of Python is no part of what is timed; some do not even start.
    let _started = server.tools().await;
    let error = work(&server).await.unwrap_err();
    server.close().await;
    let got = std::fs::read_to_string(&notes).unwrap_or_default();
    (error, got.matches("tools/call").count())
}

#[tokio::test]
async fn an_endless_line_ends_the_server_and_fills_no_memory() {
    let limits = McpLimits { message_bytes: 1024 * 1024, ..McpLimits::default() };
    let (error, calls) = error("endless-line", limits).await;
    let limit = 1024 * 1024;
    assert_eq!(error, McpError::TooLarge { server: "bad".to_owned(), limit, sent: true });
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn answers_that_cannot_be_read_end_their_call_at_once() {
    for mode in ["no-result", "other-result", "deep"] {
        let (error, calls) = error(mode, McpLimits::default()).await;
        assert!(matches!(&error, McpError::Protocol { sent: true, .. }), "{mode}: {error}");
        assert_eq!(calls, 1);
    }
}

#[tokio::test]
async fn what_answers_nobody_leaves_the_call_to_its_limit() {
    let limit = Duration::from_millis(1500);
    let all = ["not-json", "wrong-id", "silent"].map(|mode| error(mode, within(limit)));
    for (error, calls) in futures_util::future::join_all(all).await {
        let expected = McpError::Timeout { server: "bad".to_owned(), limit, sent: true };
        assert_eq!((error, calls), (expected, 1));
    }
}

#[tokio::test]
async fn a_call_out_of_time_is_cancelled_at_the_server() {
    let (_folder, notes) = notes();
    let limits = within(Duration::from_millis(700));
    let server = hostile("silent", &notes).limits(limits).build().unwrap();
    let once = call(&server, "work", json!({})).await.unwrap_err();
    assert!(matches!(&once, ToolError::Unknown { .. }), "{once}");
    has(&notes, "notifications/cancelled").await;
    server.close().await;
    let harmless = hostile("silent", &notes).limits(limits).effect("work", Effect::ReadOnly);
    let server = harmless.build().unwrap();
    let error = call(&server, "work", json!({})).await.unwrap_err();
    assert_eq!(error, ToolError::Timeout { limit_ms: 700 });
    server.close().await;
}

#[tokio::test]
async fn a_server_that_is_stuck_is_started_anew_and_one_that_is_there_is_not() {
    let (_folder, notes) = notes();
    let limits = within(Duration::from_millis(700));
    let server = hostile("stuck", &notes).limits(limits).build().unwrap();
    server.tools().await.unwrap();
    let started = tokio::time::Instant::now();
    while work(&server).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(server.lives(), 2);
    server.close().await;

    let server = hostile("silent", &notes).limits(limits).build().unwrap();
    for _ in 0..4 {
        work(&server).await.unwrap_err();
    }
    assert_eq!(server.lives(), 1);
    server.close().await;
}

#[tokio::test]
async fn a_tool_may_be_described_by_the_host() {
    let (_folder, notes) = notes();
    let server = hostile("silent", &notes).build().unwrap();
    let spec = ToolSpec::new("own", "mine").timeout(Duration::from_millis(900));
    let tool = server.tool("work", spec);
    server.tools().await.unwrap();
    let error = tool.call(&context(), &json!({})).await.unwrap_err();
    assert!(error.to_string().contains("900ms"), "{error}");
    assert!(tool.spec().timeout > Some(Duration::from_millis(900)));
    server.close().await;
}

#[tokio::test]
async fn a_stopped_run_cancels_its_call_at_the_server() {
    let (_folder, notes) = notes();
    let server = hostile("silent", &notes).build().unwrap();
    let work = tool(&server, "work").await;
    let context = context();
    let stop = async {
        has(&notes, "tools/call").await;
        context.cancellation().cancel();
    };
    let args = json!({});
    let (result, ()) = tokio::join!(work.call(&context, &args), stop);
    assert!(matches!(result.unwrap_err(), ToolError::Unknown { .. }));
    has(&notes, "notifications/cancelled").await;
    server.close().await;
}

#[tokio::test]
async fn lines_that_are_no_messages_are_borne_up_to_a_point() {
    let (_folder, notes) = notes();
    let server = hostile("some-noise", &notes).build().unwrap();
    assert_eq!(work(&server).await.unwrap(), "done");
    server.close().await;
    let (error, _) = error("noise", McpLimits::default()).await;
    assert!(error.to_string().contains("lines on its output that are no messages"), "{error}");
}

#[tokio::test]
async fn a_server_that_asks_and_never_listens_is_ended() {
    let (error, _) = error("asks", McpLimits::default()).await;
    assert!(error.to_string().contains("reads no answer"), "{error}");
}

#[tokio::test]
async fn the_last_words_of_a_server_are_told_without_credentials() {
    let (error, calls) = error("dies", McpLimits::default()).await;
    assert!(matches!(&error, McpError::Lost { sent: true, .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("exit status: 3: out of luck"), "{told}");
    assert!(!told.contains("hunter2") && !told.contains('\u{1b}'), "{told}");
    assert_eq!(calls, 1, "a call that counts is not made again");
}

#[tokio::test]
async fn a_call_that_may_be_repeated_is_made_twice_at_most() {
    let (_folder, notes) = notes();
    let server = hostile("dies", &notes).build().unwrap();
    let error = server.call("work", &args(json!({})), Effect::Idempotent).await.unwrap_err();
    assert!(matches!(&error, McpError::Lost { .. }), "{error}");
    let got = std::fs::read_to_string(&notes).unwrap();
    assert_eq!(got.matches("tools/call").count(), 2);
    assert_eq!(server.lives(), 2);
}

#[tokio::test]
async fn a_server_that_dies_again_and_again_is_left_alone() {
    let (_folder, notes) = notes();
    let server = hostile("dies", &notes).build().unwrap();
    let mut left_alone = None;
    for _ in 0..8 {
        match work(&server).await.unwrap_err() {
            McpError::Down { failures, wait, .. } => left_alone = Some((failures, wait)),
            McpError::Lost { .. } => continue,
            other => panic!("{other}"),
        }
        break;
    }
    let (failures, wait) = left_alone.unwrap();
    assert!(failures >= 4 && wait > Duration::from_secs(1), "{failures} {wait:?}");
}

#[tokio::test]
async fn a_server_that_closes_its_output_is_lost() {
    let (error, _) = error("closes", McpLimits::default()).await;
    assert!(error.to_string().contains("closed its output"), "{error}");
}

#[tokio::test]
async fn what_a_server_cannot_begin_with() {
    let limits = McpLimits { message_bytes: 100_000, ..McpLimits::default() };
    let short = McpLimits { start: Duration::from_millis(300), ..limits };
    for (mode, limits, expected) in [
        ("no-handshake", short, "no handshake within 300ms"),
        ("babbles", limits, "more than 100000 bytes"),
        ("gone", limits, "exit status: 7: no such thing"),
    ] {
        let (error, calls) = error(mode, limits).await;
        assert!(matches!(&error, McpError::Start { .. }), "{mode}: {error}");
        assert!(error.to_string().contains(expected), "{mode}: {error}");
        assert!(!error.is_open() && error.retry() && calls == 0);
    }
    let missing = McpServer::stdio("bad", ["no-such-program"]).build().unwrap();
    let error = work(&missing).await.unwrap_err();
    assert!(error.to_string().contains("`no-such-program` was not found"), "{error}");
}

#[tokio::test]
async fn a_result_that_is_too_large_is_cut() {
    let (_folder, notes) = notes();
    let server = hostile("big", &notes).build().unwrap();
    let output = server.call("work", &args(json!({})), Effect::Once).await.unwrap();
    assert!(output.data.is_none());
    assert!(output.text.len() <= McpLimits::default().text_bytes + 64);
    assert!(output.text.contains("[cut, "));
    server.close().await;
}

#[tokio::test]
async fn what_a_server_says_of_a_call_is_its_error() {
    let (_folder, notes) = notes();
    let server = hostile("fails", &notes).build().unwrap();
    let error = call(&server, "work", json!({})).await.unwrap_err();
    assert_eq!(error, ToolError::failed("no way"));
    server.close().await;
    let server = hostile("refuses", &notes).build().unwrap();
    let error = call(&server, "work", json!({})).await.unwrap_err();
    assert_eq!(error, ToolError::arguments("x is missing"));
    server.close().await;
}
