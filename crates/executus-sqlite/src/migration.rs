//! Schemas: what kind of file it is, and the steps to its newest version.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::OpenError;

const READING: &str = "reading its version";

/// The kind of a file, and how it came to be.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// What tells this kind of file from every other SQLite file, in its header
    /// (`application_id`). Not 0.
    pub application_id: i32,
    /// The SQL of each version, from 1, each run in one transaction. Never changed once released.
    pub steps: &'static [&'static str],
}

impl Schema {
    /// The newest version.
    #[must_use]
    pub fn version(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// The version of the file, 0 for an empty one.
    ///
    /// Refuses what another program or a newer version wrote. Looks at one state of the file,
    /// whoever is making it meanwhile.
    pub(crate) fn found(&self, path: &Path, connection: &Connection) -> Result<u32, OpenError> {
        let failed = |error| OpenError::from_sqlite(path, READING, error);
        let transaction = connection.unchecked_transaction().map_err(failed)?;
        let found = self.found_in(path, &transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(found)
    }

    /// The same, inside a transaction.
    fn found_in(&self, path: &Path, connection: &Connection) -> Result<u32, OpenError> {
        let failed = |error| OpenError::from_sqlite(path, READING, error);
        let number = |pragma: &str| {
            connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(failed)
        };
        let foreign = |found: String| Err(OpenError::Foreign { path: path.to_path_buf(), found });
        let (application, version) = (number("application_id")?, number("user_version")?);
        if application != self.application_id {
            let tables: i64 = connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
                .map_err(failed)?;
            if application != 0 || version != 0 || tables != 0 {
                return foreign(format!("another program's (application id {application})"));
            }
            return Ok(0);
        }
        match u32::try_from(version) {
            Ok(found) if found > self.version() => {
                Err(OpenError::Newer { path: path.to_path_buf(), found, known: self.version() })
            }
            Ok(found) => Ok(found),
            Err(_) => foreign(format!("its version is {version}")),
        }
    }

    /// Brings the file to the newest version, one transaction for each step.
    pub(crate) fn migrate(
        &self,
        path: &Path,
        connection: &mut Connection,
    ) -> Result<(), OpenError> {
        while self.found(path, connection)? < self.version() {
            self.step(path, connection)?;
        }
        Ok(())
    }

    fn step(&self, path: &Path, connection: &mut Connection) -> Result<(), OpenError> {
        let failed = |error| OpenError::from_sqlite(path, "bringing its schema up to date", error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        // Only now nobody else can be at it: another process may have taken the step meanwhile.
        let found = self.found_in(path, &transaction)?;
        let Some(sql) = usize::try_from(found).ok().and_then(|found| self.steps.get(found)) else {
            return Ok(());
        };
        transaction.execute_batch(sql).map_err(failed)?;
        transaction.pragma_update(None, "application_id", self.application_id).map_err(failed)?;
        transaction.pragma_update(None, "user_version", found + 1).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}
