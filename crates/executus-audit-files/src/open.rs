//! A run whose files the writer thread holds open.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use executus_core::RunId;
use executus_core::port::AuditError;

use crate::card::{self, RunCard};
use crate::error::{not_read, not_written};
use crate::folder::{Folder, Staged};
use crate::job::Ack;
use crate::place::Place;
use crate::row::{Action, Row};
use crate::trail;

pub(crate) struct Open {
    place: Place,
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
    /// Opens the trail of a run for a life of it.
    pub(crate) fn new(root: &Folder, run: &RunId) -> Result<Self, AuditError> {
        let (place, card) = Place::open(root, run)?;
        place.folder().tidy().map_err(|error| place.not_written(error))?;
        let (trail, durable, newest) = open_trail(place.folder())?;
        Ok(Self {
            place,
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

    /// Writes the content of a record's action, to be named later. `None` when there is nothing to
    /// write, and when that failed: it is tried again, and told, when it is named.
    pub(crate) fn stage(&self, row: &Row) -> Option<Staged> {
        let wanted = self.failed.is_none() && row.seq > self.newest;
        let action = row.action.as_ref().filter(|_| wanted)?;
        self.place.folder().stage(&action.bytes).ok()
    }

    /// Writes a record; it is durable after [`sync`](Self::sync).
    pub(crate) fn row(&mut self, row: &Row, staged: Option<Staged>, ack: Arc<Ack>) {
        let kept = row.seq <= self.newest;
        if let Some(staged) = staged {
            if kept || self.failed.is_some() {
                self.place.folder().discard(staged);
            } else {
                return self.write(row, Some(staged), ack);
            }
        }
        match self.failed() {
            Some(failed) => ack.fail(failed),
            // Kept is kept as it is.
            None if kept => self.rows.push(ack),
            None => self.write(row, None, ack),
        }
    }

    fn write(&mut self, row: &Row, staged: Option<Staged>, ack: Arc<Ack>) {
        self.rows.push(ack);
        let put = row.action.as_ref().map(|action| self.put(action, Some(row.seq), staged));
        match put.transpose() {
            Ok(file) => {
                row.write(&mut self.lines, file.as_deref());
                self.newest = row.seq;
            }
            Err(error) => self.fail(error),
        }
    }

    /// Writes the file of an action; see [`Place::put`].
    pub(crate) fn put(
        &mut self,
        action: &Action,
        seq: Option<u64>,
        staged: Option<Staged>,
    ) -> Result<String, AuditError> {
        self.named = true;
        self.place.put(action, seq, staged).map_err(|error| self.place.not_written(error))
    }

    /// Makes all durable: files, their names, then the lines that tell of them.
    pub(crate) fn sync(&mut self) {
        if self.failed.is_some() {
            return;
        }
        match self.write_out() {
            Ok(()) => self.rows.drain(..).for_each(|ack| ack.done()),
            Err(error) => self.fail(self.place.not_written(error)),
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.named {
            self.place.folder().sync()?;
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
        let run = self.place.run();
        tracing::error!(%run, %error, "the action log of a run is broken");
        // Lines that may not be there after a crash must not be read as if they were.
        if let Err(error) = self.trail.set_len(self.durable) {
            tracing::warn!(%run, %error, "the trail was not cut back");
        }
        self.lines.clear();
        for ack in self.rows.drain(..) {
            ack.fail(error.clone());
        }
        self.failed = Some(error);
    }

    /// Makes the card durable.
    pub(crate) fn write_card(&self) -> Result<(), AuditError> {
        let wrote = self.place.folder().replace(card::FILE, &self.card.bytes());
        wrote.map_err(|error| self.place.not_written(error))
    }
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
