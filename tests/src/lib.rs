//! Scenarios across crates.

pub mod soak;
