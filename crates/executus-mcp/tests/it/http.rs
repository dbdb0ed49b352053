//! A real server over streamable HTTP.

use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_core::{Effect, ToolError};
use executus_http::{AddressPolicy, Client};
use executus_mcp::{BuildError, McpError, McpServer};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{args, call, has, node, within};

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The everything server at this port.
struct Everything {
    child: Child,
    _folder: TempDir,
}

impl Everything {
    /// Started, and listening.
    async fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        let argv = node("everything");
        let child = Command::new(&argv[0])
            .args([&argv[1], "streamableHttp"])
            .env("PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        has(&said, "listening").await;
        Self { child, _folder: folder }
    }
}

fn client() -> Client {
    Client::builder().build().unwrap()
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/mcp")
}

#[tokio::test]
async fn lists_calls_and_data_over_http() {
    let port = port();
    let _running = Everything::start(port).await;
    let server = McpServer::http("all", url(port), client()).build().unwrap();
    assert!(server.tools().await.unwrap().len() > 5);
    assert_eq!(call(&server, "echo", json!({"message": "x"})).await.unwrap().text, "Echo: x");
    let weather = call(&server, "get-structured-content", json!({"location": "Chicago"}));
    assert!(weather.await.unwrap().data.unwrap()["humidity"].is_number());
    let calls = (0..20).map(|n| {
        let server = server.clone();
        async move {
            let args = args(json!({"a": n, "b": 1}));
            server.call("get-sum", &args, Effect::ReadOnly).await.unwrap()
        }
    });
    let mut all = tokio::task::JoinSet::new();
    calls.for_each(|call| drop(all.spawn(call)));
    assert_eq!(all.join_all().await.len(), 20);
    assert_eq!(server.lives(), 1);
    server.close().await;
}

#[tokio::test]
async fn a_long_call_over_http_is_cut_and_the_session_lives_on() {
    let port = port();
    let _running = Everything::start(port).await;
    let limits = within(Duration::from_millis(800));
    let server = McpServer::http("all", url(port), client()).limits(limits).build().unwrap();
    let long = json!({"duration": 60, "steps": 60});
    let error = call(&server, "trigger-long-running-operation", long).await.unwrap_err();
    assert!(matches!(&error, ToolError::Unknown { .. }), "{error}");
    assert_eq!(call(&server, "echo", json!({"message": "x"})).await.unwrap().text, "Echo: x");
    assert_eq!(server.lives(), 1);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_was_started_anew_is_met_with_a_new_session() {
    let port = port();
    let mut running = Everything::start(port).await;
    let server = McpServer::http("all", url(port), client()).build().unwrap();
    assert_eq!(call(&server, "echo", json!({"message": "x"})).await.unwrap().text, "Echo: x");

    let message = args(json!({"message": "y"}));
    let long = args(json!({"duration": 60, "steps": 60}));
    let kill = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        running.child.kill().await.unwrap();
        Everything::start(port).await
    };
    let calling = server.call("trigger-long-running-operation", &long, Effect::Once);
    let (lost, running) = tokio::join!(calling, kill);
    let lost = lost.unwrap_err();
    assert!(matches!(&lost, McpError::Lost { sent: true, .. }), "{lost}");

    // It knows nothing of the session, and says so before it looks at the call.
    let again = server.call("echo", &message, Effect::Once).await.unwrap();
    assert_eq!(again.text, "Echo: y");
    assert_eq!(server.lives(), 2);
    drop(running);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_at_once() {
    let server = McpServer::http("all", url(port()), client()).build().unwrap();
    let error = server.call("echo", &args(json!({})), Effect::Once).await.unwrap_err();
    assert!(matches!(&error, McpError::Start { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    server.close().await;
}

#[tokio::test]
async fn the_clients_word_on_addresses_holds() {
    let port = port();
    let running = Everything::start(port).await;
    let client = Client::builder().address_policy(AddressPolicy::public()).build().unwrap();
    let server = McpServer::http("all", url(port), client).build().unwrap();
    let error = server.call("echo", &args(json!({})), Effect::Once).await.unwrap_err();
    assert!(matches!(&error, McpError::Start { .. }), "{error}");
    assert!(error.to_string().starts_with("server `all` did not start: http://"), "{error}");
    assert!(error.to_string().ends_with("in the address policy"), "{error}");
    drop(running);
    server.close().await;
}

#[test]
fn what_cannot_be_is_refused_when_it_is_built() {
    let at = |url: &str| McpServer::http("s", url, client());
    let error = at("ftp://example.com/").build().unwrap_err();
    assert!(matches!(error, BuildError::Request { .. }), "{error}");
    let error = at("http://h/").secret_header("x", Secret::new("a\nb")).build().unwrap_err();
    assert!(matches!(&error, BuildError::Request { .. }), "{error}");
    assert!(!error.to_string().contains("a\nb"));
    let error = at("http://h/").current_dir("x").build().unwrap_err();
    assert!(matches!(error, BuildError::Setting { .. }), "{error}");
    let error = McpServer::stdio("s", [""; 0]).build().unwrap_err();
    assert!(matches!(error, BuildError::NoProgram { .. }), "{error}");
    let error = McpServer::stdio("s", ["x"]).limits(within(Duration::ZERO)).build().unwrap_err();
    assert_eq!(error.to_string(), "server `s`: the limit `call` is zero");
}
