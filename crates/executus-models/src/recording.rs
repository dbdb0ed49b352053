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
/// not disturb the run; it keeps the lines that it has, and [`failure`](Self::failure) tells of it.
/// A decision that is dropped while it is written is in the file, and not in the run. Make one for
/// each run: the lines of two would mix.
pub struct Recording {
    model: Arc<dyn Model>,
    file: Arc<Mutex<Sink>>,
}

struct Sink {
    file: File,
    /// The bytes of whole lines.
    written: u64,
    failure: Option<String>,
}

impl Recording {
    /// What `model` says, to a file at this path; one that is there is replaced. Blocks its thread
    /// while it makes the file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(model: Arc<dyn Model>, path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { model, file: Arc::new(Mutex::new(Sink { file, written: 0, failure: None })) })
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
            self.file.lock().fail(&error.into());
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
            Ok(line) => self.file.write_all(line.as_bytes()).map(|()| line.len() as u64),
            Err(error) => Err(error.into()),
        };
        match written {
            Ok(bytes) => self.written += bytes,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &io::Error) {
        tracing::warn!(%error, "the recording ends here");
        self.failure.get_or_insert_with(|| error.to_string());
        // A part of a line would make the whole file unreadable.
        if let Err(error) = self.file.set_len(self.written) {
            tracing::debug!(%error, "the part of a line stays");
        }
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("failure", &self.failure()).finish_non_exhaustive()
    }
}
