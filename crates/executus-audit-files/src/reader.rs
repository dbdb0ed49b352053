//! Reads a log, also while it is written.

use std::path::{Path, PathBuf};

use executus_core::{RunId, Timestamp};
use serde_json::Value;

use crate::card::RunCard;
use crate::entry::Entry;
use crate::error::ReadError;
use crate::folder::Folder;
use crate::name;
use crate::place::read_card;
use crate::trail;

/// Reads the log in a directory. Every call blocks its thread for a moment.
#[derive(Debug, Clone)]
pub struct FilesReader {
    root: PathBuf,
}

/// A record of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// The step, from 1; 0 before the first.
    pub step: u32,
    /// The call within the step.
    pub call: Option<u32>,
    /// The kind of fact.
    pub kind: String,
    /// What happened, scrubbed: the fields of the fact, or of the action's [`Entry`].
    pub body: Value,
    /// The file of the action.
    pub file: Option<String>,
}

impl FilesReader {
    /// A reader of the log in this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory of a run, whether it is there or not.
    #[must_use]
    pub fn folder(&self, run: &RunId) -> PathBuf {
        self.root.join(name::run_folder(run.as_str()))
    }

    /// How a run stands.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn run(&self, run: &RunId) -> Result<RunCard, ReadError> {
        self.open(run).map(|(_, card)| card)
    }

    /// The records of a run, in order, its actions with their entries.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn records(&self, run: &RunId) -> Result<Vec<LogRecord>, ReadError> {
        let (folder, _) = self.open(run)?;
        let path = folder.path().join(trail::FILE);
        let bytes = read(&folder, trail::FILE, &path)?.unwrap_or_default();
        let (lines, _) = trail::read(&path, &bytes)?;
        lines.into_iter().map(|line| record(&folder, line)).collect()
    }

    /// One action of a run, by the name of its file.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn entry(&self, run: &RunId, file: &str) -> Result<Entry, ReadError> {
        let (folder, _) = self.open(run)?;
        let path = folder.path().join(file);
        if file.contains(['/', '\0']) {
            return Err(ReadError::damaged(&path, "it is no name of a file"));
        }
        parse(&path, read(&folder, file, &path)?)
    }

    fn open(&self, run: &RunId) -> Result<(Folder, RunCard), ReadError> {
        let missing = || ReadError::NotFound { run: run.clone(), root: self.root.clone() };
        if !self.root.is_dir() {
            return Err(missing());
        }
        let root = Folder::root(&self.root).map_err(|error| ReadError::io(&self.root, error))?;
        let folder = root.child(&name::run_folder(run.as_str()), false);
        let folder = folder.map_err(|error| ReadError::io(&self.folder(run), error))?;
        let folder = folder.ok_or_else(missing)?;
        match read_card(&folder)? {
            Some(card) if card.run_id == *run => Ok((folder, card)),
            Some(_) | None => Err(missing()),
        }
    }
}

fn record(folder: &Folder, line: trail::Line) -> Result<LogRecord, ReadError> {
    let body = match &line.file {
        None => line.body,
        Some(file) => {
            let path = folder.path().join(file);
            parse(&path, read(folder, file, &path)?)?
        }
    };
    let trail::Line { seq, at, step, call, kind, file, .. } = line;
    Ok(LogRecord { seq, at, step, call, kind, body, file })
}

fn read(folder: &Folder, name: &str, path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
    folder.read(name).map_err(|error| ReadError::io(path, error))
}

fn parse<T: serde::de::DeserializeOwned>(
    path: &Path,
    bytes: Option<Vec<u8>>,
) -> Result<T, ReadError> {
    let bytes = bytes.ok_or_else(|| ReadError::damaged(path, "the file is not there"))?;
    let why = |error| ReadError::damaged(path, format!("it is not what was written: {error}"));
    serde_json::from_slice(&bytes).map_err(why)
}
