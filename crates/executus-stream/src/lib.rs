//! Streams: what runs do, for many readers at once.
//!
//! A [`Hub`] takes the records of runs as they become durable and keeps the newest of each run in
//! one bounded ring. Readers pull from it: a slow one slows nobody, and is told how much it missed.
//! The id of an event is the sequence number of its record, so that a reader that comes again says
//! what it has seen last, and gets what comes after: from the ring, or from storage ([`Stored`]).
//!
//! A [`Feed`] is one reader's stream with the rule of falling back: what is stored is sent only as
//! long as nothing live was; a stream that broke off in the middle ends with an error, and never
//! goes on from storage. [`ByteFeed`] is the same for traces and recordings, [`Follow`] reads the
//! storage alone, while another process records. [`sse`] writes events down for an HTTP response,
//! whatever serves it.

mod error;
mod event;
mod live;
mod payload;
mod stored;

mod audit;
mod hub;

mod bytes;
mod feed;
mod follow;
pub mod sse;

pub use audit::HubAudit;
pub use bytes::{ByteError, ByteFeed, ByteSource, StoredBytes};
pub use error::{FeedError, LiveError, StoredError};
pub use event::StreamEvent;
pub use feed::Feed;
pub use follow::Follow;
pub use hub::{Hub, HubConfig, Publisher, Subscription};
pub use live::{Live, LiveEvents, LiveItem};
pub use stored::{Stored, StoredEvent, StoredRun};
