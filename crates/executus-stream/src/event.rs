//! One event as a reader gets it.

use std::sync::Arc;

use executus_core::text::scrub;
use executus_core::{RunId, RunStatus};
use serde_json::{Value, json};

/// An event of a run. Clones share its text.
///
/// | kind | id | data |
/// |---|---|---|
/// | a kind of fact: `opened`, `decided`, `acted`, … | its sequence number | what happened, without raw input and without the model's reasoning |
/// | `delta`, `delta_reset`, `step_started`, `tool_started`, `tool_progress` | none | what is shown while it happens; it may be missed |
/// | `complete` | none | `status`: the run is over, and so is the stream |
/// | `interrupted` | none | `status`: the run may be resumed; nothing more comes for now |
/// | `missed` | none | `missed`: how many events this reader was too slow for; `after`: the last id it has |
/// | `error` | none | `message`: the stream broke off |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// The sequence number of the record; `None` for what is no record.
    pub id: Option<u64>,
    /// What kind of event.
    pub kind: Arc<str>,
    /// One line of JSON, an object.
    pub data: Arc<str>,
}

impl StreamEvent {
    pub(crate) fn new(id: Option<u64>, kind: &str, data: &Value) -> Self {
        Self { id, kind: kind.into(), data: data.to_string().into() }
    }

    /// The event that ends the stream of a run that is over.
    #[must_use]
    pub fn complete(status: RunStatus) -> Self {
        Self::new(None, "complete", &json!({"status": status}))
    }

    /// The event that ends the stream of a run that may be resumed.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::new(None, "interrupted", &json!({"status": RunStatus::Interrupted}))
    }

    /// A reader was too slow for some events; `after` is the last id it has.
    pub(crate) fn missed(events: u64, after: u64) -> Self {
        Self::new(None, "missed", &json!({"missed": events, "after": after}))
    }

    /// The stream broke off.
    pub(crate) fn error(run: &RunId, why: &str) -> Self {
        let message = scrub(why);
        Self::new(None, "error", &json!({"run_id": run, "message": message}))
    }

    /// The whole event as one JSON object: `id`, `type` and `data`.
    #[must_use]
    pub fn json(&self) -> Value {
        let data = serde_json::from_str(&self.data).unwrap_or_else(|_| json!(&*self.data));
        json!({"id": self.id, "type": &*self.kind, "data": data})
    }

    /// The bytes it takes, roughly.
    pub(crate) fn size(&self) -> usize {
        self.kind.len() + self.data.len() + size_of::<Self>()
    }
}
