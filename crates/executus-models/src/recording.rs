//! Writing down what a model says.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Model, ModelError, Reply, Turn};
use parking_lot::Mutex;

use crate::script::Line;

/// Writes every decision of a model to a file, a line each, that [`Scripted`](crate::Scripted) says
/// again.
///
/// A line is in the file before the decision is returned, so a run that dies leaves what it had. No
/// line holds a sensitive parameter. A file that cannot be written any more is logged once and does
/// not disturb the run; [`failure`](Self::failure) tells of it.
pub struct Recording {
    model: Arc<dyn Model>,
    file: Arc<Mutex<Sink>>,
}

struct Sink {
    file: File,
    failure: Option<String>,
}

impl Recording {
    /// What `model` says, to a file at this path; one that is there is replaced.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(model: Arc<dyn Model>, path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { model, file: Arc::new(Mutex::new(Sink { file, failure: None })) })
    }

    /// Why the file is not complete; `None` when it is.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.file.lock().failure.clone()
    }
}

#[async_trait]
impl Model for Recording {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let decided = self.model.decide(turn).await;
        let line = serde_json::to_value(Line::of(&decided));
        let line = line.map(|line| turn.secrets().redact_json(line).to_string() + "\n");
        let sink = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || sink.lock().write(line)).await;
        if let Err(error) = written {
            tracing::warn!(%error, "a decision was not recorded");
        }
        decided
    }
}

impl Sink {
    fn write(&mut self, line: serde_json::Result<String>) {
        if self.failure.is_some() {
            // A gap in the middle would make the rest another run.
            return;
        }
        let written = match line {
            Ok(line) => self.file.write_all(line.as_bytes()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "the recording ends here");
            self.failure = Some(error.to_string());
        }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("failure", &self.failure()).finish_non_exhaustive()
    }
}
