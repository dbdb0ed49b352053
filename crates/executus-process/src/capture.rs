//! Reading a pipe to its end while keeping only so much of it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// How much of a child's output is kept. What is over is read, counted and discarded, so that the
/// child never blocks on a full pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Bytes of the text that standard output becomes, from its beginning and with the mark that
    /// says how much there was: 256 KiB. Where not even the mark has room, nothing is kept.
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
    kept: VecDeque<u8>,
    total: u64,
    buffer: Box<[u8]>,
}

/// What a pipe gave.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) kept: Vec<u8>,
    pub(crate) total: u64,
    cap: usize,
}

/// A text, and whether it is all there was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) is_cut: bool,
}

impl Captured {
    /// Output of which nothing was kept.
    pub(crate) const fn counted(total: u64) -> Self {
        Self { kept: Vec::new(), total, cap: 0 }
    }

    /// Whether it is all that there was.
    pub(crate) const fn is_whole(&self) -> bool {
        self.total == self.kept.len() as u64
    }

    /// The kept part as text, broken UTF-8 replaced, one trailing newline off when it is whole. With
    /// the mark of a cut it is no longer than the cap: whoever cut it again would mark it wrong.
    pub(crate) fn into_text(self) -> Text {
        let mut is_cut = !self.is_whole();
        let mut text = match String::from_utf8(self.kept) {
            Ok(text) => text,
            Err(broken) => lossy(broken.as_bytes(), self.cap),
        };
        if !is_cut && text.ends_with('\n') {
            text.truncate(text.len() - if text.ends_with("\r\n") { 2 } else { 1 });
        }
        // A broken byte takes three as text.
        is_cut |= text.len() > self.cap;
        if is_cut {
            let mark = format!("… [cut, {} bytes in all]", self.total);
            let room = self.cap.checked_sub(mark.len());
            text.truncate(text.floor_char_boundary(room.unwrap_or(0)));
            if room.is_some() {
                text.push_str(&mark);
            }
        }
        Text { text, is_cut }
    }
}

impl<R: AsyncRead + Unpin> Capture<R> {
    const BUFFER: usize = 16 * 1024;

    pub(crate) fn new(pipe: Option<R>, keep: Keep, cap: usize) -> Self {
        let buffer = vec![0; Self::BUFFER].into();
        Self { pipe, keep, cap, kept: VecDeque::new(), total: 0, buffer }
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
                    keep(&mut self.kept, &bytes[..room], self.cap);
                }
                Keep::Tail => {
                    let bytes = &bytes[bytes.len().saturating_sub(self.cap)..];
                    let over = (self.kept.len() + bytes.len()).saturating_sub(self.cap);
                    self.kept.drain(..over);
                    keep(&mut self.kept, bytes, self.cap);
                }
            }
        }
        Poll::Ready(())
    }

    /// How many bytes were read so far.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// What was read so far.
    pub(crate) fn finish(self) -> Captured {
        Captured { kept: self.kept.into(), total: self.total, cap: self.cap }
    }
}

/// Adds bytes that there is room for, and takes no more memory than the cap.
fn keep(kept: &mut VecDeque<u8>, bytes: &[u8], cap: usize) {
    let needed = kept.len() + bytes.len();
    if needed > kept.capacity() {
        let most = (needed.max(kept.capacity() * 2)).min(cap);
        kept.reserve_exact(most - kept.len());
    }
    kept.extend(bytes);
}

/// The text of broken bytes, up to where it is certainly longer than the cap.
fn lossy(bytes: &[u8], cap: usize) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        if text.len() > cap {
            break;
        }
    }
    text
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
            let text = capture(bytes, Keep::Head, 100).await.into_text();
            assert_eq!(text, Text { text: expected.to_owned(), is_cut: false });
        }
    }

    #[tokio::test]
    async fn a_cut_text_has_its_mark_within_the_cap() {
        let broken = [0xff; 50];
        let umlauts = "ü".repeat(50);
        let at_cap = [b'x'; 40];
        for (bytes, cap, expected) in [
            (&[b'x'; 50][..], 40, "xxxxxxxxxxxxxx… [cut, 50 bytes in all]"),
            // Nothing is over as bytes, but as text.
            (&broken[..], 60, &*format!("{}… [cut, 50 bytes in all]", "\u{fffd}".repeat(11))),
            (umlauts.as_bytes(), 41, "üüüüüüü… [cut, 100 bytes in all]"),
            (umlauts.as_bytes(), 27, "… [cut, 100 bytes in all]"),
            (umlauts.as_bytes(), 26, ""),
            (&at_cap[..], 0, ""),
        ] {
            let Text { text, is_cut } = capture(bytes, Keep::Head, cap).await.into_text();
            assert!(is_cut && text.len() <= cap, "{} bytes: {text}", text.len());
            assert_eq!(text, expected);
        }
        assert!(!capture(&at_cap, Keep::Head, 40).await.into_text().is_cut);
        let most = [[b'\xff'; 20].as_slice(), b"\n"].concat();
        assert!(!capture(&most, Keep::Head, 60).await.into_text().is_cut);
    }
}
