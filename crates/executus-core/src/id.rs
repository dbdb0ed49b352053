//! Identifiers: runs, budget holds, and the key that every effect carries.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::digest::Digest;
use crate::time::Timestamp;

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

    /// A fresh id: a UUID of version 7, so that ids sort by the millisecond they were made in.
    ///
    /// It is unique, not secret: it holds a counter, and bits that follow from the process's own
    /// random number.
    #[must_use]
    pub fn random() -> Self {
        Self::fresh(Timestamp::now())
    }

    pub(crate) fn fresh(at: Timestamp) -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().1);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Twelve bits of counter, so that ids of one millisecond sort too; then the output function
        // of SplitMix64 (Steele, Lea, Flood 2014), which maps different counts to different bits.
        let mut bits = PROCESS.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let mut unique = [0; 10];
        unique[..2].copy_from_slice(&(count as u16).to_be_bytes());
        unique[2..].copy_from_slice(&bits.to_be_bytes());
        let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &unique).into_uuid();
        let mut buffer = Uuid::encode_buffer();
        let text: &str = uuid.hyphenated().encode_lower(&mut buffer);
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
            Some(args) => format!("{run}/{}/{call}/{args}", self.step),
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
    fn fresh_ids_are_uuids_that_sort_by_time_and_differ() {
        let at = |millis: i64| RunId::fresh(Timestamp::from_micros(millis * 1000));
        let ids: Vec<_> = (0..10_000).map(at).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let same: std::collections::HashSet<_> = (0..10_000).map(|_| at(7_i64)).collect();
        assert_eq!(same.len(), 10_000);
        let version = ids[0].as_str().parse::<Uuid>().map(|id| id.get_version_num());
        assert_eq!(version, Ok(7));
    }
}
