//! Lines of a pipe, none longer than a message may be.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const CHUNK: usize = 16 * 1024;
/// What is kept of the room that a long line took.
const KEPT: usize = 256 * 1024;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line, without what ends it.
    Text(Vec<u8>),
    /// A line that is longer than it may be. There is no reading on.
    TooLong {
        /// How long it may be.
        limit: usize,
    },
    /// The pipe ended; what came after the last line break is no line.
    End,
}

/// Reads lines, holding at most one and a chunk.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    pipe: Option<R>,
    limit: usize,
    buffer: Vec<u8>,
    /// How much of the buffer has no line break.
    seen: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) const fn new(pipe: Option<R>, limit: usize) -> Self {
        Self { pipe, limit, buffer: Vec::new(), seen: 0 }
    }

    /// The next line.
    ///
    /// **Cancellation**: nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> io::Result<Line> {
        loop {
            if let Some(at) = self.buffer[self.seen..].iter().position(|&byte| byte == b'\n') {
                let at = self.seen + at;
                self.seen = 0;
                if at > self.limit {
                    return Ok(self.too_long());
                }
                let rest = self.buffer.split_off(at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(at);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Line::Text(line));
            }
            self.seen = self.buffer.len();
            if self.seen > self.limit {
                return Ok(self.too_long());
            }
            let Some(pipe) = &mut self.pipe else { return Ok(Line::End) };
            if self.buffer.is_empty() {
                self.buffer.shrink_to(KEPT);
            }
            self.buffer.reserve(CHUNK);
            let mut chunk = (&mut *pipe).take(CHUNK as u64);
            if chunk.read_buf(&mut self.buffer).await? == 0 {
                self.pipe = None;
            }
        }
    }

    fn too_long(&mut self) -> Line {
        (self.pipe, self.buffer) = (None, Vec::new());
        self.seen = 0;
        Line::TooLong { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(Some(bytes), limit);
        let mut all = Vec::new();
        loop {
            let line = lines.next().await.unwrap();
            let over = !matches!(line, Line::Text(_));
            all.push(line);
            if over {
                return all;
            }
        }
    }

    fn text(line: &str) -> Line {
        Line::Text(line.into())
    }

    #[tokio::test]
    async fn lines_end_with_a_line_break() {
        assert_eq!(
            lines(b"a\r\n\nbc\nrest", 5).await,
            [text("a"), text(""), text("bc"), Line::End]
        );
        assert_eq!(lines(b"", 5).await, [Line::End]);
        let long = "x".repeat(3 * CHUNK);
        let both = format!("{long}\ny\n");
        assert_eq!(lines(both.as_bytes(), 3 * CHUNK).await, [text(&long), text("y"), Line::End]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_ends_it_with_or_without_its_end() {
        let limit = 2 * CHUNK;
        for more in ["", "\n", "x\ny\n"] {
            let bytes = format!("a\n{}{more}", "x".repeat(limit + 1));
            assert_eq!(lines(bytes.as_bytes(), limit).await, [text("a"), Line::TooLong { limit }]);
        }
        let mut endless = Lines::new(Some(tokio::io::repeat(b'x')), limit);
        assert_eq!(endless.next().await.unwrap(), Line::TooLong { limit });
        assert!(endless.buffer.capacity() <= CHUNK);
    }
}
