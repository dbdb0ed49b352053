//! The core against its contracts: ports, machine, executor.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod approval;
mod audit;
mod budget_model;
mod budgets;
mod caps;
mod checkpoint;
mod conformance;
mod critic;
mod deciding;
mod delivery;
mod faults;
mod finalizer;
mod lives;
mod machine;
mod memory;
mod palette;
mod ports_absent;
mod production;
mod rk;
mod stage;
