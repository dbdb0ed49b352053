//! A light host: the core alone, no port. A model of its own decides, a typed tool acts.
//!
//! `cargo run -p executus-core --example light_host [FILE…]` counts the lines of files.
#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::tool::{Effect, Tool, ToolError, Toolbox, typed};
use executus_core::transcript::{CallOutcome, Entry};
use executus_core::{Executor, Model, ModelError, Reply, RunRequest, Turn};
use serde_json::json;

/// Asks for every file in its first step, and tells in its second what came back.
struct Counting(Vec<String>);

#[async_trait]
impl Model for Counting {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        if turn.step() == 1 {
            let ask = |reply: Reply, file| reply.and_call("count_lines", json!({ "path": file }));
            return Ok(self.0.iter().fold(Reply::default(), ask));
        }
        let results = turn.transcript().entries().iter().filter_map(|entry| match entry {
            Entry::Result(acted) => Some(match &acted.outcome {
                CallOutcome::Output(output) => format!("{} lines", output.text),
                CallOutcome::Failed(error) => error.to_string(),
                CallOutcome::Unknown => "outcome unknown".into(),
            }),
            Entry::Reply(_) | Entry::Steer(_) => None,
        });
        let told = self.0.iter().zip(results).map(|(file, result)| format!("{file}: {result}"));
        Ok(Reply::text(told.collect::<Vec<_>>().join("\n")))
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Count {
    /// The file whose lines are counted.
    path: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = typed("count_lines", "Counts lines", Effect::ReadOnly, |_, args: Count| async {
        let text = std::fs::read_to_string(args.path);
        let text = text.map_err(|error| ToolError::failed(error.to_string()))?;
        Ok(text.lines().count().to_string().into())
    });
    // It blocks its thread, and says so: it gets a thread of its own.
    let count: Arc<dyn Tool> = Arc::new(count.with(|spec| spec.blocking()));
    let files = std::env::args().skip(1).collect::<Vec<_>>();
    let files = if files.is_empty() { vec!["Cargo.toml".into(), "gone".into()] } else { files };
    let request = RunRequest::new(Arc::new(Counting(files))).tools(Toolbox::new([count])?);
    let settled = Executor::builder().build().start(request)?.settled().await;
    println!("{}", settled.outcome.output.as_deref().unwrap_or_default());
    println!("{}, {:?}", settled.outcome.status, settled.outcome.stats);
    Ok(())
}
