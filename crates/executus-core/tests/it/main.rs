//! The core against its contracts: ports, machine, executor.

mod conformance;
