//! Writing the input of a child.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// The input of one child on its way. Dropping it closes the child's standard input.
pub(super) struct Feed {
    pipe: Pin<Box<dyn AsyncWrite + Send>>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    pub(super) fn new(pipe: impl AsyncWrite + Send + 'static, bytes: Vec<u8>) -> Self {
        Self { pipe: Box::pin(pipe), bytes, written: 0 }
    }

    /// Writes what the child takes; ready when all is written.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(self.pipe.as_mut().poll_write(cx, rest)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.pipe.as_mut().poll_flush(cx)
    }
}

/// Whether an error says that the other side stopped reading, and nothing else.
pub(super) fn is_drop(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
