//! Where live events come from: a [`Hub`](crate::Hub) in this process, or a host's own way to
//! another one.

use async_trait::async_trait;
use executus_core::RunId;

use crate::error::LiveError;
use crate::event::StreamEvent;

/// Opens live streams.
#[async_trait]
pub trait Live: Send + Sync {
    /// The live stream of a run: its events after the record `after`. `None` when the run is not
    /// live here.
    ///
    /// # Errors
    /// [`LiveError`] when the run should be live and cannot be reached.
    async fn open(&self, run: &RunId, after: u64)
    -> Result<Option<Box<dyn LiveEvents>>, LiveError>;

    /// The stream of the run was lost: marks the run inactive and drops what leads to it. A
    /// [`Feed`](crate::Feed) calls it once for each stream that it has seen lost.
    fn retire(&self, run: &RunId);
}

/// The live stream of one run for one reader.
#[async_trait]
pub trait LiveEvents: Send {
    /// The records up to this number are not delivered by it: they are in storage.
    fn starts_after(&self) -> u64;

    /// What comes next; `None` after the last event. Cancel safe: a dropped call loses nothing.
    ///
    /// # Errors
    /// [`LiveError`] when the stream broke off. Nothing comes after it.
    async fn next(&mut self) -> Result<Option<LiveItem>, LiveError>;
}

/// What a live stream gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveItem {
    /// An event.
    Event(StreamEvent),
    /// The reader was too slow.
    Missed {
        /// For so many events.
        events: u64,
        /// Whether records were among them; they are in storage.
        records: bool,
    },
}
