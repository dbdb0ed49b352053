//! Checkpoints on real files, and processes that are killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod child;
mod conformance;
mod holders;
mod kill;
mod rows;
