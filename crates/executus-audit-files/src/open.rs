//! A run whose files the writer thread holds open.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use executus_core::RunId;
use executus_core::port::AuditError;

use crate::card::{self, RunCard};
use crate::entry::Entry;
use crate::error::{ReadError, not_read, not_written};
use crate::folder::Folder;
use crate::job::Ack;
use crate::name;
use crate::row::{Action, Row};
use crate::trail;

/// How many names are tried for one action.
const NAMES: u32 = 1000;

pub(crate) struct Open {
    run: RunId,
    folder: Folder,
    trail: File,
    /// The bytes of the trail that are durable.
    durable: u64,
    /// Lines that are not written yet, and whose they are.
    lines: Vec<u8>,
    rows: Vec<Arc<Ack>>,
    /// A name was made that is not durable yet.
    named: bool,
    /// The newest record, counting the lines.
    pub(crate) newest: u64,
    pub(crate) card: RunCard,
    pub(crate) recorders: usize,
    failed: Option<AuditError>,
}

impl Open {
    /// Opens the directory of a run, making it where it is not.
    pub(crate) fn new(root: &Folder, run: &RunId) -> Result<Self, AuditError> {
        let name = name::run_folder(run.as_str());
        let path = root.path().join(&name);
        let wrote = |error| not_written(&path, error);
        let folder = root.child(&name, true).map_err(wrote)?;
        // Asked to make it, it answers with it.
        let folder = folder.ok_or_else(|| wrote(io::ErrorKind::NotFound.into()))?;
        let card = match read_card(&folder).map_err(not_read)? {
            None => {
                let card = RunCard::new(run.clone());
                folder.replace(card::FILE, &card.bytes()).map_err(wrote)?;
                card
            }
            Some(card) if card.run_id == *run => card,
            Some(card) => {
                let message =
                    format!("{} is the directory of run `{}`", path.display(), card.run_id);
                return Err(AuditError::Broken { message, source: None });
            }
        };
        folder.tidy().map_err(wrote)?;
        let (trail, durable, newest) = open_trail(&folder)?;
        Ok(Self {
            run: run.clone(),
            folder,
            trail,
            durable,
            lines: Vec::new(),
            rows: Vec::new(),
            named: false,
            newest,
            card,
            recorders: 0,
            failed: None,
        })
    }

    /// Why nothing more is written, after a failure.
    pub(crate) fn failed(&self) -> Option<AuditError> {
        self.failed.clone()
    }

    /// Writes a record; it is durable after [`sync`](Self::sync).
    pub(crate) fn row(&mut self, row: &Row, ack: Arc<Ack>) {
        if let Some(failed) = self.failed() {
            return ack.fail(failed);
        }
        // Kept is kept as it is.
        if row.seq <= self.newest {
            self.rows.push(ack);
            return;
        }
        let file = match &row.action {
            None => None,
            Some(action) => match self.put(action, Some(row.seq)) {
                Ok(file) => Some(file),
                Err(error) => {
                    self.rows.push(ack);
                    return self.fail(error);
                }
            },
        };
        row.write(&mut self.lines, file.as_deref());
        self.rows.push(ack);
        self.newest = row.seq;
    }

    /// Writes the file of an action under a name that is free. One that is there already, of the
    /// same record or with the same content, is kept.
    pub(crate) fn put(&mut self, action: &Action, seq: Option<u64>) -> Result<String, AuditError> {
        self.find_place(action, seq).map_err(|error| not_written(self.folder.path(), error))
    }

    fn find_place(&mut self, action: &Action, seq: Option<u64>) -> io::Result<String> {
        for turn in 0..NAMES {
            let name = match (turn, seq) {
                (0, _) => format!("{}.json", action.stem),
                // Another life of the run did the same at the same place.
                (1, Some(seq)) => format!("{}.s{seq}.json", action.stem),
                (turn, _) => format!("{}.x{turn}.json", action.stem),
            };
            self.named = true;
            if self.folder.create(&name, &action.bytes)? {
                return Ok(name);
            }
            let there = self.folder.read(&name).ok().flatten().unwrap_or_default();
            if there == action.bytes || is_of(&there, &self.run, seq) {
                return Ok(name);
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no name is free for an action"))
    }

    /// Makes all durable: files, their names, then the lines that tell of them.
    pub(crate) fn sync(&mut self) {
        if self.failed.is_some() {
            return;
        }
        match self.write_out() {
            Ok(()) => self.rows.drain(..).for_each(|ack| ack.done()),
            Err(error) => self.fail(not_written(self.folder.path(), error)),
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.named {
            self.folder.sync()?;
            self.named = false;
        }
        if !self.lines.is_empty() {
            self.trail.write_all(&self.lines)?;
            self.trail.sync_data()?;
            self.durable += self.lines.len() as u64;
            self.lines.clear();
        }
        Ok(())
    }

    fn fail(&mut self, error: AuditError) {
        tracing::error!(run = %self.run, %error, "the action log of a run is broken");
        // Lines that may not be there after a crash must not be read as if they were.
        if let Err(error) = self.trail.set_len(self.durable) {
            tracing::warn!(run = %self.run, %error, "the trail was not cut back");
        }
        self.lines.clear();
        for ack in self.rows.drain(..) {
            ack.fail(error.clone());
        }
        self.failed = Some(error);
    }

    /// Makes the card durable.
    pub(crate) fn write_card(&self) -> Result<(), AuditError> {
        let wrote = self.folder.replace(card::FILE, &self.card.bytes());
        wrote.map_err(|error| not_written(self.folder.path(), error))
    }
}

/// Whether a file is the entry of this record.
fn is_of(bytes: &[u8], run: &RunId, seq: Option<u64>) -> bool {
    let Some(seq) = seq else { return false };
    serde_json::from_slice::<Entry>(bytes)
        .is_ok_and(|entry| entry.run_id.as_ref() == Some(run) && entry.seq == Some(seq))
}

pub(crate) fn read_card(folder: &Folder) -> Result<Option<RunCard>, ReadError> {
    let path = folder.path().join(card::FILE);
    let bytes = folder.read(card::FILE).map_err(|error| ReadError::io(&path, error))?;
    let parse = |bytes: Vec<u8>| {
        let why = |error| ReadError::damaged(&path, format!("it is no run's card: {error}"));
        serde_json::from_slice(&bytes).map_err(why)
    };
    bytes.map(parse).transpose()
}

/// The trail, its length and its newest record. What a crash cut is cut off.
fn open_trail(folder: &Folder) -> Result<(File, u64, u64), AuditError> {
    let path = folder.path().join(trail::FILE);
    let wrote = |error| not_written(&path, error);
    let bytes = folder.read(trail::FILE).map_err(wrote)?;
    let file = folder.append_to(trail::FILE).map_err(wrote)?;
    let Some(bytes) = bytes else {
        folder.sync().map_err(wrote)?;
        return Ok((file, 0, 0));
    };
    let (lines, whole) = trail::read(&path, &bytes).map_err(not_read)?;
    if whole < bytes.len() {
        file.set_len(whole as u64).map_err(wrote)?;
    }
    // What a process before this one wrote may not be durable.
    file.sync_all().map_err(wrote)?;
    Ok((file, whole as u64, lines.last().map_or(0, |line| line.seq)))
}
