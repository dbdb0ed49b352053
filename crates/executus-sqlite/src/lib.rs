//! SQLite for the batteries that keep something in one file: a writer thread, group commit,
//! migrations, readers.
//!
//! A [`Store`] owns a thread, and the thread owns the one connection that writes. A [`Job`] is
//! pushed without waiting; the thread puts the jobs that are there into one transaction, and a job
//! is settled only after its COMMIT with `synchronous=FULL`. What fails is told apart: a job's own
//! fault fails that job alone, a full disk or a busy file fails those who wait and keeps the rest
//! for later, and a failed commit poisons the store, since nobody can know what is on the disk.
//!
//! This crate knows no run, no audit and no checkpoint. It is meant for the batteries of this
//! workspace: they use [`rusqlite`] through it, and hide it from their own callers.

mod config;
mod error;
mod migration;

mod job;
mod log;
mod queue;
mod writer;

mod connection;
mod reader;
mod store;

pub use config::Config;
pub use error::{OpenError, StoreError, StoreState};
pub use job::Job;
pub use migration::Schema;
pub use reader::Reader;
pub use rusqlite;
pub use store::Store;
