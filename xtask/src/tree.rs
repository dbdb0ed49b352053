//! The files of the project, as a fresh clone would have them.

use std::fs;
use std::path::Path;

use crate::command;
use crate::error::Error;

/// A text file of the project.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The last component of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the file is test code: a crate's `tests/`, or the package of scenarios.
    pub(crate) fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/")
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, l)| (i + 1, l))
    }
}

/// All text files, sorted by path. Files that are not UTF-8 are left out.
///
/// Git is asked first, for tracked and new files without the ignored ones; a tree without git
/// (an unpacked archive) is walked.
pub(crate) fn files(root: &Path) -> Result<Vec<File>, Error> {
    let mut paths = listed(root).unwrap_or_default();
    if paths.is_empty() {
        walk(root, "", &mut paths)?;
    }
    paths.sort();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        // A file deleted but not yet committed is still listed; it has nothing to check.
        let Ok(bytes) = fs::read(root.join(&path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

fn listed(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let text = command::capture(root, "git", &args).ok()?;
    Some(text.split('\0').filter(|p| !p.is_empty()).map(str::to_owned).collect())
}

fn walk(root: &Path, below: &str, paths: &mut Vec<String>) -> Result<(), Error> {
    let folder = root.join(below);
    let io = |source| Error::Io { path: folder.display().to_string(), source };
    for entry in fs::read_dir(&folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if entry.file_type().map_err(io)?.is_dir() {
            if name != "target" && name != ".git" {
                walk(root, &path, paths)?;
            }
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// The text of one file, or an error that names it.
pub(crate) fn read(root: &Path, path: &str) -> Result<String, Error> {
    fs::read_to_string(root.join(path))
        .map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// A TOML file as a table, or an error with its place.
pub(crate) fn table(root: &Path, path: &str) -> Result<toml::Table, Error> {
    read(root, path)?
        .parse()
        .map_err(|e: toml::de::Error| Error::Form { place: path.to_owned(), what: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::files;
    use crate::scratch::Scratch;

    #[test]
    fn a_tree_without_git_is_walked_past_build_output() {
        let tree = Scratch::with(&[("a/b.rs", "x"), ("target/c.rs", "x"), ("d.md", "x")]);
        let paths: Vec<String> = files(tree.root()).unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(paths, ["a/b.rs", "d.md"]);
    }
}
