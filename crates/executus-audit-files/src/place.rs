//! The directory of a run, known to be its own.

use std::io;

use executus_core::RunId;
use executus_core::port::AuditError;

use crate::card::{self, RunCard};
use crate::entry::Entry;
use crate::error::{ReadError, not_read, not_written};
use crate::folder::{Folder, Staged};
use crate::name;
use crate::row::Action;

/// How many names are tried for one action.
const NAMES: u32 = 1000;

pub(crate) struct Place {
    run: RunId,
    folder: Folder,
}

impl Place {
    /// Opens the directory of a run, making it and its card where they are not.
    pub(crate) fn open(root: &Folder, run: &RunId) -> Result<(Self, RunCard), AuditError> {
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
        Ok((Self { run: run.clone(), folder }, card))
    }

    pub(crate) const fn run(&self) -> &RunId {
        &self.run
    }

    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The port's error for something that was not written here.
    pub(crate) fn not_written(&self, error: io::Error) -> AuditError {
        not_written(self.folder.path(), error)
    }

    /// Writes the file of an action under a name that is free. One that is there already, of the
    /// same record or with the same content, is kept. `staged`: its content, where it was written
    /// before. The name is durable after a sync of the directory.
    pub(crate) fn put(
        &self,
        action: &Action,
        seq: Option<u64>,
        staged: Option<Staged>,
    ) -> io::Result<String> {
        let staged = match staged {
            Some(staged) => staged,
            None => self.folder.stage(&action.bytes)?,
        };
        let name = self.find_name(action, seq, &staged);
        self.folder.discard(staged);
        name
    }

    fn find_name(&self, action: &Action, seq: Option<u64>, staged: &Staged) -> io::Result<String> {
        for turn in 0..NAMES {
            let name = match (turn, seq) {
                (0, _) => format!("{}.json", action.stem),
                // Another life of the run did the same at the same place.
                (1, Some(seq)) => format!("{}.s{seq}.json", action.stem),
                (turn, _) => format!("{}.x{turn}.json", action.stem),
            };
            if self.folder.name(staged, &name)? {
                return Ok(name);
            }
            let there = self.folder.read(&name).ok().flatten().unwrap_or_default();
            if there == action.bytes || self.is_of(&there, seq) {
                return Ok(name);
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no name is free for an action"))
    }

    /// Whether a file is the entry of this record.
    fn is_of(&self, bytes: &[u8], seq: Option<u64>) -> bool {
        let Some(seq) = seq else { return false };
        serde_json::from_slice::<Entry>(bytes)
            .is_ok_and(|entry| entry.run_id.as_ref() == Some(&self.run) && entry.seq == Some(seq))
    }
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
