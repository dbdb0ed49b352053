//! One call, and whether it may be made again.

use std::sync::Arc;

use executus_core::{Effect, ToolOutput};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::error::McpError;
use crate::output;
use crate::server::Inner;
use crate::session::Sent;

/// Performs a call within its time. One that was lost with its connection is made once more, if
/// that can do no harm.
pub(crate) async fn perform(
    server: &Arc<Inner>,
    tool: &str,
    args: &Map<String, Value>,
    effect: Effect,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<ToolOutput, McpError> {
    let limit = server.limits.call;
    let sent = Sent::default();
    let attempts = async {
        let first = attempt(server, tool, args, &sent, progress).await;
        let harmless = |error: &McpError| !error.is_open() || !matches!(effect, Effect::Once);
        match first {
            Err(error) if matches!(error, McpError::Lost { .. }) && harmless(&error) => {
                tracing::debug!(server = &*server.name, tool, %error, "called again");
                attempt(server, tool, args, &sent, progress).await
            }
            first => first,
        }
    };
    let result = timeout(limit, attempts).await;
    result.unwrap_or_else(|_| Err(server.timeout(limit, sent.get())))
}

async fn attempt(
    server: &Arc<Inner>,
    tool: &str,
    args: &Map<String, Value>,
    sent: &Sent,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<ToolOutput, McpError> {
    let session = server.session().await?;
    let result = session.call(tool, args.clone(), sent, progress).await?;
    output::of_result(result, &server.limits)
}
