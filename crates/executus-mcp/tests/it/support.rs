//! Where the servers lie, and a run around a call.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use executus_core::executor::Standalone;
use executus_core::{
    Effect, Model, ModelError, Reply, RunRequest, Tool, ToolContext, ToolError, ToolOutput, Turn,
};
use executus_mcp::{McpLimits, McpServer, McpServerBuilder, McpTool};
use serde_json::{Map, Value};

/// The folder of real servers; that there is none is an error, and says what to type.
pub(crate) fn servers() -> PathBuf {
    let named = std::env::var_os("EXECUTUS_MCP_SERVERS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| {
        Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("mcp-servers")
    });
    assert!(
        folder.join("stamp").is_file(),
        "no MCP servers in {}; type this, then try again:\n    cargo xtask setup",
        folder.display()
    );
    folder
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// The program and first arguments of a server that npm installed.
pub(crate) fn node(server: &str) -> Vec<String> {
    let index = format!("node_modules/@modelcontextprotocol/server-{server}/dist/index.js");
    vec!["node".to_owned(), text(servers().join(index))]
}

/// A server that pip installed.
pub(crate) fn python(server: &str) -> Vec<String> {
    vec![text(servers().join("venv/bin").join(format!("mcp-server-{server}")))]
}

/// The server that has a bit of everything, on its pipes.
pub(crate) fn everything() -> McpServerBuilder {
    let argv = node("everything").into_iter().chain(["stdio".to_owned()]);
    McpServer::stdio("all", argv)
}

/// The same as something that writes the id of its process into a file first.
pub(crate) fn everything_with_pid(file: &Path) -> McpServerBuilder {
    let script = "echo $$ > \"$0.new\"; mv \"$0.new\" \"$0\"; exec \"$@\"";
    let start = ["sh", "-c", script, file.to_str().unwrap()].map(str::to_owned);
    let argv = start.into_iter().chain(node("everything")).chain(["stdio".to_owned()]);
    McpServer::stdio("all", argv)
}

/// The server of ours, which does its part as this mode says, and writes down what it gets.
pub(crate) fn hostile(mode: &str, notes: &Path) -> McpServerBuilder {
    let script = include_str!("hostile.py");
    McpServer::stdio("bad", ["python3", "-c", script, mode, notes.to_str().unwrap()])
}

pub(crate) fn within(call: Duration) -> McpLimits {
    McpLimits { call, ..McpLimits::default() }
}

pub(crate) fn args(args: Value) -> Map<String, Value> {
    match args {
        Value::Object(args) => args,
        other => panic!("{other} is no object"),
    }
}

/// The tool with this name.
pub(crate) async fn tool(server: &McpServer, name: &str) -> McpTool {
    let tools = server.tools().await.unwrap();
    tools.into_iter().find(|tool| tool.remote_name() == name).unwrap()
}

/// The names that a run is offered, with their effects.
pub(crate) async fn offered(server: &McpServer) -> Vec<(String, Effect)> {
    let tools = server.tools().await.unwrap();
    tools.iter().map(|tool| (tool.spec().name.to_string(), tool.spec().effect)).collect()
}

struct Nobody;

#[async_trait::async_trait]
impl Model for Nobody {
    async fn decide(&self, _turn: &Turn) -> Result<Reply, ModelError> {
        Ok(Reply::text("done"))
    }
}

pub(crate) fn request() -> RunRequest {
    RunRequest::new(Arc::new(Nobody))
}

pub(crate) fn context() -> ToolContext {
    Standalone::new(&request()).context(1, 0)
}

/// The result of one call of a tool.
pub(crate) async fn call(
    server: &McpServer,
    name: &str,
    args: Value,
) -> Result<ToolOutput, ToolError> {
    tool(server, name).await.call(&context(), &args).await
}

/// Waits until a file is there and has these words, in real time.
pub(crate) async fn has(file: &Path, words: &str) -> String {
    let mut turns = tokio::time::interval(Duration::from_millis(20));
    let reading = async {
        loop {
            turns.tick().await;
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.contains(words) {
                return text;
            }
        }
    };
    let limit = tokio::time::timeout(Duration::from_secs(20), reading);
    limit.await.unwrap_or_else(|_| panic!("{} never has `{words}`", file.display()))
}
