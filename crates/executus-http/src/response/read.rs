//! A body as a whole: bytes, text, JSON, or the beginning of one for an error.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use executus_core::text::{bounded_to, scrub};
use serde_json::Value;
use tokio::time::timeout;

use super::Response;
use crate::error::{HttpError, Part};
use crate::response::json;
use crate::text::{lossy, printable};

/// How long an error waits for its text.
const SNIPPET_TIME: Duration = Duration::from_secs(2);
/// How much of a body is read for an error, in bytes.
const SAID_READ: usize = 512;
/// How much of a body stands in an error, in characters.
const SAID: usize = 200;

impl Response {
    /// This response, if its status is 200 to 299.
    ///
    /// # Errors
    /// [`HttpError::Status`] for any other, a redirect that was not followed too. At most 512 bytes
    /// of the body are taken for it, and at most 2 s.
    pub async fn success(self) -> Result<Self, HttpError> {
        if self.is_success() {
            return Ok(self);
        }
        let (status, reason, address) = (self.status(), self.reason(), self.address.clone());
        let said = self.said().await;
        Err(HttpError::Status { address, status, reason, said })
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
        let announced = self.remaining();
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        if first.len() > max {
            return Err(too_large(&self.address));
        }
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::new();
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok());
        grow(&mut all, announced.unwrap_or_default().max(first.len()), max);
        all.extend_from_slice(&first);
        drop(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if chunk.len() > max - all.len() {
                return Err(too_large(&self.address));
            }
            let needed = all.len() + chunk.len();
            grow(&mut all, needed, max);
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }

    /// The whole body as text, broken UTF-8 replaced.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub async fn text(self, max: usize) -> Result<String, HttpError> {
        let bytes = self.bytes(max).await?;
        Ok(String::from_utf8(bytes.into())
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The whole body as JSON, whatever its media type; null when it is empty. It is nested 128
    /// deep at most, and no object has a key twice.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); [`HttpError::Parse`] when it is no such JSON although it is said
    /// to be JSON, [`HttpError::ContentType`] when it is neither.
    pub async fn json(self, max: usize) -> Result<Value, HttpError> {
        let is_json = self.is_json();
        let (address, content_type) = (self.address.clone(), self.content_type.clone());
        let bytes = self.bytes(max).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        json::read(&bytes).map_err(|error| {
            let message = error.to_string();
            unread(address, content_type, is_json, message, &bytes)
        })
    }

    /// The error for a piece of the body that is not the JSON that was expected.
    #[cfg(feature = "driver")]
    pub(crate) fn unread(&self, message: String, piece: &[u8]) -> HttpError {
        let (address, content_type) = (self.address.clone(), self.content_type.clone());
        // Lines and events have media types of their own.
        unread(address, content_type, true, message, piece)
    }

    /// Whether the body is said to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.content_type()
            .is_some_and(|essence| essence == "application/json" || essence.ends_with("+json"))
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

    /// What an error tells of the body.
    async fn said(mut self) -> String {
        let mut bytes = Vec::new();
        let ended = timeout(SNIPPET_TIME, self.fill(&mut bytes, SAID_READ)).await;
        said(&bytes, !matches!(ended, Ok(Ok(true))))
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

/// Makes room for so many bytes in all. A body is copied into a larger room while it is short; from
/// a quarter of its limit on it has the room for all of it, which costs nothing until it is used.
fn grow(body: &mut BytesMut, needed: usize, max: usize) {
    if needed <= body.capacity() {
        return;
    }
    let doubled = needed.saturating_mul(2);
    let wanted = if needed > max / 4 { max } else { doubled.min(max) };
    body.reserve(wanted.max(needed) - body.len());
}

/// The error for a body that is not the JSON that was expected.
fn unread(
    address: String,
    content_type: Option<String>,
    is_json: bool,
    message: String,
    body: &[u8],
) -> HttpError {
    // The case asks for bytes here, and a character has at least one.
    let (start, cut) = match body.get(..SAID) {
        Some(start) => (start, body.len() > SAID),
        None => (body, false),
    };
    let said = said(start, cut);
    let content_type = content_type.map(|name| bounded_to(printable(name), 80));
    if is_json {
        HttpError::Parse { address, content_type: content_type.unwrap_or_default(), message, said }
    } else {
        HttpError::ContentType { address, expected: "JSON", content_type, message, said }
    }
}

/// Text of a stranger for an error: printable, and 200 characters at most.
fn said(bytes: &[u8], cut: bool) -> String {
    let text = printable(lossy(bytes, cut));
    let text = scrub(text.trim());
    let end = text.char_indices().nth(SAID).map_or(text.len(), |(at, _)| at);
    let mark = if (cut || end < text.len()) && end > 0 { "… [cut]" } else { "" };
    format!("{}{mark}", &text[..end])
}
