//! Servers of the Model Context Protocol: real ones, and one of ours that does its part badly.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(feature = "driver")]
mod driver;
mod ending;
#[cfg(target_os = "linux")]
mod footprint;
mod hostile;
mod http;
mod lists;
mod real;
mod strange;
mod support;
