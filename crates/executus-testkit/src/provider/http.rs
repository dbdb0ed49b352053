//! Reading requests: HTTP/1.1 as far as clients of model providers write it.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Bytes a head may have.
const HEAD_LIMIT: usize = 64 * 1024;
/// Bytes a body may have: more than any test means to send.
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// A request as the server saw it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeenRequest {
    /// Such as `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case; of one given twice the last.
    pub headers: BTreeMap<String, String>,
    /// The body; a string where it is not JSON, null where it is empty.
    pub body: Value,
    /// Whether it asks for a streamed answer, in the way of the dialect.
    pub streaming: bool,
    /// What the server found wrong with it; the answer was that dialect's error.
    pub refused: Option<String>,
}

impl SeenRequest {
    /// The header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// The reading side of a connection with what was read too far.
#[derive(Debug)]
pub(super) struct Reader<'s> {
    stream: ReadHalf<'s>,
    buffer: Vec<u8>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(stream: ReadHalf<'s>) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request, or `None` when the client is done.
    pub(super) async fn request(
        &mut self,
        writer: &mut WriteHalf<'_>,
    ) -> io::Result<Option<SeenRequest>> {
        let Some(head) = self.head().await? else { return Ok(None) };
        let mut seen = parse(&head)?;
        if seen.header("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let chunked = seen.header("transfer-encoding").is_some_and(|e| e.contains("chunked"));
        let body = if chunked {
            self.chunks().await?
        } else {
            let length = seen.header("content-length").unwrap_or("0");
            let length = length.trim().parse().map_err(|_| bad("content-length is no number"))?;
            self.take(length).await?
        };
        seen.body = match serde_json::from_slice(&body) {
            Ok(value) => value,
            Err(_) if body.is_empty() => Value::Null,
            Err(_) => Value::String(String::from_utf8_lossy(&body).into_owned()),
        };
        Ok(Some(seen))
    }

    /// Returns once the client has gone away. What it sends meanwhile is kept.
    pub(super) async fn gone(&mut self) {
        while let Ok(true) = self.more().await {}
    }

    async fn head(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.drain(..end + 4).collect();
                let head = String::from_utf8(head).map_err(|_| bad("the head is no UTF-8"))?;
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(bad("the head is too long"));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| bad("a chunk has no size"))?;
            if size == 0 {
                // Trailers, up to the empty line.
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            if body.len() + size > BODY_LIMIT {
                return Err(bad("the body is too long"));
            }
            body.extend(self.take(size).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(bad("a line is too long"));
            }
            self.must_more().await?;
        }
    }

    async fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > BODY_LIMIT {
            return Err(bad("the body is too long"));
        }
        while self.buffer.len() < length {
            self.must_more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn must_more(&mut self) -> io::Result<()> {
        if self.more().await? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn parse(head: &str) -> io::Result<SeenRequest> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some(_version)) = (first.next(), first.next(), first.next())
    else {
        return Err(bad("the first line is no request line"));
    };
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(SeenRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: Value::Null,
        streaming: false,
        refused: None,
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
