//! The handle to a store.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::watch;

use crate::config::Config;
use crate::connection;
use crate::error::{OpenError, StoreError, StoreState};
use crate::job::Job;
use crate::log::Log;
use crate::migration::Schema;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::writer::{AfterCommit, Writer};

/// A file and the thread that writes it. Clones share both.
///
/// When the last clone is dropped the thread commits what is in its queue and ends;
/// [`close`](Self::close) does the same and waits for it.
pub struct Store<J: Job> {
    handle: Arc<Handle<J>>,
}

struct Handle<J: Job> {
    queue: Arc<Queue<J>>,
    reader: Reader,
    ended: watch::Receiver<bool>,
}

impl<J: Job> Drop for Handle<J> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<J: Job> Clone for Store<J> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<J: Job> std::fmt::Debug for Store<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl<J: Job> Store<J> {
    /// Opens the file, creating it and bringing its schema up to date. Blocks its thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: Config, schema: Schema) -> Result<Self, OpenError> {
        Self::start(config, schema, None)
    }

    /// The same, with something to do on the writer thread after each COMMIT, before its jobs are
    /// settled: whoever waited for a job can rely on it. It MUST NOT write to the file.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// # Panics
    /// A panic in `after_commit` ends the writer thread.
    pub fn open_with(
        config: Config,
        schema: Schema,
        after_commit: impl FnMut(&Connection) + Send + 'static,
    ) -> Result<Self, OpenError> {
        Self::start(config, schema, Some(Box::new(after_commit)))
    }

    fn start(
        config: Config,
        schema: Schema,
        after_commit: Option<AfterCommit>,
    ) -> Result<Self, OpenError> {
        let connection = connection::writer(&config, &schema)?;
        let reader = Reader::lazy(&config, schema);
        let path = config.path.clone();
        let log = Log::new(&config);
        let queue = Arc::new(Queue::new(config));
        let (ended, end) = watch::channel(false);
        let writer = Writer {
            connection,
            queue: Arc::clone(&queue),
            path: path.clone(),
            log,
            after_commit,
            ended,
        };
        thread::Builder::new().name("executus-sqlite".into()).spawn(move || writer.run()).map_err(
            |error| OpenError::Failed {
                path,
                doing: "starting the writer thread".into(),
                source: Arc::new(error),
            },
        )?;
        Ok(Self { handle: Arc::new(Handle { queue, reader, ended: end }) })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.handle.reader.path()
    }

    /// Puts a job into the queue. Never waits. Jobs are applied in the order of their pushes.
    ///
    /// # Errors
    /// The job as it came, with [`StoreError::Full`], [`StoreError::Closed`] or
    /// [`StoreError::Poisoned`]. It is not settled.
    pub fn push(&self, job: J) -> Result<(), (J, StoreError)> {
        self.handle.queue.push(job, true)
    }

    /// The same for a job that waited for its turn: a full queue takes it too. Whoever was told
    /// [`StoreError::Full`] and has waited would otherwise lose its place to others, again and
    /// again. There must be a bound on how many do so at once.
    ///
    /// # Errors
    /// The job as it came, with [`StoreError::Closed`] or [`StoreError::Poisoned`].
    pub fn push_in_turn(&self, job: J) -> Result<(), (J, StoreError)> {
        self.handle.queue.push(job, false)
    }

    /// How the store is now, for whoever decides whether to begin something that needs it.
    #[must_use]
    pub fn state(&self) -> StoreState {
        self.handle.queue.state()
    }

    /// Answers queries about what was committed.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.handle.reader
    }

    /// Refuses further jobs, commits those that are there and closes the file, whoever else has a
    /// clone. Returns when all that is done; a dropped call has begun it all the same.
    /// The log is gone then, unless somebody still reads.
    pub async fn close(&self) {
        self.handle.reader.rest();
        self.handle.queue.close();
        let mut ended = self.handle.ended.clone();
        // An error means that the thread is gone, which is what is waited for.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}
