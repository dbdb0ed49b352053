//! Messages one after the other into a stream: stdout.

use std::fmt;

use async_trait::async_trait;
use tokio::io::{AsyncWrite, AsyncWriteExt as _, Stdout};
use tokio::sync::Mutex;

use super::{Shape, Target};
use crate::error::SendError;
use crate::message::Message;

/// Writes each message as a line of JSON, or as text, and flushes it. Messages do not mix.
///
/// What a pipe has taken counts as arrived. After an attempt that was cut the next message begins on
/// a new line.
pub struct Lines<W> {
    shape: Shape,
    writer: Mutex<Writer<W>>,
}

struct Writer<W> {
    stream: W,
    /// The last message was not written to its end.
    is_torn: bool,
}

impl Lines<Stdout> {
    /// The standard output of this process.
    #[must_use]
    pub fn stdout() -> Self {
        Self::to(tokio::io::stdout())
    }
}

impl<W: AsyncWrite + Unpin + Send> Lines<W> {
    /// To this stream.
    pub fn to(stream: W) -> Self {
        Self { shape: Shape::Json, writer: Mutex::new(Writer { stream, is_torn: false }) }
    }

    /// In this form.
    #[must_use]
    pub const fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }
}

#[async_trait]
impl<W: AsyncWrite + Unpin + Send> Target for Lines<W> {
    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mut bytes = self.shape.of(message);
        let mut writer = self.writer.lock().await;
        if writer.is_torn {
            bytes.insert(0, b'\n');
        }
        writer.is_torn = true;
        let written = async {
            writer.stream.write_all(&bytes).await?;
            writer.stream.flush().await
        };
        written.await.map_err(|error| {
            SendError::unavailable(format!("the stream cannot be written: {error}"))
        })?;
        writer.is_torn = false;
        Ok(())
    }
}

impl<W> fmt::Debug for Lines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("shape", &self.shape).finish_non_exhaustive()
    }
}
