//! Reading: connections that cannot write, kept in a small pool.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, Error as SqliteError};

use crate::config::Config;
use crate::connection;
use crate::error::OpenError;
use crate::migration::Schema;

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
            keep: config.readers.max(1),
            free: Mutex::default(),
        };
        Self { pool: Arc::new(pool) }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.pool.path
    }

    /// Runs some queries on one state of the file.
    ///
    /// # Errors
    /// An [`OpenError`]: a connection could not be opened. Inside, what the queries returned.
    pub fn read<T, E: From<SqliteError>>(
        &self,
        queries: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Result<T, E>, OpenError> {
        let pool = &self.pool;
        let free = pool.free.lock().pop();
        let connection = match free {
            Some(connection) => connection,
            None => connection::reader(&pool.path, pool.busy_timeout, &pool.schema)?,
        };
        let answer = match connection.unchecked_transaction() {
            Ok(transaction) => queries(&transaction),
            Err(error) => Err(error.into()),
        };
        // The transaction is over: a reader at rest must not hold up the log.
        if connection.is_autocommit() {
            let mut free = pool.free.lock();
            if free.len() < pool.keep {
                free.push(connection);
            }
        }
        Ok(answer)
    }
}
