//! The writer thread: group commit.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::job::Job;
use crate::log::Log;
use crate::queue::{Next, Queue};

/// What is done after each COMMIT, before its jobs are settled.
pub(crate) type AfterCommit = Box<dyn FnMut(&Connection) + Send>;

/// What the thread owns.
pub(crate) struct Writer<J: Job> {
    pub(crate) connection: Connection,
    pub(crate) queue: Arc<Queue<J>>,
    pub(crate) path: PathBuf,
    pub(crate) log: Log,
    pub(crate) after_commit: Option<AfterCommit>,
    /// Told when the thread has ended and the file is closed.
    pub(crate) ended: watch::Sender<bool>,
}

/// How applying a group ended. The jobs that failed by their own fault, by place.
type Faults = Vec<(usize, StoreError)>;

impl<J: Job> Writer<J> {
    /// Commits groups until the queue is closed and empty, or the store is poisoned.
    pub(crate) fn run(self) {
        let Self { connection, queue, path, log, mut after_commit, ended } = self;
        let mut end = End { queue, path, log, ended, group: Vec::new() };
        let refusal = end.serve(&connection, &mut after_commit);
        // The last connection of a file puts the log back and removes it.
        drop(connection);
        if let Some(refusal) = refusal {
            end.fail_all(refusal);
        }
    }
}

/// The thread's part that must see its end, panics included.
struct End<J: Job> {
    queue: Arc<Queue<J>>,
    path: PathBuf,
    log: Log,
    ended: watch::Sender<bool>,
    group: Vec<J>,
}

impl<J: Job> End<J> {
    /// Returns why the store is poisoned, if it is.
    fn serve(
        &mut self,
        connection: &Connection,
        after_commit: &mut Option<AfterCommit>,
    ) -> Option<StoreError> {
        let (mut dirty, mut failing) = (false, false);
        loop {
            match self.queue.take(&mut self.group, dirty) {
                Next::End => return None,
                Next::Idle => {
                    checkpoint(connection);
                    dirty = false;
                    continue;
                }
                Next::Group => dirty = true,
            }
            match self.commit(connection) {
                Ok(faults) => {
                    if failing {
                        self.queue.recovered();
                        failing = false;
                    }
                    if let Some(after_commit) = after_commit {
                        after_commit(connection);
                    }
                    self.settle(faults);
                }
                Err(error) if error.retry() => {
                    tracing::warn!(error = %error, "rows wait for the store");
                    failing = true;
                    for job in self.queue.keep(&mut self.group, error.clone()) {
                        job.settle(Err(error.clone()));
                    }
                }
                Err(error) => {
                    tracing::error!(error = %error, "the store is poisoned");
                    return Some(error);
                }
            }
        }
    }

    fn settle(&mut self, faults: Faults) {
        let mut faults = faults.into_iter().peekable();
        for (at, job) in self.group.drain(..).enumerate() {
            let fault = faults.next_if(|(place, _)| *place == at).map(|(_, fault)| fault);
            job.settle(fault.map_or(Ok(()), Err));
        }
    }

    fn fail_all(&mut self, refusal: StoreError) {
        let waiting = self.queue.refuse(refusal.clone());
        for job in mem::take(&mut self.group).into_iter().chain(waiting) {
            job.settle(Err(refusal.clone()));
        }
    }

    /// One transaction for the group. A job at fault costs a second try, in which each job has a
    /// savepoint of its own: the usual case pays nothing for it.
    fn commit(&mut self, connection: &Connection) -> Result<Faults, StoreError> {
        self.log.check(connection)?;
        match self.attempt(connection, Self::apply_together) {
            Err(StoreError::Refused { .. }) => self.attempt(connection, Self::apply_each),
            done => done,
        }
    }

    fn attempt(
        &mut self,
        connection: &Connection,
        apply: fn(&mut Self, &Connection) -> Result<Faults, StoreError>,
    ) -> Result<Faults, StoreError> {
        self.outside(execute(connection, "BEGIN IMMEDIATE"))?;
        let applied = apply(self, connection);
        let done = match applied {
            Ok(faults) => self.outside(execute(connection, "COMMIT")).map(|()| faults),
            Err(error) => Err(error),
        };
        if done.is_err() && !connection.is_autocommit() {
            // SQLite ends the transaction itself on some failures; on the others we do.
            self.outside(execute(connection, "ROLLBACK"))?;
        }
        done
    }

    fn apply_together(&mut self, connection: &Connection) -> Result<Faults, StoreError> {
        let mut shared = J::group(connection);
        for job in &mut self.group {
            job.apply(&mut shared)
                .map_err(|error| StoreError::from_sqlite(&self.path, error, true))?;
        }
        self.outside(J::finish(&mut shared))?;
        Ok(Vec::new())
    }

    fn apply_each(&mut self, connection: &Connection) -> Result<Faults, StoreError> {
        let mut faults = Vec::new();
        let mut shared = J::group(connection);
        for at in 0..self.group.len() {
            self.outside(execute(connection, "SAVEPOINT job"))?;
            if let Err(error) = self.group[at].apply(&mut shared) {
                match StoreError::from_sqlite(&self.path, error, true) {
                    fault @ StoreError::Refused { .. } => faults.push((at, fault)),
                    error => return Err(error),
                }
                self.outside(execute(connection, "ROLLBACK TO job"))?;
            }
            self.outside(execute(connection, "RELEASE job"))?;
        }
        self.outside(J::finish(&mut shared))?;
        Ok(faults)
    }

    /// The meaning of an error that no job is at fault for.
    fn outside(&self, result: rusqlite::Result<()>) -> Result<(), StoreError> {
        result.map_err(|error| StoreError::from_sqlite(&self.path, error, false))
    }
}

impl<J: Job> Drop for End<J> {
    fn drop(&mut self) {
        self.fail_all(StoreError::Closed { path: self.path.clone() });
        self.ended.send_replace(true);
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    let mut statement: CachedStatement<'_> = connection.prepare_cached(sql)?;
    statement.execute([]).map(drop)
}

/// Puts the log back into the file as far as no reader needs it, without waiting for anyone.
fn checkpoint(connection: &Connection) {
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = done {
        tracing::warn!(%error, "the write-ahead log was not put back; it is tried again");
    }
}
