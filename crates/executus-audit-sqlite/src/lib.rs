//! The audit on SQLite: every run in one file.
//!
//! Of each record two forms are kept, written in one transaction. The *journal* holds the fact in
//! full, for resume and replay, and is purged after a while. The *records* hold what people read:
//! scrubbed, with the digest of the fact and of the state after it; nothing changes or deletes
//! them. The record of a tool call holds the tool, its arguments, its result or error and how long
//! it took, so that a trail can be read without putting facts together.
//!
//! Everything that is appended is in one hash [chain](verify()); an [`Anchor`] remembers outside of
//! the file how long it is. What a caller's runs say can be erased, and old runs can be dropped: the
//! chain holds.
//!
//! Beside the runs there are *notes* ([`Note`]): what else a host records, under ids of its own.
//!
//! [`SqliteAudit`] is the port. An [`AuditReader`] answers a host's queries and exports, also without
//! one and while another process records.

mod body;
mod chain;
mod config;
mod erase;
mod error;
mod job;
mod note;
mod outcome;
mod retain;
mod row;
mod schema;
mod trail;

mod anchor;
mod audit;
mod recorder;

mod cursor;
mod export;
mod query;
mod reader;
mod search;
mod verify;

pub use anchor::{Anchor, AnchorError, AnchorKey, FileAnchor, Mark, Tail};
pub use audit::SqliteAudit;
pub use config::Config;
pub use cursor::{Cursor, Page};
pub use erase::Erased;
pub use error::{AnchoredError, ExportError, QueryError};
pub use executus_sqlite::{OpenError, StoreError, StoreState};
pub use export::{ExportFormat, Exported};
pub use note::{Note, NoteFilter};
pub use query::{AuditRecord, RunFilter, RunSummary};
pub use reader::AuditReader;
pub use retain::Dropped;
pub use search::{Found, Hit, HitPlace, Search};
pub use verify::{Damage, Flaw, Place, Verification, verify};

/// Its sample is compiled with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
