//! Checkpoints on SQLite: the facts of unfinished runs in one file.
//!
//! [`SqliteCheckpointer`] is the port. An append is durable when it returns, costs the same
//! whatever the length of the run, and keeps a record that is there already. A run that ended is
//! removed; of the newest ones it is remembered how they ended.
//!
//! Each open `SqliteCheckpointer` is a holder. A run is held by whoever performs it, for a lease
//! that its saves renew; what another one writes meanwhile is refused. A holder also locks a file
//! of its own beside the database, which the system unlocks whatever the process dies of: what the
//! dead held can be resumed at once, without waiting for the lease.

mod config;
mod error;
mod schema;

mod holder;
mod job;

mod checkpointer;

pub use checkpointer::{Ended, SqliteCheckpointer};
pub use config::Config;
pub use executus_sqlite::OpenError;
