//! Traces and recordings: bytes, live or from storage, never both.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::error::{LiveError, StoredError};

/// Bytes that come in pieces.
#[async_trait]
pub trait ByteSource: Send {
    /// The next piece; `None` at the end. Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// [`LiveError`] when it broke off. It is not asked again.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, LiveError>;
}

/// Bytes that are stored.
#[async_trait]
pub trait StoredBytes: Send + Sync {
    /// Opens them from the beginning; `None` when there are none.
    ///
    /// # Errors
    /// [`StoredError`] when the storage does not answer.
    async fn open(&self) -> Result<Option<Box<dyn ByteSource>>, StoredError>;
}

/// Why the bytes are not whole.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ByteError {
    /// It broke off: what was sent is the beginning of the whole. A response that is under way is
    /// to be cut, so that its reader does not take it for whole.
    #[error("the bytes broke off after {sent}: {source}")]
    Cut {
        /// How many bytes were sent.
        sent: u64,
        /// What happened.
        source: LiveError,
    },
    /// Neither live nor stored.
    #[error("there are no such bytes, live or stored")]
    NotFound,
    /// The storage did not answer, and nothing was sent.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// The bytes of one artifact for one reader.
///
/// The live ones, when there are any; what is stored only if not a single live byte was sent. A
/// stream that breaks off in the middle ends with [`ByteError::Cut`]: two halves of different
/// recordings are worse than one.
pub struct ByteFeed {
    source: Source,
    stored: Option<Arc<dyn StoredBytes>>,
    sent: u64,
}

enum Source {
    Live(Box<dyn ByteSource>),
    /// The live ones broke off before the first byte, or were not there.
    Fallback(Option<LiveError>),
    Stored(Box<dyn ByteSource>),
    Ended,
}

impl ByteFeed {
    /// The bytes from a live source, where there is one, and from storage.
    #[must_use]
    pub fn new(live: Option<Box<dyn ByteSource>>, stored: Option<Arc<dyn StoredBytes>>) -> Self {
        let source = live.map_or(Source::Fallback(None), Source::Live);
        Self { source, stored, sent: 0 }
    }

    /// The next piece, never empty. `None` at the end and after an error, from then on always; its
    /// sources are dropped by then. Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// See [`ByteError`].
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, ByteError>> {
        loop {
            let piece = match &mut self.source {
                Source::Live(source) => match source.next().await {
                    Err(lost) if self.sent == 0 => {
                        self.source = Source::Fallback(Some(lost));
                        continue;
                    }
                    piece => piece,
                },
                Source::Stored(source) => source.next().await,
                Source::Fallback(_) => match self.fall_back().await {
                    Ok(()) => continue,
                    Err(error) => return self.end(Err(error)),
                },
                Source::Ended => return None,
            };
            match piece {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => {
                    self.sent = self.sent.saturating_add(piece.len() as u64);
                    return Some(Ok(piece));
                }
                Ok(None) => {
                    self.source = Source::Ended;
                    return None;
                }
                Err(source) => {
                    let sent = self.sent;
                    return self.end(Err(ByteError::Cut { sent, source }));
                }
            }
        }
    }

    async fn fall_back(&mut self) -> Result<(), ByteError> {
        let opened = match &self.stored {
            Some(stored) => stored.open().await?,
            None => None,
        };
        let lost = match &self.source {
            Source::Fallback(lost) => lost.clone(),
            Source::Live(_) | Source::Stored(_) | Source::Ended => None,
        };
        self.source = match (opened, lost) {
            (Some(source), _) => Source::Stored(source),
            (None, Some(source)) => return Err(ByteError::Cut { sent: 0, source }),
            (None, None) => return Err(ByteError::NotFound),
        };
        Ok(())
    }

    fn end<T>(&mut self, last: T) -> Option<T> {
        self.source = Source::Ended;
        Some(last)
    }
}

impl fmt::Debug for ByteFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteFeed").field("sent", &self.sent).finish_non_exhaustive()
    }
}
