//! The yardstick: the loop that a host would write by hand, over the same boxed traits.
//!
//! It asks the model and calls the tools as the executor does, with the same turns, contexts and
//! transcript, and does nothing else: no limit, no cancel, no isolation, no end that is recorded.

use std::sync::Arc;

use executus_core::executor::Standalone;
use executus_core::transcript::{Acted, CallOutcome};
use executus_core::{Entry, Model, Toolbox, Transcript};

/// Runs until the model answers without calls.
pub(crate) async fn run(
    around: Arc<Standalone>,
    model: Arc<dyn Model>,
    tools: Toolbox,
) -> Option<String> {
    let mut transcript = Transcript::default();
    for step in 1.. {
        let turn = around.turn(step, &transcript, &tools);
        let reply = Arc::new(model.decide(&turn).await.ok()?);
        drop(turn);
        transcript.push(Entry::Reply(Arc::clone(&reply)));
        if reply.calls.is_empty() {
            return Some(reply.text.clone());
        }
        for (index, call) in (0..).zip(&reply.calls) {
            let tool = tools.get(&call.name)?;
            let context = around.context(step, index);
            let outcome = match tool.call(&context, &call.args).await {
                Ok(output) => CallOutcome::Output(output),
                Err(error) => CallOutcome::Failed(error),
            };
            let (id, name) = (Arc::clone(&call.id), Arc::clone(&call.name));
            let acted = Acted { step, call: index, id, name, outcome, duration_ms: 0 };
            transcript.push(Entry::Result(Arc::new(acted)));
        }
    }
    None
}
