//! The pieces of an answer, as they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_capability::DriverError;
use executus_capability::driver::{Chunk, ChunkStream};
use executus_core::secret::Secrets;
use serde_json::Value;
use tokio::time::timeout;

use super::{Endpoint, Format, Inner, Pieces};
use crate::error::{DropKind, HttpError, Part, Phase};
use crate::events::{Events, TooLong};
use crate::outline::redact::Running;
use crate::response::Response;
use crate::response::json;

/// The longest line or event, in bytes, where the body may have more.
const MAX_EVENT: usize = 1024 * 1024;

/// Reads a body piece by piece.
pub(super) struct Reader {
    response: Response,
    how: How,
    ready: VecDeque<Value>,
    /// Bytes so far, and how many there may be.
    read: usize,
    max: usize,
    is_over: bool,
}

enum How {
    /// With what is the beginning of a character.
    Text(Vec<u8>),
    Events {
        events: Events,
        format: Format,
        last: Option<String>,
    },
}

/// Why an event is no piece.
enum NoPiece {
    TooLong(TooLong),
    /// The event that says that the stream is whole.
    Last,
    Unread {
        event: String,
        message: String,
    },
}

impl From<TooLong> for NoPiece {
    fn from(error: TooLong) -> Self {
        Self::TooLong(error)
    }
}

impl Reader {
    pub(super) fn new(response: Response, pieces: &Pieces, format: Format, max: usize) -> Self {
        let how = match pieces {
            Pieces::Text => How::Text(Vec::new()),
            Pieces::Events { framing, last } => How::Events {
                events: Events::new(*framing, max.min(MAX_EVENT)),
                format,
                last: last.clone(),
            },
        };
        Self { response, how, ready: VecDeque::new(), read: 0, max, is_over: false }
    }

    /// The next piece. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Option<Value>, HttpError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.is_over {
                return Ok(None);
            }
            let read = self.read().await;
            // What failed has no further piece.
            self.is_over |= read.is_err();
            read?;
        }
    }

    async fn read(&mut self) -> Result<(), HttpError> {
        let chunk = self.response.chunk().await?;
        self.read = self.read.saturating_add(chunk.as_ref().map_or(0, bytes::Bytes::len));
        if self.read > self.max {
            return Err(self.too_large(Part::Body, self.max));
        }
        let ready = &mut self.ready;
        let ended = match &mut self.how {
            How::Text(tail) => {
                self.is_over = chunk.is_none();
                tail.extend_from_slice(chunk.as_deref().unwrap_or_default());
                let text = characters(tail, self.is_over);
                if !text.is_empty() {
                    ready.push_back(text.into());
                }
                return Ok(());
            }
            How::Events { events, format, last } => {
                let mut each = |event: &str| piece(event, *format, last.as_deref(), ready);
                match &chunk {
                    Some(bytes) => events.push(bytes, &mut each),
                    None => events.finish(&mut each),
                }
            }
        };
        match ended {
            Err(NoPiece::Last) => self.is_over = true,
            Err(NoPiece::TooLong(TooLong { limit })) => {
                return Err(self.too_large(Part::Event, limit));
            }
            Err(NoPiece::Unread { event, message }) => {
                return Err(self.response.unread(message, event.as_bytes()));
            }
            Ok(()) if chunk.is_none() => {
                self.is_over = true;
                // The connection was closed in good order, and the stream was not at its end.
                if let How::Events { last: Some(_), .. } = self.how {
                    let address = self.response.address().to_owned();
                    return Err(HttpError::Dropped {
                        kind: DropKind::Closed,
                        before_head: false,
                        sent: true,
                        address,
                    });
                }
            }
            Ok(()) => {}
        }
        Ok(())
    }

    fn too_large(&self, part: Part, limit: usize) -> HttpError {
        HttpError::TooLarge { part, limit, address: self.response.address().to_owned() }
    }
}

/// Takes in one event.
fn piece(
    event: &str,
    format: Format,
    last: Option<&str>,
    ready: &mut VecDeque<Value>,
) -> Result<(), NoPiece> {
    if last.is_some_and(|last| event.trim() == last) {
        return Err(NoPiece::Last);
    }
    ready.push_back(match format {
        Format::Text | Format::Bytes => event.into(),
        Format::Json => json::read(event.as_bytes()).map_err(|error| NoPiece::Unread {
            message: error.to_string(),
            event: event.to_owned(),
        })?,
    });
    Ok(())
}

/// Takes the whole characters out of bytes; what may be the beginning of one stays.
fn characters(bytes: &mut Vec<u8>, is_end: bool) -> String {
    let unfinished = match bytes.utf8_chunks().last() {
        Some(chunk) if !is_end => {
            let broken = chunk.invalid();
            let is_cut = std::str::from_utf8(broken).is_err_and(|e| e.error_len().is_none());
            if is_cut { broken.len() } else { 0 }
        }
        _ => 0,
    };
    let rest = bytes.split_off(bytes.len() - unfinished);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

/// The stream of one operation.
pub(super) struct Stream {
    driver: Arc<Inner>,
    reader: Reader,
    /// Texts that come in pieces.
    running: Option<Running>,
    limit: Duration,
}

impl Stream {
    pub(super) fn new(driver: Arc<Inner>, reader: Reader, endpoint: &Endpoint) -> Self {
        let limit = endpoint.timeout.unwrap_or(driver.timeout);
        let is_text = endpoint.pieces == Some(Pieces::Text);
        let running = is_text.then(|| Running::new(&driver.secrets));
        Self { driver, reader, running, limit }
    }

    async fn piece(&mut self) -> Result<Option<Value>, DriverError> {
        let none = Secrets::default();
        loop {
            let next = timeout(self.limit, self.reader.next()).await.unwrap_or_else(|_| {
                let (phase, limit) = (Phase::Idle, self.limit);
                let address = self.reader.response.address().to_owned();
                self.reader.is_over = true;
                Err(HttpError::Timeout { phase, limit, address })
            });
            let next = next.map_err(|error| self.driver.failed(&error))?;
            let Some(running) = &mut self.running else {
                return Ok(next.map(|value| self.driver.redactions(&none).json(value)));
            };
            let is_end = next.is_none();
            let text = match next {
                Some(Value::String(text)) => running.push(&self.driver.secrets, &text),
                _ => running.finish(),
            };
            if is_end && text.is_empty() {
                return Ok(None);
            }
            if !text.is_empty() {
                return Ok(Some(text.into()));
            }
        }
    }

    /// All of it: one text, or a list of its events.
    pub(super) async fn whole(mut self) -> Result<Value, DriverError> {
        let (mut text, mut list) = (String::new(), Vec::new());
        let is_text = self.running.is_some();
        while let Some(piece) = self.piece().await? {
            match piece {
                Value::String(piece) if is_text => text.push_str(&piece),
                piece => list.push(piece),
            }
        }
        Ok(if is_text { text.into() } else { list.into() })
    }
}

#[async_trait]
impl ChunkStream for Stream {
    async fn next(&mut self) -> Result<Option<Chunk>, DriverError> {
        Ok(self.piece().await?.map(|data| Chunk { data, is_final: false }))
    }
}

/// A result that is there at once, as a stream.
pub(super) struct One(pub(super) Option<Value>);

#[async_trait]
impl ChunkStream for One {
    async fn next(&mut self) -> Result<Option<Chunk>, DriverError> {
        Ok(self.0.take().map(|data| Chunk { data, is_final: true }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole() {
        let mut bytes = "aé".as_bytes()[..2].to_vec();
        assert_eq!(characters(&mut bytes, false), "a");
        bytes.push(0xa9);
        assert_eq!(characters(&mut bytes, false), "é");
        bytes.extend(b"b\xffc\xf0\x9f");
        assert_eq!(characters(&mut bytes, false), "b\u{fffd}c");
        assert_eq!(characters(&mut bytes, true), "\u{fffd}");
        assert!(bytes.is_empty());
    }
}
