//! Scenarios across crates.

#[cfg(feature = "simulated-time")]
pub mod soak;
