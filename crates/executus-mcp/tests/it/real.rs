//! Servers that others wrote, on their pipes.

use std::process::Command;
use std::time::Duration;

use executus_core::transcript::ArtifactBody;
use executus_core::{Effect, Tool, ToolError};
use executus_mcp::{McpError, McpServer};
use executus_process::Environment;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    args, call, context, everything, everything_with_pid, has, node, offered, python, tool,
};

#[tokio::test]
async fn the_time_server_lists_and_answers_with_data() {
    let server = McpServer::stdio("time", python("time")).trust_hints().build().unwrap();
    assert_eq!(
        offered(&server).await,
        [
            ("time_convert_time".to_owned(), Effect::ReadOnly),
            ("time_get_current_time".to_owned(), Effect::ReadOnly),
        ]
    );
    let args = json!({
        "source_timezone": "Europe/Vienna", "target_timezone": "Asia/Tokyo", "time": "12:00",
    });
    let output = call(&server, "convert_time", args).await.unwrap();
    let data = output.data.unwrap_or_else(|| serde_json::from_str(&output.text).unwrap());
    assert_eq!(data["target"]["timezone"], "Asia/Tokyo");
    let nowhere = json!({"timezone": "Nowhere/Land"});
    let error = call(&server, "get_current_time", nowhere).await.unwrap_err();
    assert!(error.to_string().contains("Nowhere/Land"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn the_filesystem_server_reads_and_writes_within_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join("a.txt"), "first\nsecond\n").unwrap();
    let path = |name: &str| root.join(name).display().to_string();
    let argv = node("filesystem").into_iter().chain([root.display().to_string()]);
    let server = McpServer::stdio("files", argv)
        .only(["read_text_file", "write_file"])
        .effect("write_file", Effect::Idempotent)
        .prefix("")
        .build()
        .unwrap();
    assert_eq!(
        offered(&server).await,
        [
            ("read_text_file".to_owned(), Effect::Once),
            ("write_file".to_owned(), Effect::Idempotent),
        ]
    );
    let read = call(&server, "read_text_file", json!({"path": path("a.txt"), "head": 1}));
    assert_eq!(read.await.unwrap().text.trim(), "first");
    let write = json!({"path": path("b.txt"), "content": "third"});
    call(&server, "write_file", write).await.unwrap();
    assert_eq!(std::fs::read_to_string(root.join("b.txt")).unwrap(), "third");
    let outside = json!({"path": "/etc/passwd"});
    let error = call(&server, "read_text_file", outside).await.unwrap_err();
    assert!(matches!(&error, ToolError::Failed { retryable: false, .. }), "{error}");
    assert!(error.to_string().contains("outside allowed directories"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn the_git_server_tells_of_a_repository() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let git = |args: &[&str]| {
        let done = Command::new("git").current_dir(root).args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    std::fs::write(folder.path().join("a.txt"), "x").unwrap();
    git(&["add", "a.txt"]);
    git(&["-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "-m", "Begin"]);
    let argv = python("git").into_iter().chain(["--repository".to_owned(), root.to_owned()]);
    let server = McpServer::stdio("git", argv).build().unwrap();
    let log = call(&server, "git_log", json!({"repo_path": root})).await.unwrap();
    assert!(log.text.contains("Begin"), "{}", log.text);
    std::fs::write(folder.path().join("a.txt"), "y").unwrap();
    let status = call(&server, "git_status", json!({"repo_path": root})).await.unwrap();
    assert!(status.text.contains("a.txt"), "{}", status.text);
    server.close().await;
}

#[tokio::test]
async fn the_everything_server_answers_with_text_data_and_pictures() {
    let server = everything().build().unwrap();
    let echo = call(&server, "echo", json!({"message": "grüß"})).await.unwrap();
    assert_eq!(echo.text, "Echo: grüß");
    let weather = call(&server, "get-structured-content", json!({"location": "Chicago"}));
    let weather = weather.await.unwrap();
    assert!(weather.data.unwrap()["temperature"].is_number());
    let image = call(&server, "get-tiny-image", json!({})).await.unwrap();
    assert!(image.text.contains("[image, image/png, about "), "{}", image.text);
    let ArtifactBody::Uri(uri) = &image.artifacts[0].body else { panic!("{image:?}") };
    assert!(uri.starts_with("data:image/png;base64,"));
    let links = call(&server, "get-resource-links", json!({"count": 2})).await.unwrap();
    assert_eq!(links.artifacts.len(), 2);
    let error = call(&server, "echo", json!({"message": 5})).await.unwrap_err();
    assert!(error.to_string().contains("message"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_at_the_server_which_lives_on() {
    let server = everything().build().unwrap();
    let long = tool(&server, "trigger-long-running-operation").await;
    let context = context();
    let args = json!({"duration": 60, "steps": 60});
    let calling = long.call(&context, &args);
    assert!(timeout(Duration::from_millis(500), calling).await.is_err());
    assert_eq!(call(&server, "echo", json!({"message": "x"})).await.unwrap().text, "Echo: x");
    assert_eq!(server.lives(), 1);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_is_started_again_and_a_call_that_counts_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let server = everything_with_pid(&pid).build().unwrap();
    let long = tool(&server, "trigger-long-running-operation").await;
    assert_eq!(long.spec().effect, Effect::Once);
    let context = context();
    let args = json!({"duration": 60, "steps": 600});
    let kill = async {
        let started = has(&pid, "\n").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let pid = Pid::from_raw(started.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    };
    let (result, ()) = tokio::join!(long.call(&context, &args), kill);
    let error = result.unwrap_err();
    assert!(matches!(&error, ToolError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
    assert_eq!(server.lives(), 1);
    assert_eq!(call(&server, "echo", json!({"message": "x"})).await.unwrap().text, "Echo: x");
    assert_eq!(server.lives(), 2);
    server.close().await;
}

#[tokio::test]
async fn what_may_be_repeated_is_made_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let server = everything_with_pid(&pid).build().unwrap();
    let args = args(json!({"duration": 1, "steps": 2}));
    server.tools().await.unwrap();
    let kill = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let started = has(&pid, "\n").await;
        let pid = Pid::from_raw(started.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    };
    let calling = server.call("trigger-long-running-operation", &args, Effect::ReadOnly);
    let (result, ()) = tokio::join!(calling, kill);
    assert!(result.unwrap().text.contains("completed"));
    assert_eq!(server.lives(), 2);
    server.close().await;
}

/// Runs once more as a child whose environment has a secret.
#[tokio::test]
async fn a_secret_of_our_environment_does_not_reach_a_server() {
    const NAME: &str = "EXECUTUS_TEST_API_KEY";
    const VALUE: &str = "sk-this-is-for-nobody-else";
    if std::env::var_os(NAME).is_none() {
        let own = "real::a_secret_of_our_environment_does_not_reach_a_server";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", own, "--nocapture"])
            .env(NAME, VALUE)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let environment = Environment::default().set("FOR_THE_SERVER", "yes");
    let server = everything()
        .environment(environment)
        .secret_variable("ITS_OWN_KEY", executus_core::secret::Secret::new("own"))
        .build()
        .unwrap();
    let seen = call(&server, "get-env", json!({})).await.unwrap().text;
    assert!(!seen.contains(NAME) && !seen.contains(VALUE), "{seen}");
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!((&seen["FOR_THE_SERVER"], &seen["ITS_OWN_KEY"]), (&"yes".into(), &"own".into()));
    server.close().await;
}

#[tokio::test]
async fn calls_are_made_at_the_same_time() {
    let server = everything().build().unwrap();
    let calls = (0..20).map(|n| {
        let server = server.clone();
        async move {
            let args = args(json!({"a": n, "b": 1}));
            server.call("get-sum", &args, Effect::ReadOnly).await.unwrap().text
        }
    });
    let mut all = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(all.spawn(call)));
    let texts = all.join_all().await;
    assert_eq!(texts.len(), 20);
    assert!((0..20).all(|n| texts.iter().any(|text| text.contains(&format!(" is {}", n + 1)))));
    assert_eq!(server.lives(), 1);
    server.close().await;
    let closed = server.call("echo", &args(json!({})), Effect::Once).await.unwrap_err();
    assert!(matches!(closed, McpError::Closed { .. }), "{closed}");
}
