//! What another process asks of a run that is under way: to end.
//!
//! It leaves a file beside the store, named by the digest of the run's id; whoever performs the run
//! looks for it ten times a second. A file outlives both, so that an ask is not lost when nobody
//! performs the run just then: its next life ends as it begins.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use executus_core::RunId;
use executus_core::digest::Hasher;
use tokio::time::{MissedTickBehavior, interval};

use crate::fault::Fault;

/// How often somebody looks.
const LOOK: Duration = Duration::from_millis(100);

/// The asks of a store.
#[derive(Debug, Clone)]
pub(crate) struct Asks {
    folder: PathBuf,
}

impl Asks {
    /// Those beside this database.
    pub(crate) fn of(db: &Path) -> Self {
        let mut name = db.as_os_str().to_owned();
        name.push(".asks");
        Self { folder: name.into() }
    }

    /// Asks for the end of a run.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn cancel(&self, run: &RunId) -> Result<(), Fault> {
        let path = self.path(run);
        let asked = match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => {
                OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)
            }
        };
        asked.map(drop).map_err(|error| Fault::error(format!("{}: {error}", path.display())))
    }

    /// The run has ended.
    pub(crate) fn done(&self, run: &RunId) {
        match fs::remove_file(self.path(run)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(run = run.as_str(), %error, "an ask is left");
            }
            _ => {}
        }
    }

    /// Waits until the end of the run is asked for. Cancel safe.
    pub(crate) async fn asked(&self, run: &RunId) {
        let path = self.path(run);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if path.exists() {
                return;
            }
        }
    }

    /// Any text may be a run's id, and no file's name.
    fn path(&self, run: &RunId) -> PathBuf {
        let mut hasher = Hasher::new();
        hasher.text(run.as_str());
        self.folder.join(format!("{}.cancel", hasher.finish()))
    }
}
