//! The records of actions, in the database of runs.

use async_trait::async_trait;
use executus_audit_sqlite::{Note, NoteFilter, SqliteAudit};
use executus_capability::record::{ActionLog, ActionLogError, ActionQuery, ActionRecord};
use serde_json::Value;

use crate::fault::chain;

/// What the kinds of all notes of actions begin with.
const KIND: &str = "action.";

/// Keeps each action as a note.
pub(crate) struct Actions(SqliteAudit);

impl Actions {
    pub(crate) const fn new(audit: SqliteAudit) -> Self {
        Self(audit)
    }
}

/// The record that a note keeps; `None` for a note of something else.
///
/// # Errors
/// When it is one of an action, and cannot be read as one.
pub(crate) fn action(note: Note) -> Option<Result<ActionRecord, serde_json::Error>> {
    note.kind.starts_with(KIND).then(|| {
        let mut record: ActionRecord = serde_json::from_value(note.body)?;
        // What is scrubbed may have lost a part of it.
        record.action_id = note.id;
        record.run_id = note.run_id;
        Ok(record)
    })
}

fn unread(error: &dyn std::error::Error) -> ActionLogError {
    ActionLogError::Unread { message: chain(error) }
}

#[async_trait]
impl ActionLog for Actions {
    async fn record(&self, record: &ActionRecord) -> Result<(), ActionLogError> {
        let unwritten = |error: &dyn std::error::Error| {
            Err(ActionLogError::Unwritten { message: chain(error) })
        };
        let body = match serde_json::to_value(record) {
            Ok(body) => body,
            Err(error) => return unwritten(&error),
        };
        let kind = body.get("kind").and_then(Value::as_str).unwrap_or_default();
        let note = Note {
            id: record.action_id.clone(),
            run_id: record.run_id.clone(),
            at: record.at,
            kind: format!("{KIND}{kind}"),
            body,
        };
        match self.0.note(&note).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ActionLogError::Duplicate { action_id: note.id }),
            Err(error) => unwritten(&error),
        }
    }

    async fn get(&self, action_id: &str) -> Result<Option<ActionRecord>, ActionLogError> {
        let note = self.0.noted(action_id).await.map_err(|error| unread(&error))?;
        note.and_then(action).transpose().map_err(|error| unread(&error))
    }

    async fn query(&self, query: &ActionQuery) -> Result<Vec<ActionRecord>, ActionLogError> {
        let (offset, limit) = query.page()?;
        let ActionQuery { run_id: run, since, until, .. } = query.clone();
        let notes = self.0.notes(NoteFilter { run, since, until, ..NoteFilter::default() }).await;
        let notes = notes.map_err(|error| unread(&error))?.into_iter();
        let records = notes.filter_map(action).collect::<Result<Vec<_>, _>>();
        let records = records.map_err(|error| unread(&error))?.into_iter();
        let page = records.filter(|record| query.asks_for(record)).skip(offset);
        Ok(page.take(limit.unwrap_or(usize::MAX)).collect())
    }
}

#[cfg(test)]
mod tests;
