//! Reading a pipe to its end while keeping only so much of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// How much of a child's output is kept. What is over is read, counted and discarded, so that the
/// child never blocks on a full pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Bytes of standard output, from its beginning: 256 KiB.
    pub stdout: usize,
    /// Bytes of standard error, up to its end: 64 KiB.
    pub stderr: usize,
}

impl Default for OutputLimits {
    fn default() -> Self {
        Self { stdout: 256 * 1024, stderr: 64 * 1024 }
    }
}

/// Which end of a long output is worth keeping.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    /// The result: its beginning.
    Head,
    /// The complaint: its end.
    Tail,
}

/// One pipe, read as it comes.
#[derive(Debug)]
pub(crate) struct Capture<R> {
    /// `None` once it ended.
    pipe: Option<R>,
    keep: Keep,
    cap: usize,
    kept: Vec<u8>,
    total: u64,
    buffer: Box<[u8]>,
}

/// What a pipe gave.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    pub(crate) kept: Vec<u8>,
    pub(crate) total: u64,
}

impl Captured {
    /// Whether some of it was discarded.
    pub(crate) fn is_cut(&self) -> bool {
        self.total > self.kept.len() as u64
    }

    /// The kept part as text, broken UTF-8 replaced, one trailing newline off when it is whole.
    pub(crate) fn into_text(self) -> String {
        let is_cut = self.is_cut();
        let mut text = match String::from_utf8(self.kept) {
            Ok(text) => text,
            Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
        };
        if is_cut {
            text.push_str(&format!("… [cut, {} bytes in all]", self.total));
        } else if text.ends_with('\n') {
            text.truncate(text.len() - if text.ends_with("\r\n") { 2 } else { 1 });
        }
        text
    }
}

impl<R: AsyncRead + Unpin> Capture<R> {
    const BUFFER: usize = 16 * 1024;

    pub(crate) fn new(pipe: Option<R>, keep: Keep, cap: usize) -> Self {
        let buffer = vec![0; Self::BUFFER].into();
        Self { pipe, keep, cap, kept: Vec::new(), total: 0, buffer }
    }

    /// Reads what there is; ready when the pipe ended. A broken pipe counts as ended.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(pipe) = &mut self.pipe {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            // Each read takes from the task's budget: a flood cannot hold the worker.
            let read = ready!(Pin::new(pipe).poll_read(cx, &mut buffer));
            let bytes = buffer.filled();
            if read.is_err() || bytes.is_empty() {
                self.pipe = None;
                break;
            }
            self.total = self.total.saturating_add(bytes.len() as u64);
            match self.keep {
                Keep::Head => {
                    let room = self.cap.saturating_sub(self.kept.len()).min(bytes.len());
                    self.kept.extend_from_slice(&bytes[..room]);
                }
                Keep::Tail => {
                    self.kept.extend_from_slice(bytes);
                    if self.kept.len() > self.cap.saturating_mul(2).max(Self::BUFFER) {
                        self.kept.drain(..self.kept.len() - self.cap);
                    }
                }
            }
        }
        Poll::Ready(())
    }

    /// What was read so far.
    pub(crate) fn finish(mut self) -> Captured {
        if let Keep::Tail = self.keep {
            self.kept.drain(..self.kept.len().saturating_sub(self.cap));
        }
        Captured { kept: self.kept, total: self.total }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn capture(bytes: &[u8], keep: Keep, cap: usize) -> Captured {
        let mut capture = Capture::new(Some(bytes), keep, cap);
        poll_fn(|cx| capture.poll_end(cx)).await;
        capture.finish()
    }

    #[tokio::test]
    async fn the_head_or_the_tail_is_kept_and_all_is_counted() {
        let head = capture(b"0123456789", Keep::Head, 4).await;
        assert_eq!((&head.kept[..], head.total), (&b"0123"[..], 10));
        assert_eq!(head.into_text(), "0123… [cut, 10 bytes in all]");
        let tail = capture(b"0123456789", Keep::Tail, 4).await;
        assert_eq!((&tail.kept[..], tail.total), (&b"6789"[..], 10));
        let flood = vec![b'x'; 100_000];
        assert_eq!(capture(&flood, Keep::Tail, 10).await.kept.len(), 10);
    }

    #[tokio::test]
    async fn one_trailing_newline_is_off_and_broken_text_is_replaced() {
        for (bytes, expected) in [
            (&b"a\n"[..], "a"),
            (b"a\n\n", "a\n"),
            (b"a\r\n", "a"),
            (b"\n", ""),
            (b"", ""),
            (b"a\xffb\n", "a\u{fffd}b"),
        ] {
            assert_eq!(capture(bytes, Keep::Head, 100).await.into_text(), expected);
        }
    }
}
