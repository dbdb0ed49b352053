//! What ports, models and tools of executus are tested with.
//!
//! [`conformance`] runs every guarantee of a port against an implementation; each battery runs the
//! kit of its port. [`budget_model`] follows a budget through random calls. [`faulty`] wraps ports, models and tools and makes chosen calls fail, panic,
//! hang or answer late. [`scripted`] has a model, tools, a critic and a palette that do what a test
//! says. [`sample`] makes specs, records and outcomes. `provider`, with the feature of that name,
//! has local servers that speak the dialects of model providers; `hostile`, likewise, has one that
//! does its part of HTTP as badly as a test says; `redis` starts real servers.
//!
//! Everything but those servers waits on tokio's clock, so that tests can pause it.

pub mod budget_model;
pub mod conformance;
pub mod faulty;
#[cfg(feature = "hostile")]
pub mod hostile;
#[cfg(feature = "provider")]
pub mod provider;
#[cfg(feature = "redis")]
pub mod redis;
pub mod sample;
pub mod scripted;
pub mod sim;
