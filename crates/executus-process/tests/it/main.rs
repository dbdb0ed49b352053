//! Process tools, with real children.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod arguments;
mod corpus;
#[cfg(feature = "driver")]
mod driver;
mod ending;
mod failure;
mod flood;
mod input;
mod lines;
mod processes;
mod report;
mod result;
mod strays;
mod support;
