//! Circuit breakers: a peer that fails is left alone for a while, and asked again by one call.
//!
//! A [`Breaker`] is the pure record of one circuit: it knows no clock, no lock and no network, and
//! a [`CircuitStore`] changes it atomically on the store's own time. [`MemoryCircuits`] is the store
//! of one process. A [`Circuit`] is what a client holds: it asks the store before each call, goes on
//! by itself while the store is away, and gives out a [`Permit`] that says how the call went. A
//! permit that is dropped says nothing, and gives the place of a probe back at once.
//!
//! Beside it stand two things that a client of a network needs. A [`Grace`] holds
//! back what fails in the wake of a dropped connection, until it is known whether the peer is there.
//! A [`LeaseStore`] lets one process of many do something.

mod sync;

mod key;
mod policy;
mod snapshot;
mod window;

mod breaker;

mod error;
mod memory;
mod store;

mod alert;
mod circuit;
mod dispatch;

mod grace;
mod lease;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use alert::{Alert, AlertError, OnAlert};
pub use breaker::{Absence, Admission, Aged, Breaker, Change, Outcome, Ticket};
pub use circuit::{Circuit, CircuitBuilder, HeldFailures, Permit};
pub use dispatch::{DispatchBreaker, DispatchOutcome, DispatchPermit};
pub use error::{CircuitOpen, StoreError};
pub use grace::{Grace, Weight};
pub use key::{CircuitKey, Owner};
pub use lease::{Lease, LeaseStore, MemoryLeases};
pub use memory::MemoryCircuits;
pub use policy::{Jitter, Policy, PolicyBuilder, PolicyError};
pub use snapshot::{Snapshot, State};
pub use store::CircuitStore;
