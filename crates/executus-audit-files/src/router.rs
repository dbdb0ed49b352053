//! Entries that are no facts of a run.

use executus_core::port::AuditError;
use executus_core::{RunId, Timestamp};

use crate::audit::FileAudit;
use crate::entry::Entry;
use crate::job::Job;
use crate::recorder::unfit;
use crate::row::Action;

/// Writes entries into the directory of one run. Clones write into the same.
#[derive(Debug, Clone)]
pub struct Router {
    audit: FileAudit,
    run: RunId,
}

impl Router {
    pub(crate) const fn new(audit: FileAudit, run: RunId) -> Self {
        Self { audit, run }
    }

    /// The run of all its entries.
    #[must_use]
    pub const fn run_id(&self) -> &RunId {
        &self.run
    }

    /// Writes an entry: durable when it returns, with the name of its file. The same entry written
    /// twice is one; another one at the same place gets a name of its own.
    ///
    /// # Errors
    /// As of a flush.
    ///
    /// # Cancellation
    /// An entry that was given is written, whether or not somebody waits for it.
    pub async fn write(&self, mut entry: Entry, at: Timestamp) -> Result<String, AuditError> {
        entry.run_id = Some(self.run.clone());
        entry.at = at;
        let action = Action::new(&entry).map_err(unfit)?;
        self.audit.ask(|answer| Job::Put(self.run.clone(), action, answer)).await
    }
}
