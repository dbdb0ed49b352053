//! The files of a skill: which there are, what one holds, and that none lies outside.

use std::fs::{self, File, FileType};
use std::io::{self, Read as _};
use std::path::{Component, Path};

use super::{MAX_FILE_BYTES, MAX_FILES, SKILL_FILE};
use crate::error::{FileError, SkillError, SkillProblem};

/// How many folders may lie in each other.
const MAX_DEPTH: usize = 16;

/// A mistake of a file as a whole.
fn whole(file: &Path, problem: SkillProblem) -> SkillError {
    SkillError { file: file.to_owned(), line: 1, problem }
}

pub(super) fn unreadable(file: &Path, error: &io::Error) -> SkillError {
    whole(file, SkillProblem::Unreadable { message: error.to_string() })
}

/// The text of a file that lies within the root, which has no links in it.
pub(super) fn read(root: &Path, file: &Path, limit: u64) -> Result<String, SkillError> {
    let failed = |error: io::Error| unreadable(file, &error);
    let real = file.canonicalize().map_err(failed)?;
    if !real.starts_with(root) {
        return Err(whole(file, SkillProblem::Escapes { target: real }));
    }
    let kind = fs::metadata(&real).map_err(failed)?.file_type();
    if !kind.is_file() {
        return Err(whole(file, SkillProblem::NotAFile { what: word(kind) }));
    }
    let opened = File::open(&real).map_err(failed)?;
    let bytes = opened.metadata().map_err(failed)?.len();
    let mut text = Vec::new();
    if bytes <= limit {
        opened.take(limit + 1).read_to_end(&mut text).map_err(failed)?;
    }
    let bytes = bytes.max(text.len() as u64);
    if bytes > limit {
        return Err(whole(file, SkillProblem::TooLarge { bytes, limit }));
    }
    String::from_utf8(text).map_err(|error| {
        let (good, bad) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let byte = bad.first().copied().unwrap_or_default();
        SkillError { file: file.to_owned(), line, problem: SkillProblem::NotUtf8 { byte } }
    })
}

/// The files in a root without links, by their paths with `/`; `named` is what its owner calls it.
pub(super) fn list(root: &Path, named: &Path) -> Result<Vec<String>, SkillError> {
    let mut files = Vec::new();
    let mut open = vec![(String::new(), 1)];
    while let Some((prefix, depth)) = open.pop() {
        let folder = named.join(&prefix);
        let failed = |error: io::Error| unreadable(&folder, &error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(whole(&path, SkillProblem::NotAFile { what: "a name not in UTF-8" }));
            };
            if name.starts_with('.') || (prefix.is_empty() && name == SKILL_FILE) {
                continue;
            }
            let kind = entry.file_type().map_err(|error| unreadable(&path, &error))?;
            if kind.is_dir() {
                if depth == MAX_DEPTH {
                    let what = format!("folders in each other, at most {MAX_DEPTH} are allowed");
                    return Err(whole(&path, SkillProblem::TooMany { what }));
                }
                open.push((format!("{prefix}{name}/"), depth + 1));
                continue;
            }
            check(root, &path)?;
            files.push(format!("{prefix}{name}"));
            if files.len() > MAX_FILES {
                let what = format!("files, at most {MAX_FILES} are allowed");
                return Err(whole(named, SkillProblem::TooMany { what }));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Refuses what is no file of the skill: a link to elsewhere or to a folder, a pipe, too many bytes.
fn check(root: &Path, path: &Path) -> Result<(), SkillError> {
    let failed = |error: io::Error| unreadable(path, &error);
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(root) {
        return Err(whole(path, SkillProblem::Escapes { target: real }));
    }
    let found = fs::metadata(&real).map_err(failed)?;
    if !found.is_file() {
        return Err(whole(path, SkillProblem::NotAFile { what: word(found.file_type()) }));
    }
    if found.len() > MAX_FILE_BYTES {
        let problem = SkillProblem::TooLarge { bytes: found.len(), limit: MAX_FILE_BYTES };
        return Err(whole(path, problem));
    }
    Ok(())
}

fn word(kind: FileType) -> &'static str {
    if kind.is_dir() { "a folder, or a link to one" } else { "a device, a pipe or a socket" }
}

/// The path as [`list`] writes it.
pub(super) fn within(file: &str) -> Result<String, FileError> {
    let escapes = || FileError::Escapes { file: file.to_owned() };
    // What another system takes for an absolute path, or for a way up, is none here either.
    if file.contains(['\\', '\0']) {
        return Err(escapes());
    }
    let mut parts = Vec::new();
    for component in Path::new(file).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(escapes)?),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(escapes());
            }
        }
    }
    Ok(parts.join("/"))
}
