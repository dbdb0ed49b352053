//! Opening: the connection that writes, and those that read.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::config::Config;
use crate::error::OpenError;
use crate::migration::Schema;

/// The most statements one connection keeps prepared.
const STATEMENTS: usize = 64;
/// SQLite's page size, in bytes.
const PAGE: i64 = 4096;
/// What the connection that writes keeps in memory.
const CACHE_KIB: i64 = 8192;

/// How long to wait before another try to open a file that others are opening or closing.
const RETRY: Duration = Duration::from_millis(5);

/// Opens the connection that writes, creating the file and bringing its schema up to date.
///
/// Several processes may do so at once. Not every lock on the way is one that SQLite waits for
/// (nobody waits to change the journal mode), so the whole is tried again for a while.
pub(crate) fn writer(config: &Config, schema: &Schema) -> Result<Connection, OpenError> {
    #[expect(clippy::disallowed_methods, reason = "how long to try is real time")]
    let began = Instant::now();
    loop {
        match try_writer(config, schema) {
            Err(OpenError::Busy { .. }) if began.elapsed() < config.busy_timeout => {
                #[expect(clippy::disallowed_methods, reason = "opening blocks its thread")]
                thread::sleep(RETRY);
            }
            done => return done,
        }
    }
}

fn try_writer(config: &Config, schema: &Schema) -> Result<Connection, OpenError> {
    let path = &config.path;
    check(path, true)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = open(path, flags, config.busy_timeout)?;
    let failed = |error| OpenError::from_sqlite(path, "setting it up", error);
    // Before anything is changed: a file of somebody else stays as it is.
    schema.found(path, &connection)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let reason = format!("its file system has no shared memory (journal mode `{mode}`)");
        return Err(OpenError::Denied { path: path.clone(), reason });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    connection.pragma_update(None, "foreign_keys", config.foreign_keys).map_err(failed)?;
    // Without it `INSERT OR REPLACE` passes by the triggers that forbid a DELETE.
    connection.pragma_update(None, "recursive_triggers", true).map_err(failed)?;
    let limit = i64::try_from(config.wal_limit).unwrap_or(i64::MAX);
    connection.pragma_update(None, "journal_size_limit", limit).map_err(failed)?;
    // Half the limit in pages: a page that changes often is put back less often.
    let pages = (limit / PAGE / 2).clamp(1, i64::from(i32::MAX));
    connection.pragma_update(None, "wal_autocheckpoint", pages).map_err(failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
    schema.migrate(path, &mut connection)?;
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(crate) fn reader(
    path: &Path,
    busy_timeout: Duration,
    schema: &Schema,
) -> Result<Connection, OpenError> {
    check(path, false)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags, busy_timeout)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| OpenError::from_sqlite(path, "setting it up", error))?;
    match schema.found(path, &connection)? {
        found if found < schema.version() => {
            Err(OpenError::Older { path: path.to_path_buf(), found, known: schema.version() })
        }
        _ => Ok(connection),
    }
}

fn open(path: &Path, flags: OpenFlags, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::from_sqlite(path, "opening it", error);
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(busy_timeout).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise some statements are planned anew for each value that is bound to them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    Ok(connection)
}

/// Says what SQLite's "unable to open database file" does not: what is missing, what is forbidden.
fn check(path: &Path, create: bool) -> Result<(), OpenError> {
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(OpenError::Foreign { path: path.to_path_buf(), found: "it is a folder".into() })
        }
        Ok(found) if create && found.permissions().readonly() => Err(OpenError::Denied {
            path: path.to_path_buf(),
            reason: "the file is read-only".into(),
        }),
        Ok(_) => Ok(()),
        Err(error) if create && error.kind() == std::io::ErrorKind::NotFound => {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
                _ => PathBuf::from("."),
            };
            match folder.metadata() {
                Ok(found) if found.is_dir() => Ok(()),
                _ => Err(OpenError::Missing { path: path.to_path_buf(), missing: folder }),
            }
        }
        Err(error) => Err(OpenError::from_io(path, error)),
    }
}
