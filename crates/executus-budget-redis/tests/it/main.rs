//! The budget on Redis against real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod caps;
mod conformance;
mod faults;
mod loss;
mod memory;
mod model;
mod stage;
mod windows;
