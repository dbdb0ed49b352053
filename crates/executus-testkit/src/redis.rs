//! Real Redis servers for tests, and a proxy that loses what they say.
//!
//! A [`RedisServer`] is a process of its own on a free port, with its data in a folder that goes
//! when it does. It can be killed, paused and started again on the same data. A [`LossyProxy`]
//! stands in front of one and cuts, delays or loses, before or after the server has done its part.
//!
//! The program is named by `EXECUTUS_REDIS_SERVER`, or found on the path as `redis-server` or
//! `valkey-server`. That there is none is an error: a test that needs a server fails without it.

mod program;
mod proxy;
mod server;

pub use proxy::{Fault, LossyProxy};
pub use server::{RedisServer, Settings};
