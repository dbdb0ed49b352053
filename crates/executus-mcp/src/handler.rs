//! What a server may say without being asked.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::ClientHandler;
use rmcp::RoleClient;
use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam, ProgressToken,
    ProtocolVersion,
};
use rmcp::service::NotificationContext;
use tokio::sync::{mpsc, watch};

use crate::error::told;

/// Progress that nobody has taken yet; what is over is lost.
const KEPT: usize = 8;

/// Who wants to know how far a call is, by the token of the call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<HashMap<ProgressToken, mpsc::Sender<String>>>>);

impl Progress {
    /// What is said of the call with this token, until the listener is dropped.
    pub(crate) fn listen(&self, token: ProgressToken) -> Listener {
        let (sender, said) = mpsc::channel(KEPT);
        self.0.lock().insert(token.clone(), sender);
        Listener { progress: self.clone(), token, said }
    }
}

/// Takes the progress of one call.
#[derive(Debug)]
pub(crate) struct Listener {
    progress: Progress,
    token: ProgressToken,
    said: mpsc::Receiver<String>,
}

impl Listener {
    /// The next word.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.said.recv().await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.progress.0.lock().remove(&self.token);
    }
}

/// Hears what the server says. It offers nothing: no model to ask, no folders, no person.
#[derive(Debug, Clone)]
pub(crate) struct Handler {
    pub(crate) progress: Progress,
    /// Counts how often the list of tools changed.
    pub(crate) changes: watch::Sender<u64>,
}

impl ClientHandler for Handler {
    async fn on_progress(
        &self,
        said: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let sender = self.progress.0.lock().get(&said.progress_token).cloned();
        let Some(sender) = sender else { return };
        let total = said.total.map(|total| format!(" of {total}")).unwrap_or_default();
        let message = said.message.map(|text| format!(": {}", told(&text))).unwrap_or_default();
        let _lossy = sender.try_send(format!("{}{total}{message}", said.progress));
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn get_info(&self) -> ClientConfig {
        let own = Implementation::new("executus", env!("CARGO_PKG_VERSION"));
        // The last one with a handshake, which is what all servers know.
        ClientConfig::new(ClientCapabilities::default(), own)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}
