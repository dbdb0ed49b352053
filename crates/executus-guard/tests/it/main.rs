//! Guards around tools, by hand and in runs of the real executor.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actions;
mod content;
mod protected;
mod runs;
mod sequence;
mod stage;
mod stuck;
mod urls;
