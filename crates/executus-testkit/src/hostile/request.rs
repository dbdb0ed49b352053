//! Reading requests, as far as clients write them.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::ReadHalf;

/// Bytes a head may have.
const HEAD_LIMIT: usize = 1024 * 1024;
/// Bytes a body may have: more than any test means to send.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// A request as the server saw it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Seen {
    /// Which connection it came on; the first one is 1.
    pub connection: usize,
    /// Such as `POST`.
    pub method: String,
    /// The target with its query.
    pub path: String,
    /// The fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The first field of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The reading side of a connection, with what was read too far.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    stream: ReadHalf<'s>,
    buffer: Vec<u8>,
}

impl<'s> Reader<'s> {
    pub(super) const fn new(stream: ReadHalf<'s>) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request, or `None` when the client is done.
    pub(super) async fn request(&mut self, connection: usize) -> io::Result<Option<Seen>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > HEAD_LIMIT || !self.more().await? {
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        let mut line = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, path) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut seen = Seen { connection, method, path, headers, body: Vec::new() };
        seen.body = if seen.header("transfer-encoding").is_some() {
            self.chunks().await?
        } else {
            let length = seen.header("content-length").unwrap_or("0").parse().unwrap_or(0);
            self.take(length).await?
        };
        Ok(Some(seen))
    }

    /// Returns once the client has gone away. What it sends meanwhile is kept.
    pub(super) async fn gone(&mut self) {
        while let Ok(true) = self.more().await {}
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match find(&self.buffer, b"\r\n") {
                    Some(end) => break end,
                    None if !self.more().await? => return Err(io::ErrorKind::UnexpectedEof.into()),
                    None => {}
                }
            };
            let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            let chunk = self.take(size + 2).await?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > BODY_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads more, and says whether there was any.
    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
