//! Who holds runs, and whether he lives: a locked file for each, beside the database.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use executus_core::RunId;

/// A holder, for as long as this lives. The system takes the lock away when the process dies, of
/// whatever.
#[derive(Debug)]
pub(crate) struct Holder {
    id: String,
    path: PathBuf,
    _lock: File,
}

/// What tells the living from the dead.
#[derive(Debug, Clone)]
pub(crate) struct Holders {
    folder: PathBuf,
}

impl Holders {
    pub(crate) fn of(database: &Path) -> Self {
        let mut folder = database.as_os_str().to_owned();
        folder.push(".holders");
        Self { folder: folder.into() }
    }

    /// A new holder. Removes what the dead have left.
    pub(crate) fn enter(&self) -> io::Result<Holder> {
        fs::create_dir_all(&self.folder)?;
        self.sweep();
        let id = RunId::random().to_string();
        let path = self.folder.join(&id);
        // Under its name only when it is locked: nobody sees a holder that is not, and is alive.
        let new = self.folder.join(format!("{id}.new"));
        let lock = File::create(&new)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("a new file is locked by somebody else"),
        })?;
        fs::rename(&new, &path)?;
        Ok(Holder { id, path, _lock: lock })
    }

    /// Whether a holder is known to be dead. One that cannot be asked counts as living: its lease
    /// decides.
    pub(crate) fn is_dead(&self, id: &str) -> bool {
        match File::open(self.folder.join(id)) {
            Ok(lock) => lock.try_lock().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn sweep(&self) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            let name = file.file_name();
            let Some(name) = name.to_str().filter(|name| !name.ends_with(".new")) else { continue };
            if self.is_dead(name) {
                // What is left stays until the next time.
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

impl Holder {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Gone is as good as unlocked.
        let _ = fs::remove_file(&self.path);
    }
}
