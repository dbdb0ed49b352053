//! One call, and whether it may be made again.

use std::sync::Arc;
use std::time::Duration;

use executus_core::{Effect, ToolOutput};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::error::McpError;
use crate::output;
use crate::server::Inner;
use crate::session::{Sent, Session};

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) tool: &'a str,
    pub(crate) args: &'a Map<String, Value>,
    pub(crate) effect: Effect,
    /// How long it may take, with all that it needs.
    pub(crate) limit: Duration,
    pub(crate) progress: &'a (dyn Fn(&str) + Send + Sync),
}

impl Call<'_> {
    /// Performs it within its time. One that was lost with its connection is made once more, if that
    /// can do no harm.
    pub(crate) async fn perform(&self, server: &Arc<Inner>) -> Result<ToolOutput, McpError> {
        let (sent, session) = (Sent::default(), Mutex::new(None));
        let attempts = async {
            let harmless =
                |error: &McpError| !error.is_open() || !matches!(self.effect, Effect::Once);
            match self.attempt(server, &sent, &session).await {
                Err(error) if matches!(error, McpError::Lost { .. }) && harmless(&error) => {
                    // Not the error: it has what the server said.
                    tracing::debug!(server = &*server.name, self.tool, "called again");
                    self.attempt(server, &sent, &session).await
                }
                first => first,
            }
        };
        let result = timeout(self.limit, attempts).await;
        result.unwrap_or_else(|_| {
            // It may be stuck, and then nobody after this one shall wait for it.
            if let Some(session) = session.lock().take() {
                session.doubt();
            }
            Err(server.timeout(self.limit, sent.get()))
        })
    }

    async fn attempt(
        &self,
        server: &Arc<Inner>,
        sent: &Sent,
        current: &Mutex<Option<Arc<Session>>>,
    ) -> Result<ToolOutput, McpError> {
        let session = server.session().await?;
        *current.lock() = Some(Arc::clone(&session));
        let result = session.call(self.tool, self.args.clone(), sent, self.progress).await?;
        output::of_result(result, &server.limits)
    }
}
