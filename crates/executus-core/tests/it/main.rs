//! The core against its contracts: ports, machine, executor.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod budget_model;
mod conformance;
mod memory;
