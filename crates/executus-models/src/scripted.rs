//! A model that says what a file says.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use executus_core::{Entry, Model, ModelError, Reply, Turn};
use parking_lot::Mutex;
use thiserror::Error;

use crate::script::Line;

/// The largest script, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Says one line of a script per decision: `{"text": …, "tool_calls": [{"name": …, "args": {…}}],
/// "usage": {…}}`, every field optional.
///
/// Which line is told by the number of replies in the transcript, or by how many were said already
/// where that is more: another life of a run goes on where it was. Make one for each run.
#[derive(Debug)]
pub struct Scripted {
    path: PathBuf,
    lines: Vec<Line>,
    said: Mutex<usize>,
}

/// Why a file is no script.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// It cannot be read.
    #[error("the script {} cannot be read: {message}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// It is larger than 64 MiB.
    #[error("the script {} has more than {MAX_BYTES} bytes", .path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// A line is no reply.
    #[error(
        "{}:{line}:{column}: {message}; expected one reply as JSON, such as \
         {{\"text\": \"…\", \"tool_calls\": [{{\"name\": \"…\", \"args\": {{}}}}]}}", .path.display()
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong with it.
        message: String,
    },
}

impl Scripted {
    /// The script in this file. Blocks its thread while it reads.
    ///
    /// # Errors
    /// [`ScriptError`] names the first line that is no reply.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ScriptError> {
        let path = path.as_ref();
        let unreadable = |error: std::io::Error| ScriptError::Unreadable {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(ScriptError::TooLarge { path: path.to_owned() });
        }
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ScriptError> {
        let written = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let lines = written.map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| ScriptError::Line {
                path: path.to_owned(),
                line: number,
                column: error.column().max(1),
                // The reader's own place is within the line, and told apart.
                message: match error.to_string().split_once(" at line ") {
                    Some((message, _)) => message.to_owned(),
                    None => error.to_string(),
                },
            })
        });
        let lines = lines.collect::<Result<Vec<Line>, _>>()?;
        Ok(Self { path: path.to_owned(), lines, said: Mutex::new(0) })
    }

    /// How many replies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

#[async_trait]
impl Model for Scripted {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        let entries = turn.transcript().entries().iter();
        let replies = entries.filter(|entry| matches!(entry, Entry::Reply(_))).count();
        let place = {
            let mut said = self.said.lock();
            let place = replies.max(*said);
            *said = place + 1;
            place
        };
        let Some(line) = self.lines.get(place) else {
            let (path, lines) = (self.path.display(), self.lines.len());
            let message =
                format!("the script {path} ends after {lines} replies; one more is asked for");
            return Err(ModelError::Failed { message });
        };
        let reply = line.clone().decide()?;
        if !reply.text.is_empty() {
            turn.delta(&reply.text);
        }
        Ok(reply)
    }
}
