//! What can be done: a named operation, how safe it is, how sensitive what it answers.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use executus_core::Effect;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The longest id, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// The name of a capability: segments of lower-case letters, digits, `_` and `-`, separated by dots,
/// such as `tickets.close`. Two at least, since the first one names the area.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CapabilityId(Arc<str>);

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no id of a capability; expected at most {MAX_ID_BYTES} bytes such as `tickets.close`"
)]
pub struct IdError {
    text: String,
}

impl CapabilityId {
    /// The id with this text.
    ///
    /// # Errors
    /// [`IdError`] when it is none.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let segment = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|byte| {
                    byte.is_ascii_lowercase()
                        || byte.is_ascii_digit()
                        || matches!(byte, b'_' | b'-')
                })
        };
        let fits = text.len() <= MAX_ID_BYTES && text.contains('.') && text.split('.').all(segment);
        if fits {
            Ok(Self(text.into()))
        } else {
            let text = executus_core::text::bounded_to(text.escape_debug().to_string(), 80);
            Err(IdError { text })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CapabilityId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(&text)
    }
}

impl From<CapabilityId> for String {
    fn from(id: CapabilityId) -> Self {
        id.as_str().to_owned()
    }
}

impl Borrow<str> for CapabilityId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CapabilityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What performing it does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
    /// What it does cannot be undone.
    Destructive,
}

/// How sensitive what it answers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Not.
    #[default]
    None,
    /// It tells of persons.
    Pii,
    /// It tells of payment cards.
    Pci,
    /// It tells secrets.
    Secrets,
    /// It reads or writes what an agent remembers.
    Memory,
}

/// A named operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// Its id.
    pub id: CapabilityId,
    /// Its name, for people.
    pub name: String,
    /// What it does, for people and models.
    pub description: String,
    /// What performing it does to the world.
    pub safety: Safety,
    /// How sensitive what it answers is.
    #[serde(default)]
    pub sensitivity: Sensitivity,
    /// The fields of its rows that may be seen by whoever is not let to see all; empty for all.
    #[serde(default)]
    pub allowed_fields: Vec<String>,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The JSON schema of its arguments, an object.
    #[serde(default = "no_parameters")]
    pub parameters: Arc<Value>,
    /// Whether performing it twice has no further effect. Reading never has.
    #[serde(default)]
    pub idempotent: bool,
}

fn no_parameters() -> Arc<Value> {
    Arc::new(serde_json::json!({"type": "object", "properties": {}}))
}

impl Capability {
    /// A capability that is not sensitive, without arguments.
    #[must_use]
    pub fn new(id: CapabilityId, safety: Safety, description: impl Into<String>) -> Self {
        Self {
            name: id.to_string(),
            id,
            description: description.into(),
            safety,
            sensitivity: Sensitivity::None,
            allowed_fields: Vec::new(),
            tags: Vec::new(),
            parameters: no_parameters(),
            idempotent: false,
        }
    }

    /// What performing it twice would do, in the words of core.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match (self.safety, self.idempotent) {
            (Safety::Read, _) => Effect::ReadOnly,
            (Safety::Write | Safety::Destructive, true) => Effect::Idempotent,
            (Safety::Write | Safety::Destructive, false) => Effect::Once,
        }
    }
}
