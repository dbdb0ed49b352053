//! Reading: connections that cannot write, kept in a small pool.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, Error as SqliteError};

use crate::config::Config;
use crate::connection;
use crate::error::OpenError;
use crate::log::Log;
use crate::migration::Schema;

/// How long a query may hold a log that is too large.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many of SQLite's operations there are between two looks at it: some milliseconds.
const OPERATIONS: c_int = 100_000;

/// Answers queries from a file. Clones share their connections.
///
/// Every call blocks its thread: async callers use the blocking pool. A query sees what was
/// committed when it began.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    schema: Schema,
    busy_timeout: Duration,
    log: Log,
    keep: usize,
    free: Mutex<Vec<Connection>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.pool.path).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file that is there, with the newest schema.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &Config, schema: Schema) -> Result<Self, OpenError> {
        let first = connection::reader(&config.path, config.busy_timeout, &schema)?;
        let reader = Self::lazy(config, schema);
        reader.pool.free.lock().push(first);
        Ok(reader)
    }

    /// One whose connections are opened when they are needed.
    pub(crate) fn lazy(config: &Config, schema: Schema) -> Self {
        let pool = Pool {
            path: config.path.clone(),
            schema,
            busy_timeout: config.busy_timeout,
            log: Log::new(config),
            keep: config.readers.max(1),
            free: Mutex::default(),
        };
        Self { pool: Arc::new(pool) }
    }

    /// Closes the connections that are at rest: the writer can then remove the log.
    pub(crate) fn rest(&self) {
        self.pool.free.lock().clear();
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.pool.path
    }

    /// Runs some queries on one state of the file.
    ///
    /// While they run they hold the log, which grows when somebody writes. Queries that have taken
    /// longer than 2 s are stopped when it has reached half of [`Config::wal_bound`].
    ///
    /// # Errors
    /// An [`OpenError`]: a connection could not be opened. Inside, what the queries returned; for
    /// queries that were stopped, SQLite's `SQLITE_INTERRUPT`.
    pub fn read<T, E: From<SqliteError>>(
        &self,
        queries: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Result<T, E>, OpenError> {
        let pool = &self.pool;
        let free = pool.free.lock().pop();
        let mut connection = match free {
            Some(connection) => connection,
            None => connection::reader(&pool.path, pool.busy_timeout, &pool.schema)?,
        };
        let answer = self.answer(&mut connection, queries);
        // The transaction is over: a reader at rest must not hold up the log.
        if connection.is_autocommit() {
            let mut free = pool.free.lock();
            if free.len() < pool.keep {
                free.push(connection);
            }
        }
        Ok(answer)
    }

    fn answer<T, E: From<SqliteError>>(
        &self,
        connection: &mut Connection,
        queries: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let log = self.pool.log.clone();
        #[expect(clippy::disallowed_methods, reason = "how long a query takes is real time")]
        let began = Instant::now();
        let ends = move || began.elapsed() > PATIENCE && log.presses();
        connection.progress_handler(OPERATIONS, Some(ends))?;
        let transaction = connection.unchecked_transaction()?;
        let answer = queries(&transaction);
        // A read has nothing to undo.
        drop(transaction);
        connection.progress_handler(0, None::<fn() -> bool>)?;
        answer
    }
}
