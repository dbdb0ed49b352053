//! The budget on Redis: limits that many processes share.
//!
//! A reservation is one script and one round trip: all accounts of the hold are read, and either
//! all of them hold what was asked or none does. Everything is idempotent by hold id, so that an
//! answer that was lost is asked for again. Holds have a lease, which a task of the [`RedisBudget`]
//! renews while the run lives; what a dead process held comes back when it is over. Time is the
//! server's own.
//!
//! A server that lost its data would grant what is spent already. So a budget has an *epoch*, a key
//! beside the accounts: where it is missing, or the server has counted less than this process saw,
//! nothing is granted until somebody [says](RedisBudget::reseed) from where to go on.
//!
//! [`RedisCaps`] shares the other half: how much at once, and how much within a minute.
//!

mod config;
mod error;

mod answer;
mod book;
mod scripts;

mod keeper;
mod live;
mod local;

mod admin;
mod budget;
mod export;

mod caps;

pub use admin::{Hold, HoldPage};
pub use budget::RedisBudget;
pub use caps::RedisCaps;
pub use config::{Allowance, Away, Config};
pub use error::OpenError;
pub use executus_redis::{Config as Server, Endpoint, Namespace, RedisError};
