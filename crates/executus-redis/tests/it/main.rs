//! The support crate against real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod calls;
mod faults;
