//! The yardstick: the loop that a host would write by hand, over boxed traits of the same shape.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Call, Reply, ToolOutput};
use serde_json::Value;

/// Decides, as [`executus_core::Model`] does.
#[async_trait]
pub(crate) trait Decide: Send + Sync {
    async fn decide(&self, history: &[Spoken]) -> Result<Reply, String>;
}

/// Acts, as [`executus_core::Tool`] does.
#[async_trait]
pub(crate) trait Act: Send + Sync {
    fn name(&self) -> &str;
    async fn act(&self, args: &Value) -> Result<ToolOutput, String>;
}

/// An entry of the bare history.
pub(crate) enum Spoken {
    Reply(Reply),
    Result { _name: Arc<str>, _output: Result<ToolOutput, String> },
}

/// Runs until the model answers without calls.
pub(crate) async fn run(model: Arc<dyn Decide>, tools: Arc<[Arc<dyn Act>]>) -> Option<String> {
    let mut history = Vec::new();
    loop {
        let reply = model.decide(&history).await.ok()?;
        if reply.calls.is_empty() {
            let output = reply.text.clone();
            history.push(Spoken::Reply(reply));
            return Some(output);
        }
        let mut results = Vec::with_capacity(reply.calls.len());
        for Call { name, args, .. } in &reply.calls {
            let tool = tools.iter().find(|tool| tool.name() == &**name)?;
            results.push(Spoken::Result { _name: Arc::clone(name), _output: tool.act(args).await });
        }
        history.push(Spoken::Reply(reply));
        history.extend(results);
    }
}

/// Asks for a call in each turn but the last.
pub(crate) struct Turns(pub(crate) usize);

#[async_trait]
impl Decide for Turns {
    async fn decide(&self, history: &[Spoken]) -> Result<Reply, String> {
        let step = history.iter().filter(|spoken| matches!(spoken, Spoken::Reply(_))).count();
        Ok(super::child::reply(step + 1, self.0))
    }
}

/// Answers with a short text.
pub(crate) struct Noop;

#[async_trait]
impl Act for Noop {
    fn name(&self) -> &'static str {
        "noop"
    }

    async fn act(&self, _args: &Value) -> Result<ToolOutput, String> {
        Ok(ToolOutput::text("done"))
    }
}
