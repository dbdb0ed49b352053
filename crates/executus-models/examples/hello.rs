//! A run of one question: `OPENAI_API_KEY=… cargo run -p executus-models --example hello`.

#![expect(clippy::print_stdout, reason = "a program for the command line")]

use std::error::Error;
use std::sync::Arc;

use executus_core::{Brief, Executor, RunRequest};
use executus_models::ChatModel;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let model = Arc::new(ChatModel::from_env("openai:gpt-5-mini")?);
    let request = RunRequest::new(model).brief(Brief::new("Say hello in one sentence."));
    let outcome = Executor::builder().build().start(request)?.outcome().await;
    println!("{}", outcome.output.as_deref().unwrap_or("nothing"));
    Ok(())
}
