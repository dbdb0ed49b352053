//! The answer to a request.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};

use crate::error::{HttpError, Phase};
use crate::failure;
use crate::pool::Watch;
use crate::text::printable;

pub(crate) mod decode;
pub(crate) mod json;
mod read;

use decode::source::{self, Wire};
use decode::{Coding, Decoded, Undecoded};

/// As good as never, and small enough to be added to a time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The head of a response, and its body as it comes.
///
/// A body that is compressed with gzip, deflate, brotli or zstd is decoded while it is read, so that
/// all lengths and limits here are of what was decoded.
///
/// When it is dropped before the end of the body, its connection of HTTP/1.1 is closed and its
/// stream of HTTP/2 reset; after the end, the connection is kept for the next request.
pub struct Response {
    head: http::response::Parts,
    body: Body,
    /// The media type, lower-case and without parameters.
    content_type: Option<String>,
    address: String,
    idle_timeout: Duration,
    /// Until when the chunk that is waited for may come.
    due: Option<Instant>,
    /// Until when the whole body must be there, and how long that is.
    total: Option<(Instant, Duration)>,
    watch: Option<Watch>,
}

enum Body {
    Plain(Wire),
    Encoded(Coding, Decoded),
    /// Encoded in a way that cannot be undone.
    Unknown(String),
}

impl Response {
    /// # Errors
    /// [`HttpError::Protocol`] for a head that does not say in one way where its body ends.
    pub(crate) fn new(
        head: http::response::Parts,
        wire: Wire,
        address: String,
        idle_timeout: Duration,
        total: Option<(Instant, Duration)>,
    ) -> Result<Self, HttpError> {
        if let Some(message) = ambiguous(&head.headers) {
            let message = message.to_owned();
            return Err(HttpError::Protocol { address, message, sent: true });
        }
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = content_type
            .and_then(|value| value.split(';').next())
            .map(|essence| essence.trim().to_ascii_lowercase())
            .filter(|essence| !essence.is_empty());
        let idle_timeout = idle_timeout.min(NEVER);
        let watch = wire.watch();
        let body = Body::Plain(wire);
        Ok(Self { head, body, content_type, address, idle_timeout, due: None, total, watch })
    }

    /// With its body decoded as it is read. Whoever asked for an encoding in so many words gets it.
    #[must_use]
    pub(crate) fn decoded(mut self) -> Self {
        self.body = match (self.body, Coding::of(&self.head.headers)) {
            // There may be none: with 304, say.
            (Body::Plain(wire), Ok(Some(coding))) if !wire.is_end_stream() => {
                Body::Encoded(coding, Decoded::new(coding, wire))
            }
            (Body::Plain(wire), Err(said)) if !wire.is_end_stream() => Body::Unknown(said),
            (body, _) => body,
        };
        self
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

    pub(crate) const fn headers(&self) -> &http::HeaderMap {
        &self.head.headers
    }

    #[cfg(feature = "driver")]
    pub(crate) fn address(&self) -> &str {
        &self.address
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

    /// How many bytes of the body are still to come, if the server said so and it is not compressed.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match &self.body {
            Body::Plain(wire) => wire.size_hint().exact(),
            Body::Encoded(..) | Body::Unknown(_) => None,
        }
    }

    /// The next bytes of the body, never empty; `None` at its end.
    ///
    /// **Cancellation**: nothing is lost when the future is dropped. The idle time goes on from
    /// the first call that waited for the same bytes.
    ///
    /// # Errors
    /// [`HttpError::Timeout`] of phase [`Phase::Idle`] or [`Phase::Total`], [`HttpError::Dropped`]
    /// when the body ended before its end, [`HttpError::Protocol`], [`HttpError::Encoding`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let due = match self.due {
            Some(due) => due,
            None => *self.due.insert(Instant::now() + self.idle_timeout),
        };
        let (due, phase, limit) = match self.total {
            Some((end, limit)) if end <= due => (end, Phase::Total, limit),
            _ => (due, Phase::Idle, self.idle_timeout),
        };
        let Ok(chunk) = timeout_at(due, poll_fn(|context| self.poll_chunk(context))).await else {
            let late = HttpError::Timeout { phase, limit, address: self.address.clone() };
            return Err(match &self.watch {
                Some(watch) => watch.late(late),
                None => late,
            });
        };
        self.due = None;
        chunk.transpose()
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, HttpError>>> {
        let address = &self.address;
        let undecoded = |encoding: &str, message: String| HttpError::Encoding {
            encoding: encoding.to_owned(),
            message,
            address: address.clone(),
        };
        let chunk = match &mut self.body {
            Body::Plain(wire) => {
                let chunk = ready!(source::poll_chunk(wire, context));
                chunk.map(|bytes| bytes.map_err(|error| failure::of_body(&error, address)))
            }
            Body::Encoded(coding, decoded) => {
                let piece = ready!(decoded.poll_piece(context));
                piece.map(|bytes| {
                    bytes.map_err(|error| match error {
                        Undecoded::Wire(error) => failure::of_body(&error, address),
                        Undecoded::Broken(message) => undecoded(coding.as_str(), message),
                    })
                })
            }
            Body::Unknown(encoding) => {
                let known = "only one of gzip, deflate, br and zstd is undone";
                Some(Err(undecoded(&shown(encoding), known.to_owned())))
            }
        };
        Poll::Ready(chunk)
    }
}

/// What is wrong with how a head says where its body ends: somebody on the way may find another end,
/// and take the rest for the next answer.
fn ambiguous(headers: &HeaderMap) -> Option<&'static str> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let coding = codings.next()?;
    if headers.contains_key(header::CONTENT_LENGTH) {
        return Some("it gives its body both a length and chunks");
    }
    let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    (!is_chunked || codings.next().is_some())
        .then_some("its transfer encoding is another than chunks")
}

/// What a server says, printable and short.
fn shown(text: &str) -> String {
    executus_core::text::bounded_to(printable(text.to_owned()), 80)
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
