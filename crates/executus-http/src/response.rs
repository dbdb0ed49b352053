//! The answer to a request.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{HttpError, Part, Phase};
use crate::failure;
use crate::text::{lossy, printable};

/// How long an error waits for its text.
const SNIPPET_TIME: Duration = Duration::from_secs(2);
/// As good as never, and small enough to be added to a time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The head of a response, and its body as it comes.
///
/// When it is dropped before the end of the body, its connection of HTTP/1.1 is closed and its
/// stream of HTTP/2 reset; after the end, the connection is kept for the next request.
pub struct Response {
    head: http::response::Parts,
    body: Incoming,
    /// The media type, lower-case and without parameters.
    content_type: Option<String>,
    address: String,
    idle_timeout: Duration,
    /// Until when the chunk that is waited for may come.
    due: Option<Instant>,
}

impl Response {
    pub(crate) fn new(
        response: http::Response<Incoming>,
        address: String,
        idle_timeout: Duration,
    ) -> Self {
        let (head, body) = response.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = content_type
            .and_then(|value| value.split(';').next())
            .map(|essence| essence.trim().to_ascii_lowercase())
            .filter(|essence| !essence.is_empty());
        let idle_timeout = idle_timeout.min(NEVER);
        Self { head, body, content_type, address, idle_timeout, due: None }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// Whether the status is 200 to 299.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.head.status.is_success()
    }

    /// What the status is called; empty for one without a name.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.head.status.canonical_reason().unwrap_or_default()
    }

    /// The first value of a header field, if it is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// The media type of the body, lower-case and without parameters: `application/json`.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// How many bytes of the body are still to come, if the server said so.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes of the body, never empty; `None` at its end.
    ///
    /// **Cancellation**: nothing is lost when the future is dropped. The idle time goes on from
    /// the first call that waited for the same bytes.
    ///
    /// # Errors
    /// [`HttpError::Timeout`] of phase [`Phase::Idle`], [`HttpError::Dropped`] when the body ended
    /// before its end, [`HttpError::Protocol`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let idle = self.idle_timeout;
        let due = match self.due {
            Some(due) => due,
            None => *self.due.insert(Instant::now() + idle),
        };
        loop {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let Ok(frame) = timeout_at(due, frame).await else {
                let (phase, address) = (Phase::Idle, self.address.clone());
                return Err(HttpError::Timeout { phase, limit: idle, address });
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(failure::of_body(&error, &self.address)),
                None => return Ok(None),
            };
            // Fields behind the body and empty chunks are not what the caller waits for.
            if let Ok(bytes) = frame.into_data()
                && !bytes.is_empty()
            {
                self.due = None;
                return Ok(Some(bytes));
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk), and [`HttpError::TooLarge`] as soon as it is known that the body
    /// has more than `max` bytes.
    pub async fn bytes(mut self, max: usize) -> Result<Bytes, HttpError> {
        let too_large = |address: &str| HttpError::TooLarge {
            part: Part::Body,
            limit: max,
            address: address.to_owned(),
        };
        if self.remaining().is_some_and(|bytes| bytes > max as u64) {
            return Err(too_large(&self.address));
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if first.len() > max {
            return Err(too_large(&self.address));
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if chunk.len() > max - all.len() {
                return Err(too_large(&self.address));
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }

    /// The beginning of the body as text that can be printed, for an error: at most `max` bytes
    /// and a mark when there was more. It takes at most 2 s, and what has come by then is told.
    pub async fn snippet(mut self, max: usize) -> String {
        let mut bytes = Vec::new();
        let ended = timeout(SNIPPET_TIME, self.fill(&mut bytes, max)).await;
        let mut cut = !matches!(ended, Ok(Ok(true)));
        let mut text = printable(lossy(&bytes, cut));
        if text.len() > max {
            // What stands for a broken byte is longer than the byte.
            text.truncate(text.floor_char_boundary(max));
            cut = true;
        }
        if cut && !text.is_empty() {
            text.push_str("… [cut]");
        }
        text
    }

    /// Reads up to `max` bytes, and says whether that was all of the body.
    ///
    /// **Cancellation**: what has been read is in `into`.
    pub(crate) async fn fill(&mut self, into: &mut Vec<u8>, max: usize) -> Result<bool, HttpError> {
        while let Some(chunk) = self.chunk().await? {
            let room = max - into.len();
            into.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status())
            .field("address", &self.address)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}
