//! Circuits and leases on Redis: one breaker, and one probe, for a whole fleet.
//!
//! [`RedisCircuits`] is a [`CircuitStore`](executus_circuit::CircuitStore): each transition is one
//! script and one round trip, on the server's own clock, and does what
//! [`Breaker`](executus_circuit::Breaker) does. The record is the one that `Breaker` writes. A call
//! whose answer was lost is made again and is told what it was told before, so nothing counts twice
//! and an alert is raised once for the fleet.
//!
//! [`RedisLeases`] is a [`LeaseStore`](executus_circuit::LeaseStore): one process of many does
//! something, and another takes over when it dies.
//!
//! A server that is away is no reason to fail: a [`Circuit`](executus_circuit::Circuit) goes on with
//! what it saw last, and tells the server once what it missed.

mod config;

mod answer;
mod args;
mod scripts;

mod calls;
mod keeper;

mod circuits;
mod leases;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod skewed;

pub use circuits::RedisCircuits;
pub use config::Config;
pub use executus_redis::{Config as Server, Endpoint, Namespace, RedisError};
pub use leases::RedisLeases;
