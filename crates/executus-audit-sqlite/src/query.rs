//! What a host asks for and gets.

use executus_core::digest::Digest;
use executus_core::{Key, RunError, RunId, RunSpec, RunStatus, Stats, Timestamp};
use serde_json::Value;

use crate::cursor::Cursor;

/// Which runs to list. The default lists all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// This run alone.
    pub run: Option<RunId>,
    /// Runs with this status alone.
    pub status: Option<RunStatus>,
    /// Runs without a status alone: under way, or left by a process that died.
    pub open: bool,
    /// Runs of this caller alone.
    pub caller: Option<String>,
    /// Runs that started at this time or later.
    pub since: Option<Timestamp>,
    /// Runs that started before this time. It must not lie before `since`.
    pub until: Option<Timestamp>,
    /// At most so many; `None` for all.
    pub limit: Option<i64>,
    /// Without the first so many of them. For a long list use `after`, which costs the same for
    /// each page and does not shift when runs are dropped.
    pub offset: i64,
    /// Those after this place: the `next` of the page before.
    pub after: Option<Cursor>,
}

/// A run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// The run.
    pub run_id: RunId,
    /// Its name for people.
    pub name: String,
    /// Who asked.
    pub caller_id: String,
    /// The run that delegated it.
    pub parent_run_id: Option<RunId>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended, or its newest life was suspended: the time of the newest record before.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it is under way, and after its process died.
    pub status: Option<RunStatus>,
    /// Whether it is over for good.
    pub closed: bool,
    /// The final text, scrubbed.
    pub output: Option<String>,
    /// Why the status is not `ok`, scrubbed.
    pub error: Option<RunError>,
    /// The counts; `None` while the run is under way.
    pub stats: Option<Stats>,
    /// What tools produced beside text, scrubbed.
    pub artifacts: Vec<executus_core::transcript::Artifact>,
    /// How many lives it has had.
    pub attempts: u32,
    /// What was asked for, scrubbed.
    pub spec: RunSpec,
    /// Whether the journal is there: it is purged after a while.
    pub journaled: bool,
}

/// One entry of a run's trail, as it is kept for people.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Its place in the trail, from 1.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Where in the run.
    pub key: Key,
    /// What kind of fact it is; see [`executus_core::Fact::kind`].
    pub kind: String,
    /// What happened, scrubbed. An object: `opened` holds the spec, `decided` the `text`, `calls`
    /// and `usage` of the model's reply, `acted` the `tool`, its `args`, its `result` or `error`
    /// and `duration_ms`; the others hold the fields of their fact.
    pub body: Value,
    /// The digest of the fact as it is in the journal.
    pub fact: Digest,
    /// The digest of the run's state after it.
    pub state: Digest,
}
