//! Process tools, with real children.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod arguments;
mod ending;
mod flood;
mod result;
mod support;
