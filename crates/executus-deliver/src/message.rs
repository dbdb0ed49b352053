//! What is sent: made once of a parcel, the same bytes at every attempt.

use std::sync::Arc;

use executus_core::port::Parcel;
use executus_core::text::bounded_to;
use executus_core::{RunError, RunId, RunStatus, Stats};
use serde::{Deserialize, Serialize};

use crate::artifacts::{self, Artifacts};
use crate::error::SendError;

/// The version of the JSON form.
const FORMAT: u32 = 1;
/// The most bytes that a message has.
pub(crate) const MOST: usize = 8 << 20;

/// A result on its way. Clones share it.
///
/// Its JSON form has a `type` (`run.ok`, `run.error`, …), a `timestamp` (when the run ended) and the
/// `data`; it depends on nothing but the parcel, so that a parcel that is handed over twice is the
/// same message.
#[derive(Debug, Clone)]
pub struct Message {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    envelope: Envelope,
    body: Arc<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Data {
    format: u32,
    key: RunId,
    status: RunStatus,
    output: Option<String>,
    error: Option<RunError>,
    #[serde(default)]
    artifacts: Vec<Attachment>,
    run: Sender,
    stats: Stats,
}

/// Whose result it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sender {
    /// What ran: an agent's or a skill's id.
    pub subject_id: String,
    /// Its name for people.
    pub name: String,
    /// Who asked.
    pub caller_id: String,
    /// Where the request came from.
    pub channel_id: String,
    /// The run that delegated it; `None` for a root run.
    pub parent_run_id: Option<RunId>,
}

/// Something that a tool produced: its text, or where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attachment {
    /// Its name, for people.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The text itself, when it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// How many bytes it has, of what was put into the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Its SHA-256 in hexadecimal digits, of what was put into the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Message {
    /// The message of a parcel; puts what is large into the folder, when there is one.
    pub(crate) async fn of(
        parcel: &Parcel,
        artifacts: Option<&Artifacts>,
    ) -> Result<Self, SendError> {
        let (spec, outcome) = (&parcel.spec, &parcel.outcome);
        let ended =
            spec.started_at.after(std::time::Duration::from_millis(outcome.stats.runtime_ms));
        let (output, attachments) = artifacts::packed(outcome, artifacts).await?;
        let envelope = Envelope {
            kind: format!("run.{}", outcome.status),
            timestamp: ended.utc(),
            data: Data {
                format: FORMAT,
                key: spec.run_id.clone(),
                status: outcome.status,
                output,
                error: outcome.error.clone(),
                artifacts: attachments,
                run: Sender {
                    subject_id: spec.subject_id.to_string(),
                    name: spec.name.to_string(),
                    caller_id: spec.caller_id.to_string(),
                    channel_id: spec.channel_id.to_string(),
                    parent_run_id: spec.parent_run_id.clone(),
                },
                stats: outcome.stats,
            },
        };
        let body = serde_json::to_vec(&envelope)
            .map_err(|error| SendError::refused(format!("the result is no JSON: {error}")))?;
        if body.len() > MOST {
            return Err(SendError::refused(format!(
                "the message has {} bytes, at most {MOST} are sent; set a folder for artifacts",
                body.len()
            )));
        }
        Ok(Self { inner: Arc::new(Inner { envelope, body: body.into() }) })
    }

    /// The message with this JSON form.
    #[cfg(feature = "outbox")]
    pub(crate) fn read(body: Vec<u8>) -> Result<Self, SendError> {
        let envelope: Envelope = serde_json::from_slice(&body)
            .map_err(|error| SendError::refused(format!("what was kept is no message: {error}")))?;
        if envelope.data.format > FORMAT {
            let format = envelope.data.format;
            return Err(SendError::refused(format!(
                "the message has format {format}, this program knows up to {FORMAT}; use a newer one"
            )));
        }
        Ok(Self { inner: Arc::new(Inner { envelope, body: body.into() }) })
    }

    /// The idempotency key: the run's id.
    #[must_use]
    pub fn key(&self) -> &RunId {
        &self.inner.envelope.data.key
    }

    /// How the run ended.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.inner.envelope.data.status
    }

    /// Whose result it is.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.inner.envelope.data.run
    }

    /// The final text; after a failure, the last text there was.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.inner.envelope.data.output.as_deref()
    }

    /// Why the run did not end well.
    #[must_use]
    pub fn error(&self) -> Option<&RunError> {
        self.inner.envelope.data.error.as_ref()
    }

    /// What tools produced beside text.
    #[must_use]
    pub fn artifacts(&self) -> &[Attachment] {
        &self.inner.envelope.data.artifacts
    }

    /// The JSON form.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.inner.body
    }

    #[cfg(feature = "outbox")]
    pub(crate) fn shared_body(&self) -> Arc<[u8]> {
        Arc::clone(&self.inner.body)
    }

    /// One line that says what ended and how, without control characters.
    #[must_use]
    pub fn title(&self) -> String {
        let sender = self.sender();
        let name = if sender.name.is_empty() { &sender.subject_id } else { &sender.name };
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        format!("{}: {}", bounded_to(name, 200), self.status())
    }

    /// The result for people: its output, else its error, and where its artifacts lie.
    #[must_use]
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.error().map(ToString::to_string));
        parts.extend(self.output().filter(|text| !text.is_empty()).map(str::to_owned));
        for artifact in self.artifacts() {
            let place = match (&artifact.uri, &artifact.text) {
                (Some(uri), _) => uri.clone(),
                (None, Some(text)) => format!("{} bytes, in the message", text.len()),
                (None, None) => "nothing of it is kept".to_owned(),
            };
            parts.push(format!("{} ({}): {place}", artifact.name, artifact.media_type));
        }
        parts.join("\n\n")
    }
}
