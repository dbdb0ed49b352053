//! A folder with planted files, removed when the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A temporary tree.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Writes `(path, text)` pairs below a new folder.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("executus-xtask-{}-{number}", std::process::id());
        let scratch = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&scratch.0).unwrap();
        for (path, text) in files {
            let path = scratch.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        scratch
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
