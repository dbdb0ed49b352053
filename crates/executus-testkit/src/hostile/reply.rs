//! What is answered: bytes and misdeeds, step by step.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::WriteHalf;

/// One answer: steps that are done in order. After the last one the connection takes its next
/// request, unless a step ended it.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Reply {
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Arc<[u8]>),
    Times(Arc<[u8]>, u64),
    Drip(Arc<[u8]>, usize, Duration),
    Wait(Duration),
    Stall,
    Close,
    Reset,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Next,
    Close,
    Reset,
}

impl Reply {
    /// Nothing at all: the client waits for an answer while the next request is waited for.
    pub fn new() -> Self {
        Self::default()
    }

    /// These bytes, as they are.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self::new().send(bytes)
    }

    /// `200 OK` with this body.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::status(200, &[], body)
    }

    /// `200 OK` with this JSON.
    pub fn json(body: &serde_json::Value) -> Self {
        Self::status(200, &[("content-type", "application/json")], body.to_string())
    }

    /// An honest answer.
    pub fn status(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Self::raw([head.as_bytes(), body].concat())
    }

    /// `200 OK` with these fields and `transfer-encoding: chunked`; [`chunk`](Self::chunk) sends
    /// what follows.
    pub fn chunked(fields: &[(&str, &str)]) -> Self {
        let mut head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n".to_owned();
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        Self::raw(head)
    }

    /// Then these bytes.
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.and(Step::Send(bytes.as_ref().into()))
    }

    /// Then these bytes as one chunk; without any, the end of the body.
    pub fn chunk(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send(chunk_of(bytes))
    }

    /// Then these bytes, so many times.
    pub fn times(self, bytes: impl AsRef<[u8]>, times: u64) -> Self {
        self.and(Step::Times(bytes.as_ref().into(), times))
    }

    /// Then these bytes again and again, until the client is gone.
    pub fn forever(self, bytes: impl AsRef<[u8]>) -> Self {
        self.times(bytes, u64::MAX)
    }

    /// Then these bytes as a chunk, again and again, until the client is gone.
    pub fn chunks_forever(self, bytes: impl AsRef<[u8]>) -> Self {
        self.forever(chunk_of(bytes))
    }

    /// Then these bytes, `at_once` of them in one packet, with a wait before each packet.
    pub fn drip(self, bytes: impl AsRef<[u8]>, at_once: usize, every: Duration) -> Self {
        self.and(Step::Drip(bytes.as_ref().into(), at_once.max(1), every))
    }

    /// Then waits.
    pub fn wait(self, time: Duration) -> Self {
        self.and(Step::Wait(time))
    }

    /// Then nothing more, with the connection open, until the client is gone.
    pub fn stall(self) -> Self {
        self.and(Step::Stall)
    }

    /// Then closes the connection.
    pub fn close(self) -> Self {
        self.and(Step::Close)
    }

    /// Then resets the connection: what was sent last may be lost.
    pub fn reset(self) -> Self {
        self.and(Step::Reset)
    }

    fn and(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Does the steps, telling the bytes that were written.
    pub(super) async fn perform(
        &self,
        to: &mut WriteHalf<'_>,
        written: &mut (dyn FnMut(usize) + Send),
    ) -> io::Result<After> {
        for step in &self.steps {
            match step {
                Step::Send(bytes) => {
                    to.write_all(bytes).await?;
                    written(bytes.len());
                }
                Step::Times(bytes, times) => {
                    for _ in 0..*times {
                        to.write_all(bytes).await?;
                        written(bytes.len());
                    }
                }
                Step::Drip(bytes, at_once, every) => {
                    for piece in bytes.chunks(*at_once) {
                        tokio::time::sleep(*every).await;
                        to.write_all(piece).await?;
                        written(piece.len());
                    }
                }
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::Stall => std::future::pending().await,
                Step::Close => return Ok(After::Close),
                Step::Reset => return Ok(After::Reset),
            }
        }
        Ok(After::Next)
    }
}

fn chunk_of(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
