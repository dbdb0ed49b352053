//! Identifiers: runs, budget holds, and the key that every effect carries.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;

/// The longest run id, in bytes.
pub const MAX_RUN_ID: usize = 512;

/// Names one run over all its lives; the idempotency key of the run as a whole.
///
/// Any non-empty text of at most [`MAX_RUN_ID`] bytes without control characters. It is not safe
/// as a file name: what writes files makes its own safe name from it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(Arc<str>);

impl RunId {
    /// A run id from a host's own text.
    ///
    /// # Errors
    /// [`InvalidRunId`] says which rule the text breaks.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidRunId> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidRunId::Empty);
        }
        if text.len() > MAX_RUN_ID {
            return Err(InvalidRunId::TooLong { bytes: text.len() });
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(InvalidRunId::Control { at }),
            None => Ok(Self(text)),
        }
    }

    /// A fresh id: a UUID of version 7, so that ids sort by the time they were made.
    #[must_use]
    pub fn random() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text: &str = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, InvalidRunId> {
        Self::new(text)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({:?})", &self.0)
    }
}

/// Why a text is no run id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidRunId {
    /// The text is empty.
    #[error("a run id cannot be empty; leave it out to get a fresh one")]
    Empty,
    /// The text is longer than [`MAX_RUN_ID`].
    #[error("a run id has at most {MAX_RUN_ID} bytes, this one has {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The text holds a control character.
    #[error("a run id has no control characters, this one has one at byte {at}")]
    Control {
        /// Where, in bytes from the start.
        at: usize,
    },
}

/// Names one budget hold: a run and the life that asked for it.
///
/// The id exists before anything is asked of a budget, and a crash leaves it in the facts: the next
/// life settles the hold of the dead one by this id, then asks for one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HoldId {
    /// The run that holds.
    pub run: RunId,
    /// The life that asks, from 1.
    pub attempt: u32,
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.run, self.attempt)
    }
}

/// Where in its run an effect stands: the idempotency key, together with the run id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The step, from 1; 0 before the first.
    pub step: u32,
    /// The call within the step, from 0; `None` for what is not a tool call.
    pub call: Option<u32>,
    /// The digest of the call's arguments.
    pub args: Option<Digest>,
}

impl Key {
    /// The key of something that is not a tool call.
    #[must_use]
    pub const fn step(step: u32) -> Self {
        Self { step, call: None, args: None }
    }

    /// One text for this effect of this run, fit for an `Idempotency-Key` header.
    #[must_use]
    pub fn in_run(&self, run: &RunId) -> String {
        let call = self.call.map_or_else(|| "-".into(), |call| call.to_string());
        match self.args {
            Some(args) => format!("{run}/{}/{call}/{args:.16}", self.step),
            None => format!("{run}/{}/{call}", self.step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        assert_eq!(RunId::new(""), Err(InvalidRunId::Empty));
        assert_eq!(RunId::new("a\0b"), Err(InvalidRunId::Control { at: 1 }));
        assert_eq!(RunId::new("x".repeat(513)), Err(InvalidRunId::TooLong { bytes: 513 }));
        assert_eq!(RunId::new("../../etc").unwrap().as_str(), "../../etc");
    }

    #[test]
    fn fresh_ids_sort_by_time() {
        let ids: Vec<_> = (0..100).map(|_| RunId::random()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
