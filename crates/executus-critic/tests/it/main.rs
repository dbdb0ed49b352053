//! The critic on runs of the real executor, under paused time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod judge;
mod runs;
mod stage;
