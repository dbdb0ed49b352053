//! The audit on real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench;
mod body;
mod chain;
mod conformance;
mod erase;
mod export;
mod fault;
mod guarantees;
mod migration;
mod notes;
mod query;
mod retain;
mod retention;
mod search;
mod shim;
mod tamper;
