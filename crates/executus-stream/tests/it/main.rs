//! Streams over a hub, a storage in memory and the core's own ports.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod bytes;
mod feed;
mod follow;
mod hub;
mod interleave;
mod payload;
mod shelf;
mod sse;
