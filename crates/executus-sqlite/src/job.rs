//! What the writer thread does.

use rusqlite::Connection;

use crate::error::StoreError;

/// A piece of work for the writer thread: some statements of one transaction.
///
/// A type of its own for each battery, mostly an enum: rows that nobody waits for, and the few
/// jobs that carry a channel for their answer.
///
/// # Panics
/// A panic in any of the methods ends the writer thread: the store answers as closed from there on.
pub trait Job: Send + 'static {
    /// What the jobs of one transaction share: the connection, and what they prepared on it. A
    /// statement that many jobs execute is then looked up once.
    type Group<'c>;

    /// The beginning of a transaction, or of another try of it.
    fn group(connection: &Connection) -> Self::Group<'_>;

    /// Executes the statements. There is an open transaction: they MUST NOT begin or end one.
    ///
    /// The transaction may be given up and tried again, so this MAY be called more than once; only
    /// the last call counts, and nothing beside the connection and the job itself MUST be touched.
    ///
    /// # Errors
    /// SQLite's error as it came. A job that finds something wrong by itself, without having
    /// changed anything, keeps that and returns `Ok`.
    fn apply(&mut self, group: &mut Self::Group<'_>) -> rusqlite::Result<()>;

    /// The end of a transaction that holds these jobs, or of one try of it, before its COMMIT:
    /// writes what the jobs put off until they are all known. Nothing, unless it is implemented.
    ///
    /// # Errors
    /// SQLite's error as it came. No job is at fault for it: the store is poisoned, unless there is
    /// no space or the file is busy.
    fn finish(_: &mut Self::Group<'_>) -> rusqlite::Result<()> {
        Ok(())
    }

    /// The end of the job, called once, on the writer thread: `Ok` after the COMMIT.
    fn settle(self, result: Result<(), StoreError>);

    /// Whether somebody waits for the end of this job. Such a job is taken even by a full queue,
    /// is committed without delay, and fails when the disk is full; others are then kept.
    fn is_awaited(&self) -> bool;

    /// About how much memory the job holds, in bytes.
    fn bytes(&self) -> usize;
}
