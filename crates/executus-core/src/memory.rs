//! Ports that live in memory: for light hosts, for tests, and as the reference of each contract.
//!
//! They keep the guarantees of their ports for as long as the object lives; what a process
//! forgets when it dies, they forget. Each is bounded, does no I/O and can be shared by any number
//! of executors. Beside the port, each has views for the host.

mod audit;
mod budget;
mod checkpoint;
mod delivery;
mod fan_out;

pub use audit::{MemoryAudit, Trail};
pub use budget::{HeldAmounts, MemoryBudget};
pub use checkpoint::{Kept, MemoryCheckpointer};
pub use delivery::MemoryDelivery;
pub use fan_out::FanOutAudit;
