//! The audit on real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod body;
mod conformance;
mod fault;
mod guarantees;
mod notes;
mod query;
mod retention;
