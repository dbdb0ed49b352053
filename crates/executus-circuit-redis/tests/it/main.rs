//! Circuits and leases on Redis against real servers.

mod conformance;
