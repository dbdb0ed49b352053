//! Scenarios over whole runs: what must be shown of the kernel, as it is asked for.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod admission;
mod budget;
mod bursts;
mod crashes;
mod deadlines;
mod invocations;
mod kill9;
mod machine;
mod network;
mod outbox;
mod palette;
mod panics;
mod parked;
mod polls;
mod probes;
mod shutdown;
mod simulated;
mod streams;
mod tree;
mod unconfigured;
