//! Redis for the batteries that share something between processes: a connection with a deadline,
//! scripts, checks of the server, its clock.
//!
//! A [`Redis`] runs a [`Script`] and answers within the deadline of the call. What was lost with a
//! connection is asked again while there is time, so scripts must be idempotent: an answer that
//! never came does not mean that nothing was done. A connection that did not answer in time is
//! given up, since a server that hangs, or that another one replaced, shows itself in no other way.
//! Each new connection is checked before it is used: a server that may evict keys forgets, and is
//! refused.
//!
//! This crate knows no budget and no breaker. It is meant for the batteries of this workspace: they
//! use [`redis`] through it, and hide it from their own callers.

mod config;
mod endpoint;
mod error;

mod namespace;
mod script;

mod link;
mod server;
mod store;

pub use config::Config;
pub use endpoint::Endpoint;
pub use error::RedisError;
pub use namespace::Namespace;
pub use redis;
pub use script::Script;
pub use store::Redis;
