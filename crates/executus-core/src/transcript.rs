//! The conversation of a run: what the model said, what came back, what steered it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::json_size;
use crate::tool::{ToolError, ToolOutput};

/// What one model call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens thought; not part of `output_tokens`.
    pub thinking_tokens: u64,
    /// Input tokens that came from a cache.
    pub cached_tokens: u64,
    /// Money, in millionths of the host's unit.
    pub cost_micros: u64,
}

impl Usage {
    /// Adds what another call used. Sums saturate.
    pub const fn add(&mut self, other: &Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.thinking_tokens = self.thinking_tokens.saturating_add(other.thinking_tokens);
        self.cached_tokens = self.cached_tokens.saturating_add(other.cached_tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }
}

/// One tool call that a model asks for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The model's own id of the call; may be empty.
    pub id: Arc<str>,
    /// The tool.
    pub name: Arc<str>,
    /// The arguments, an object.
    pub args: Value,
    /// Where secrets go in `args`, bound when the call is performed. Only a model that a host
    /// wrote itself (a playbook) fills this; what a language model says never does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretSlot>,
    /// What the provider wants to read again with this call, as it gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Arc<str>>,
    /// The arguments could not be read: the call is answered with this error, and not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Arc<str>>,
}

impl Call {
    /// The bytes of its arguments, roughly, and of its signature.
    pub(crate) fn size(&self) -> usize {
        json_size(&self.args) + self.signature.as_ref().map_or(0, |signature| signature.len())
    }
}

/// A text in a call's arguments that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSlot {
    /// The JSON pointer of the text within the arguments.
    pub pointer: String,
    /// The text, in parts.
    pub parts: Vec<SecretPart>,
}

/// A part of a text that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretPart {
    /// Text as it stands.
    Text(String),
    /// The value of the secret with this name.
    Secret(String),
}

/// What a model decided: its text, and the calls it asks for. Without calls it is the final answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reply {
    /// The text, may be empty.
    pub text: String,
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// What the call used.
    pub usage: Usage,
    /// The model that served it, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Arc<str>>,
    /// Why the text is not whole: the model stopped at a limit, or the text was cut. Without calls
    /// such a reply is no final answer; it ends the run as an error that keeps the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Arc<str>>,
}

impl Reply {
    /// A final answer.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A request for one call.
    pub fn call(name: impl Into<Arc<str>>, args: Value) -> Self {
        Self::default().and_call(name, args)
    }

    /// One call more.
    #[must_use]
    pub fn and_call(mut self, name: impl Into<Arc<str>>, args: Value) -> Self {
        self.calls.push(Call { name: name.into(), args, ..Call::default() });
        self
    }

    /// With this usage.
    #[must_use]
    pub const fn using(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }
}

/// Something a tool produced beside its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Its name, for people.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// What it is, or where.
    pub body: ArtifactBody,
}

/// Small artifacts travel in place, others by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactBody {
    /// The text itself.
    Inline(String),
    /// Where it lies.
    Uri(String),
}

/// How a tool call ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// The tool's result.
    Output(ToolOutput),
    /// The tool failed, and this is known.
    Failed(ToolError),
    /// The call was under way when its process stopped: it may have had its effect or not.
    Unknown,
}

/// One executed call and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acted {
    /// The step, from 1.
    pub step: u32,
    /// The call within the step, from 0.
    pub call: u32,
    /// The model's id of the call.
    pub id: Arc<str>,
    /// The tool.
    pub name: Arc<str>,
    /// How it ended.
    pub outcome: CallOutcome,
    /// How long it took, in milliseconds; 0 when nothing was executed.
    pub duration_ms: u64,
}

/// A text put before the model between two steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steer {
    /// Who steers: `critic`, `caller`, …
    pub source: Arc<str>,
    /// What it says.
    pub text: String,
}

/// One entry of a transcript.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The model spoke.
    Reply(Arc<Reply>),
    /// A call came back; calls of one step stand in call order.
    Result(Arc<Acted>),
    /// Somebody steered.
    Steer(Arc<Steer>),
}

impl Entry {
    /// The bytes of what it says, roughly: texts, arguments, data and errors.
    pub(crate) fn size(&self) -> u64 {
        let bytes = match self {
            Self::Reply(reply) => {
                let calls: usize = reply.calls.iter().map(Call::size).sum();
                reply.text.len() + calls
            }
            Self::Result(acted) => match &acted.outcome {
                CallOutcome::Output(output) => {
                    output.text.len() + output.data.as_ref().map_or(0, json_size)
                }
                CallOutcome::Failed(error) => error.to_string().len(),
                CallOutcome::Unknown => 0,
            },
            Self::Steer(steer) => steer.text.len(),
        };
        bytes as u64
    }
}

/// The history of a run. Clones share it; appending is in place while nobody else holds a clone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript(Option<Arc<Vec<Entry>>>);

impl Transcript {
    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.0.as_ref().map_or(&[], |entries| entries)
    }

    /// The results of the newest step, in call order.
    pub fn last_results(&self) -> impl DoubleEndedIterator<Item = &Arc<Acted>> {
        let entries = self.entries();
        let after_reply = entries
            .iter()
            .rposition(|entry| matches!(entry, Entry::Reply(_)))
            .map_or(entries.len(), |at| at + 1);
        entries[after_reply..].iter().filter_map(|entry| match entry {
            Entry::Result(acted) => Some(acted),
            Entry::Reply(_) | Entry::Steer(_) => None,
        })
    }

    /// The entries from this place on.
    #[must_use]
    pub fn since(&self, from: usize) -> Self {
        let entries = self.entries().get(from..).unwrap_or_default();
        Self((!entries.is_empty()).then(|| Arc::new(entries.to_vec())))
    }

    /// One entry more.
    pub fn push(&mut self, entry: Entry) {
        // Whoever kept a clone keeps its own list; the entries themselves stay shared.
        match &mut self.0 {
            Some(entries) => Arc::make_mut(entries).push(entry),
            None => self.0 = Some(Arc::new(vec![entry])),
        }
    }
}
