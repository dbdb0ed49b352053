//! A skill: a folder with a `SKILL.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use executus_core::digest::{Digest, Hasher};

use crate::error::{FileError, SkillError, SkillProblem};

mod allowed;
mod fields;
mod folder;
mod yaml;

/// The largest file of a skill, in bytes: 1 MiB. A longer one refuses the skill.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The largest `SKILL.md`, in bytes: 256 KiB, as much as a result of a call has by default.
pub const MAX_SKILL_BYTES: u64 = 256 << 10;

/// The most files of a skill: 1,000.
pub const MAX_FILES: usize = 1000;

/// The file that makes a folder a skill.
const SKILL_FILE: &str = "SKILL.md";

/// A skill as its folder tells it. Cloning is cheap.
///
/// The front matter and the instructions are those of the moment it was loaded; other files are read
/// when they are asked for. Files and folders whose names begin with a dot are no part of it.
#[derive(Debug, Clone)]
pub struct Skill(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    front: fields::Front,
    folder: PathBuf,
    instructions: String,
    files: Vec<String>,
    digest: Digest,
}

impl Skill {
    /// Reads a skill's folder. Blocks on the files.
    ///
    /// # Errors
    /// The [`SkillError`] tells the first mistake, with file and line.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, SkillError> {
        let named = folder.as_ref();
        let root = named.canonicalize().map_err(|error| folder::unreadable(named, &error))?;
        let file = named.join(SKILL_FILE);
        let text = folder::read(&root, &file, MAX_SKILL_BYTES)?;
        let wrong = |(line, problem)| SkillError { file: file.clone(), line, problem };
        let (front, instructions) = fields::read(&text).map_err(wrong)?;
        let own = [named, &root].into_iter().find_map(Path::file_name).unwrap_or_default();
        if own.to_str() != Some(&*front.name.value) {
            let folder = own.to_string_lossy().into_owned();
            let name = front.name.value.to_string();
            return Err(wrong((front.name.line, SkillProblem::Folder { name, folder })));
        }
        let files = folder::list(&root, named)?;
        let mut hasher = Hasher::new();
        hasher.text(&text);
        let digest = hasher.finish();
        Ok(Self(Arc::new(Parts { front, folder: root, instructions, files, digest })))
    }

    /// Reads all skills in a folder, by name: each folder in it that has a `SKILL.md`. Blocks on the
    /// files.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the first skill that is wrong.
    pub fn load_all(folder: impl AsRef<Path>) -> Result<Vec<Self>, SkillError> {
        let folder = folder.as_ref();
        let unreadable = |error: std::io::Error| folder::unreadable(folder, &error);
        let mut found = Vec::new();
        for entry in folder.read_dir().map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // Also where it leads nowhere: that is said, not passed over.
            if path.join(SKILL_FILE).symlink_metadata().is_ok() {
                found.push(path);
            }
        }
        found.sort();
        found.into_iter().map(Self::load).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.front.name.value
    }

    /// What it does and when it is to be used: what a model knows before it uses the skill.
    #[must_use]
    pub fn description(&self) -> &Arc<str> {
        &self.0.front.description
    }

    /// Its licence, where it names one.
    #[must_use]
    pub fn license(&self) -> Option<&str> {
        self.0.front.license.as_deref()
    }

    /// What it needs, where it says so.
    #[must_use]
    pub fn compatibility(&self) -> Option<&str> {
        self.0.front.compatibility.as_deref()
    }

    /// The tools that it was written for. They are told to the model and grant nothing.
    #[must_use]
    pub fn allowed_tools(&self) -> &[String] {
        &self.0.front.allowed_tools
    }

    /// What else its author noted.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.0.front.metadata
    }

    /// Its folder, without links.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Its files beside `SKILL.md`, by their paths with `/`, in order.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.0.files
    }

    /// The digest of its `SKILL.md`: another text, another digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// What a call without a file answers: the instructions, what they need, and which files there
    /// are.
    #[must_use]
    pub fn instructions(&self) -> String {
        let mut text = self.0.instructions.clone();
        // A text that cannot be written to a `String` there is not.
        if !self.allowed_tools().is_empty() {
            let _ =
                write!(text, "\n\nWritten for these tools: {}", self.allowed_tools().join(", "));
        }
        if !self.files().is_empty() {
            text.push_str("\n\nFiles of this skill, to be read by a call with `file`:");
            for file in self.files() {
                let _ = write!(text, "\n- {file}");
            }
        }
        text
    }

    /// The text of one of its [`files`](Self::files), or of `SKILL.md`. Blocks on the file.
    ///
    /// # Errors
    /// The path leads out of the folder, there is no such file, or it is no text of at most
    /// [`MAX_FILE_BYTES`].
    pub fn read(&self, file: &str) -> Result<String, FileError> {
        let path = folder::within(file)?;
        if path != SKILL_FILE && !self.files().contains(&path) {
            let known = match self.files() {
                [] => "none".to_owned(),
                files => files.join(", "),
            };
            return Err(FileError::Unknown { file: file.to_owned(), known });
        }
        let full = self.0.folder.join(path);
        folder::read(&self.0.folder, &full, MAX_FILE_BYTES).map_err(FileError::Skill)
    }
}
