//! The support crate against real servers.

mod calls;
mod faults;
