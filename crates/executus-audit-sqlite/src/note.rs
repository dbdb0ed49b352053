//! Notes: what else a host records durably, under ids of its own.

use executus_core::{RunId, Timestamp};
use executus_sqlite::rusqlite::{self, OptionalExtension, params};
use serde_json::Value;

use crate::body;
use crate::chain::entry::Entry;
use crate::chain::row as chained;
use crate::cursor::Cursor;
use crate::row::Group;

/// Something that a host records beside the trails of its runs: an action of a capability, say.
///
/// Notes are append-only: nothing changes or deletes them. They need no run, and may be written
/// after the one that they belong to was closed.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Its id, unique among all notes of the file.
    pub id: String,
    /// The run that it belongs to, where it does. The run need not be recorded.
    pub run_id: Option<RunId>,
    /// When it happened.
    pub at: Timestamp,
    /// What kind it is, in the host's words: `action.invoke`, …
    pub kind: String,
    /// What it says. It is scrubbed before it is kept.
    pub body: Value,
}

/// Which notes to read. The default reads all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoteFilter {
    /// Notes of this run alone.
    pub run: Option<RunId>,
    /// Notes of this kind alone.
    pub kind: Option<String>,
    /// Notes of this time or later.
    pub since: Option<Timestamp>,
    /// Notes from before this time. It must not lie before `since`.
    pub until: Option<Timestamp>,
    /// At most so many; `None` for all.
    pub limit: Option<i64>,
    /// Those after this place: the `next` of the page before.
    pub after: Option<Cursor>,
}

/// A note to write, rendered on the thread of whoever gave it.
pub(crate) struct NewNote {
    id: String,
    run_id: Option<RunId>,
    at: i64,
    kind: String,
    body: String,
    /// Whether there was none of this id.
    is_new: bool,
}

impl NewNote {
    pub(crate) fn new(note: &Note) -> serde_json::Result<Self> {
        Ok(Self {
            id: note.id.clone(),
            run_id: note.run_id.clone(),
            at: note.at.as_micros(),
            kind: note.kind.clone(),
            body: body::scrubbed_text(&note.body)?,
            is_new: false,
        })
    }

    /// The bytes of its texts.
    pub(crate) const fn len(&self) -> usize {
        self.id.len() + self.kind.len() + self.body.len()
    }

    pub(crate) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(crate) fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let run_id = self.run_id.as_ref().map(|run| run.as_str());
        let salt = group
            .connection
            .prepare_cached(
                "INSERT INTO notes (id, run_id, at, kind, body, salt)
                 VALUES (?1, ?2, ?3, ?4, ?5, randomblob(16))
                 ON CONFLICT DO NOTHING RETURNING salt",
            )?
            .query_row(params![self.id, run_id, self.at, self.kind, self.body], |row| row.get(0))
            .optional()?;
        self.is_new = salt.is_some();
        if let Some(salt) = salt {
            let row = chained::Note { id: &self.id, run_id, at: self.at, kind: &self.kind };
            let digest = row.digest(&chained::note_says(&salt, &self.body));
            group.link.push(Entry::Note { id: &self.id }, &digest);
        }
        Ok(())
    }
}
