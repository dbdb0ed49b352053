//! The action log on real files.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actions;
mod bench;
mod child;
mod conformance;
mod fault;
mod kill;
mod names;
mod parallel;
mod planted;
mod playbook;
mod router;
mod summary;
mod together;
