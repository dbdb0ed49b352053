//! What tools do outside of the process: children, requests, servers, and drivers made of them.

mod drivers;
mod processes;
mod requests;
mod servers;

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Explained, Home};

/// The folder of real servers; that there is none is an error, and says what to type.
fn installed() -> PathBuf {
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

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The script of a server that npm installed; `node` runs it.
fn script(server: &str) -> String {
    let index = format!("node_modules/@modelcontextprotocol/server-{server}/dist/index.js");
    text(&installed().join(index))
}

/// The program of a server that pip installed.
pub(crate) fn program(server: &str) -> String {
    text(&installed().join("venv/bin").join(format!("mcp-server-{server}")))
}

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What the calls of the run `r` came to, in order: their texts, or their errors.
fn results(home: &Home) -> Vec<String> {
    let explained = Explained(home.executus(&["explain", "r", "--json"]).expect(0).last());
    let mut calls = explained.calls();
    calls.sort_by_key(|call| (call["step"].as_u64(), call["call"].as_u64()));
    let told = |call: &Value| match call["result"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("error: {}", call["error"]),
    };
    calls.into_iter().map(told).collect()
}
