//! The guarantees of the ports, as checks that any implementation can run.
//!
//! One function per port runs all of its guarantees and panics with the id of the first that is
//! violated. What a port alone cannot show (what a reader finds, what stands in an account) comes
//! from a probe that the implementation's own tests provide. Every check makes runs of its own, so
//! that a kit can be run against a store in use.
//!
//! Run a kit on a runtime with timers. Leases and limits are waited for on tokio's clock: paused
//! for what lives in memory, real for what has a clock of its own.

mod audit;
mod budget;
mod caps;
mod checkpointer;
mod critic;
mod delivery;
mod palette;

pub use audit::{AuditProbe, audit};
pub use budget::{BudgetProbe, budget};
pub use caps::{CapsProbe, caps};
pub use checkpointer::{CheckpointProbe, checkpointer};
pub use critic::{CriticProbe, critic};
pub use delivery::{DeliveryProbe, delivery};
pub use palette::{PaletteProbe, palette};

/// Panics with the id of a guarantee unless it holds.
macro_rules! guarantee {
    ($id:literal, $holds:expr, $($what:tt)+) => {
        assert!($holds, "{} is violated: {}", $id, format_args!($($what)+))
    };
}
use guarantee;

/// The value, or a panic with the id of the guarantee that needs it.
fn given<T, E: std::fmt::Display>(id: &str, what: &str, answer: Result<T, E>) -> T {
    match answer {
        Ok(value) => value,
        Err(error) => panic!("{id} cannot be shown: {what} failed: {error}"),
    }
}
