//! What a server lists, and when it is asked again.

use executus_core::executor::Standalone;
use executus_core::{Event, Tool};
use executus_mcp::McpError;
use serde_json::json;

use crate::support::{args, call, everything, hostile, request, tool};

#[tokio::test]
async fn a_list_that_has_changed_is_asked_for_again_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let server = hostile("changes", &notes).build().unwrap();
    let asked = || std::fs::read_to_string(&notes).unwrap().matches("tools/list").count();
    for _ in 0..3 {
        assert_eq!(server.tools().await.unwrap().len(), 1);
    }
    assert_eq!(asked(), 1);
    let mut changes = server.changes();
    changes.mark_unchanged();
    assert_eq!(call(&server, "work", json!({})).await.unwrap().text, "changed");
    changes.changed().await.unwrap();
    assert_eq!(server.tools().await.unwrap().len(), 2);
    assert_eq!(asked(), 2);
    server.close().await;
}

#[tokio::test]
async fn a_list_without_an_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = hostile("endless-list", &folder.path().join("notes")).build().unwrap();
    let error = server.tools().await.unwrap_err();
    assert!(error.to_string().contains("or no end"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn a_tool_that_the_host_named_must_be_there() {
    let server = everything().only(["echo", "shout"]).build().unwrap();
    let error = server.tools().await.unwrap_err();
    assert!(matches!(&error, McpError::NoTool { tool, .. } if tool == "shout"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn a_server_without_a_handshake_is_understood_too() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("notes");
    let server = hostile("modern", &notes).build().unwrap();
    assert_eq!(call(&server, "work", json!({})).await.unwrap().text, "done");
    let got = std::fs::read_to_string(&notes).unwrap();
    assert!(got.contains("server/discover"), "{got}");
    server.close().await;
}

#[tokio::test]
async fn progress_reaches_those_who_watch_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let server = hostile("progress", &folder.path().join("notes")).build().unwrap();
    let work = tool(&server, "work").await;
    let mut request = request();
    let mut events = request.watch(16);
    let context = Standalone::new(&request).context(1, 0);
    let output = work.call(&context, &serde_json::Value::Object(args(json!({})))).await.unwrap();
    assert_eq!(output.text, "arrived");
    let Some(Event::ToolProgress { text, .. }) = events.next().await else { panic!("none") };
    assert!(text.ends_with("of 2: going"), "{text}");
    server.close().await;
}
