//! Reading a pipe by lines.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// One line of a child's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line without its end, broken UTF-8 replaced.
    pub text: String,
    /// Whether it was longer than a line may be: what was over is not here.
    pub is_cut: bool,
}

/// A pipe, line by line. Of a line that is too long the beginning is kept and the rest discarded.
#[derive(Debug)]
pub(super) struct LineReader<R> {
    /// `None` once it ended.
    pipe: Option<R>,
    max_line: usize,
    buffer: Box<[u8]>,
    /// What of the buffer is not yet looked at.
    unread: std::ops::Range<usize>,
    line: Vec<u8>,
    is_cut: bool,
    /// Bytes read so far.
    pub(super) total: u64,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    const BUFFER: usize = 16 * 1024;

    pub(super) fn new(pipe: Option<R>, max_line: usize) -> Self {
        let buffer = vec![0; Self::BUFFER].into();
        Self { pipe, max_line, buffer, unread: 0..0, line: Vec::new(), is_cut: false, total: 0 }
    }

    /// The next line; `None` when the pipe ended. A broken pipe counts as ended.
    pub(super) fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Option<Line>> {
        loop {
            let unread = &self.buffer[self.unread.clone()];
            if let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
                let from = self.unread.start;
                self.keep(from..from + end);
                self.unread.start = from + end + 1;
                return Poll::Ready(Some(self.take()));
            }
            self.keep(self.unread.clone());
            self.unread = 0..0;
            let Some(pipe) = &mut self.pipe else { return Poll::Ready(self.rest()) };
            let mut buffer = ReadBuf::new(&mut self.buffer);
            // Each read takes from the task's budget: a flood cannot hold the worker.
            let read = ready!(Pin::new(pipe).poll_read(cx, &mut buffer));
            let filled = buffer.filled().len();
            if read.is_err() || filled == 0 {
                self.pipe = None;
            }
            self.total = self.total.saturating_add(filled as u64);
            self.unread = 0..filled;
        }
    }

    /// What no line end follows, at the end of all.
    pub(super) fn rest(&mut self) -> Option<Line> {
        (!self.line.is_empty() || self.is_cut).then(|| self.take())
    }

    fn keep(&mut self, range: std::ops::Range<usize>) {
        let room = self.max_line.saturating_sub(self.line.len()).min(range.len());
        self.is_cut |= room < range.len();
        self.line.extend_from_slice(&self.buffer[range.start..range.start + room]);
    }

    fn take(&mut self) -> Line {
        let is_cut = std::mem::take(&mut self.is_cut);
        let mut bytes = std::mem::take(&mut self.line);
        if !is_cut && bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
        };
        Line { text, is_cut }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn lines(bytes: &[u8], max_line: usize) -> Vec<(String, bool)> {
        let mut reader = LineReader::new(Some(bytes), max_line);
        let mut lines = Vec::new();
        while let Some(line) = poll_fn(|cx| reader.poll_line(cx)).await {
            lines.push((line.text, line.is_cut));
        }
        assert_eq!((reader.total, reader.pipe.is_none()), (bytes.len() as u64, true));
        lines
    }

    #[tokio::test]
    async fn lines_end_with_newlines_and_with_the_pipe() {
        for (bytes, expected) in [
            (&b"a\nb\r\n\nc"[..], &["a", "b", "", "c"][..]),
            (b"", &[]),
            (b"\n", &[""]),
            (b"a\xff\n", &["a\u{fffd}"]),
        ] {
            let found: Vec<_> = lines(bytes, 100).await.into_iter().map(|line| line.0).collect();
            assert_eq!(found, expected, "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let cut = |text: &str| (text.to_owned(), true);
        assert_eq!(lines(b"123456\n12\n", 3).await, [cut("123"), ("12".to_owned(), false)]);
        let flood = [vec![b'x'; 100_000], b"\nend".to_vec()].concat();
        assert_eq!(lines(&flood, 3).await, [cut("xxx"), ("end".to_owned(), false)]);
        assert_eq!(lines(b"abc\n", 0).await, [cut("")]);
    }
}
