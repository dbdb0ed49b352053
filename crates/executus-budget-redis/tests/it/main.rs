//! The budget on Redis against real servers.

mod admin;
mod conformance;
mod faults;
mod loss;
mod memory;
mod model;
mod stage;
mod windows;
