//! Requests over real sockets, to servers written by hand.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod address;
#[cfg(feature = "driver")]
mod body;
mod breaker;
mod broken;
mod decode;
#[cfg(feature = "driver")]
mod driver;
#[cfg(feature = "driver")]
mod driver_stream;
mod exchange;
mod grace;
mod health;
mod limits;
mod pool;
mod reach;
mod resolve;
mod retry;
#[cfg(feature = "aws-lc-rs")]
mod secure;
mod still;
mod support;
mod tool;
mod tool_answer;
