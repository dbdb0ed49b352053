//! Messages as files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use executus_core::RunId;
use executus_core::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::{Shape, Target};
use crate::disk;
use crate::error::SendError;
use crate::message::Message;

/// The longest run id that is a file name as it is.
const LONGEST: usize = 100;

/// Writes each message to a file of its own, or always to the same file. The file is there as a
/// whole or not at all, and durable when the message counts as arrived; one that arrives again is
/// written again, with the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    folder: PathBuf,
    /// Always this file.
    name: Option<String>,
    shape: Shape,
}

impl Folder {
    /// A file for each run in this folder: `<run id>.json`. A run id that is no plain file name
    /// (letters, digits, `-`, `_`, and `.` inside) gives the SHA-256 of it instead. The folder is
    /// created when it is not there.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), name: None, shape: Shape::Json }
    }

    /// This one file: it holds the result that arrived last.
    ///
    /// A path without a file name (`/`, `..`) is refused when it is written.
    pub fn file(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Self { folder, name: Some(name.unwrap_or_default()), shape: Shape::Json }
    }

    /// In this form; text is called `.txt` where the name is made of a run id.
    #[must_use]
    pub const fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// The file of a run.
    #[must_use]
    pub fn path_of(&self, run: &RunId) -> PathBuf {
        self.folder.join(self.file_name(run))
    }

    fn file_name(&self, run: &RunId) -> String {
        let ending = match self.shape {
            Shape::Json => "json",
            Shape::Text => "txt",
        };
        self.name.clone().unwrap_or_else(|| format!("{}.{ending}", stem(run)))
    }
}

/// A run's id as a file name.
fn stem(run: &RunId) -> String {
    let id = run.as_str();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_dot = id.starts_with('.') || id.ends_with('.');
    if id.len() <= LONGEST && !is_dot && id.chars().all(is_plain) {
        return id.to_owned();
    }
    Digest::from_bytes(Sha256::digest(id.as_bytes()).into()).to_string()
}

#[async_trait]
impl Target for Folder {
    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let name = self.file_name(message.key());
        let path = self.folder.join(&name);
        let told = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        if name.is_empty() {
            return Err(SendError::refused(told(&"this is no path of a file")));
        }
        let (folder, bytes) = (self.folder.clone(), self.shape.of(message));
        let written =
            tokio::task::spawn_blocking(move || disk::replace(&folder, &name, &bytes)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if matches!(error.kind(), ErrorKind::IsADirectory) => {
                Err(SendError::refused(told(&error)))
            }
            // A disk that is full, a folder that may not be written: somebody can mend it.
            Ok(Err(error)) => Err(SendError::unavailable(told(&error))),
            Err(error) => Err(SendError::unavailable(told(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_never_leads_out_of_the_folder() {
        let folder = Folder::new("/results");
        for (id, expected) in [("run-1", "run-1.json"), ("a.b_C", "a.b_C.json")] {
            let run = RunId::new(id).unwrap();
            assert_eq!(folder.path_of(&run), Path::new("/results").join(expected));
        }
        for id in ["../x", "..", "a/b", "/etc/passwd", ".hidden", "a.", "ü", "a b", "c:d"] {
            let name = folder.file_name(&RunId::new(id).unwrap());
            assert_eq!(name.len(), 64 + 5, "{id}: {name}");
        }
        let long = RunId::new("x".repeat(101)).unwrap();
        assert_eq!(folder.file_name(&long).len(), 64 + 5);
    }

    #[test]
    fn a_file_is_in_its_folder() {
        assert_eq!(Folder::file("out.json").folder, Path::new("."));
        assert_eq!(Folder::file("/a/out.json").folder, Path::new("/a"));
        assert_eq!(Folder::file("/").name.as_deref(), Some(""));
    }
}
