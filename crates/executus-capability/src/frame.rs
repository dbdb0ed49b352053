//! What an invocation answers: never the raw result, but what the firewall let through.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::firewall::ScreenRequest;
use crate::handle::HandleRef;

/// How much of a result is shown. Later ones show more.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only the handle.
    HandleOnly,
    /// Facts in words.
    #[default]
    Summary,
    /// The first rows.
    Table,
    /// All of it, scrubbed. Only for those who may.
    Raw,
}

impl Mode {
    /// The name used in requests and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HandleOnly => "handle_only",
            Self::Summary => "summary",
            Self::Table => "table",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One answer; of a stream, one of several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// The invocation: the id of its record.
    pub action_id: String,
    /// The mode that was used, which may show less than the one that was asked for.
    pub mode: Mode,
    /// What the summary says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// The rows of the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Map<String, Value>>,
    /// The whole, scrubbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
    /// Where the whole lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<HandleRef>,
    /// What the reader should know: that something was replaced, cut, or withheld.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Whether it is the last one.
    pub is_final: bool,
}

impl Frame {
    /// A frame for this request that says nothing yet, and is not the last one.
    #[must_use]
    pub fn empty(request: &ScreenRequest<'_>) -> Self {
        Self {
            action_id: request.action_id.to_owned(),
            mode: request.mode,
            facts: Vec::new(),
            rows: Vec::new(),
            raw: None,
            handle: request.handle.cloned(),
            warnings: Vec::new(),
            is_final: false,
        }
    }
}
