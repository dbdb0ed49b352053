//! A model that reads its lines from a script.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::{Entry, Model, ModelError, Reply, Transcript, Turn, Usage};
use parking_lot::Mutex;

/// One line of a script.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Say {
    /// It answers this.
    Reply(Reply),
    /// It answers this after a while.
    Slowly(Duration, Reply),
    /// It fails this often, tells of it with what each attempt used, and then does the other thing.
    Stumble(u32, Usage, Box<Self>),
    /// It sends these pieces, then answers with all of them.
    Pieces(Vec<String>),
    /// It fails.
    Fail(ModelError),
    /// It panics.
    Panic,
    /// It never answers.
    Hang,
}

impl From<Reply> for Say {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<ModelError> for Say {
    fn from(error: ModelError) -> Self {
        Self::Fail(error)
    }
}

/// Says one line of its script per step.
///
/// Which line is decided by the number of replies in the transcript, not by how often it was
/// asked: another life of a run goes on where the transcript ends. After the last line it fails,
/// unless [`for_ever`](Self::for_ever) was called.
#[derive(Debug)]
pub struct ScriptedModel {
    lines: Vec<Say>,
    for_ever: bool,
    seen: Mutex<Vec<Transcript>>,
}

impl ScriptedModel {
    /// With these lines.
    pub fn new<S: Into<Say>>(lines: impl IntoIterator<Item = S>) -> Self {
        let lines = lines.into_iter().map(Into::into).collect();
        Self { lines, for_ever: false, seen: Mutex::default() }
    }

    /// One that gives this final answer at once.
    pub fn answering(text: impl Into<String>) -> Self {
        Self::new([Reply::text(text)])
    }

    /// Says the last line again and again.
    #[must_use]
    pub const fn for_ever(mut self) -> Self {
        self.for_ever = true;
        self
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.seen.lock().len()
    }

    /// The transcripts it was asked with, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<Transcript> {
        self.seen.lock().clone()
    }

    fn line(&self, transcript: &Transcript) -> Option<Say> {
        let said = transcript.entries().iter();
        let said = said.filter(|entry| matches!(entry, Entry::Reply(_))).count();
        let line = self.lines.get(said);
        line.or_else(|| self.lines.last().filter(|_| self.for_ever)).cloned()
    }
}

#[async_trait]
impl Model for ScriptedModel {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        self.seen.lock().push(turn.transcript().clone());
        let mut line = self.line(turn.transcript());
        while let Some(Say::Stumble(attempts, used, then)) = line {
            for attempt in 0..attempts {
                turn.attempt_failed("scripted", &format!("attempt {attempt}"), used);
            }
            line = Some(*then);
        }
        match line {
            Some(Say::Reply(reply)) => Ok(reply),
            Some(Say::Slowly(delay, reply)) => {
                tokio::time::sleep(delay).await;
                Ok(reply)
            }
            Some(Say::Pieces(pieces)) => {
                for piece in &pieces {
                    turn.delta(piece);
                    tokio::task::yield_now().await;
                }
                Ok(Reply::text(pieces.concat()))
            }
            Some(Say::Fail(error)) => Err(error),
            Some(Say::Panic) => panic!("the script says so"),
            Some(Say::Hang | Say::Stumble(..)) => std::future::pending().await,
            None => {
                let message = format!("the script has no line for step {}", turn.step());
                Err(ModelError::Failed { message })
            }
        }
    }
}

impl ScriptedModel {
    /// As the executor wants it.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}
