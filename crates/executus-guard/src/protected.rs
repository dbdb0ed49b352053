//! Files that no tool of the agent may write, and that close the guard when they change.

use std::path::{Component, Path, PathBuf};

use executus_core::digest::{Digest, Hasher};
use serde_json::Value;

use crate::error::ConfigError;

/// Files that the agent's tools cannot write: the guard's own configuration, the run file.
///
/// What they hold is read once. Before each call the guard looks whether it is still the same; when
/// it is not, or cannot be read, the guard is closed: every call of every run is refused. A call of
/// a tool that is not read-only and names such a file, or a folder that holds one, is refused.
///
/// The check of names is the first line: it knows how a path can be written (relative, with `..`,
/// over a link), but not what a program does that is not told the name. The check of what the files
/// hold is the second, and knows no way around.
#[derive(Debug, Clone)]
pub struct Protected {
    root: PathBuf,
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    /// Where it is, without links.
    path: PathBuf,
    /// As it was named.
    named: PathBuf,
    holds: Digest,
}

impl Protected {
    /// These files, as they are now. Relative paths, here and in calls, are relative to `root`.
    ///
    /// # Errors
    /// [`ConfigError::Protect`] for a file that cannot be read.
    pub fn new<P: AsRef<Path>>(
        root: &Path,
        files: impl IntoIterator<Item = P>,
    ) -> Result<Self, ConfigError> {
        let refuse = |path: &Path, error: std::io::Error| ConfigError::Protect {
            path: path.display().to_string(),
            message: error.to_string(),
        };
        let root = root.canonicalize().map_err(|error| refuse(root, error))?;
        let files = files.into_iter().map(|named| {
            let named = root.join(named);
            let path = named.canonicalize().map_err(|error| refuse(&named, error))?;
            let holds = std::fs::read(&path).map_err(|error| refuse(&named, error))?;
            Ok(File { holds: digest(&holds), path, named })
        });
        Ok(Self { files: files.collect::<Result<_, _>>()?, root })
    }

    /// Whether all files are as they were; which one is not, if one is not.
    pub(crate) async fn unchanged(&self) -> Result<(), String> {
        for file in &self.files {
            let path = file.path.display();
            match tokio::fs::read(&file.named).await {
                Ok(holds) if digest(&holds) == file.holds => {}
                Ok(_) => return Err(format!("{path} was changed")),
                Err(error) => return Err(format!("{path} cannot be read: {error}")),
            }
        }
        Ok(())
    }

    /// The file that these arguments name, if they name one.
    pub(crate) fn named(&self, args: &Value) -> Option<String> {
        let mut texts = Vec::new();
        collect(args, &mut texts);
        let hit = |file: &&File| texts.iter().any(|text| self.names(text, file));
        let file = self.files.iter().find(hit)?;
        Some(file.path.display().to_string())
    }

    fn names(&self, text: &str, file: &File) -> bool {
        if text.is_empty() || text.len() > 64 * 1024 {
            // A name of this length is none; a text may still hold one.
            return self.mentions(text, file);
        }
        let path = self.root.join(text.strip_prefix("file://").unwrap_or(text));
        let places = [lexical(&path), resolved(&path)];
        let is_or_holds = |place: &PathBuf| {
            // The root of everything holds every file, and so does the folder the agent works in.
            place == &file.path
                || place == &file.named
                || (file.path.starts_with(place) && !self.root.starts_with(place))
        };
        places.iter().any(is_or_holds) || self.mentions(text, file)
    }

    /// A longer text, such as a command, in which the path stands.
    fn mentions(&self, text: &str, file: &File) -> bool {
        let whole = [&file.path, &file.named].into_iter().filter_map(|path| path.to_str());
        let mut names: Vec<&str> = whole.collect();
        names.extend(file.path.strip_prefix(&self.root).ok().and_then(Path::to_str));
        names.iter().any(|name| !name.is_empty() && text.contains(name))
    }
}

fn digest(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.bytes(bytes);
    hasher.finish()
}

/// Without `.` and `..`, as far as the words alone say.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

/// Without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut head = path;
    loop {
        if let Ok(head) = head.canonicalize() {
            return lexical(&rest.iter().rev().fold(head, |path, part| path.join(part)));
        }
        match (head.parent(), head.components().next_back()) {
            (Some(parent), Some(part)) => {
                rest.push(part.as_os_str().to_owned());
                head = parent;
            }
            _ => return lexical(path),
        }
    }
}

fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| {
            texts.push(name);
            collect(field, texts);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
