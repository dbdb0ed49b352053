//! Circuits and leases on Redis against real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod faults;
mod leases;
mod lost;
mod probes;
mod stage;
