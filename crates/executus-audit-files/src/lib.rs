//! The action log: the audit as files, for people and their tools.
//!
//! Each run has a directory of its own, named after its id, and each action in it a JSON file: what
//! was asked, in short and in full, and what came of it. Beside them lie `run.json`, how the run
//! stands, and `trail.jsonl`, every record in order, a line each. Names are safe on every file
//! system and never meet; what is written is scrubbed, whole or not there, and never replaced.
//!
//! [`FileAudit`] is the port. A [`Router`] takes entries that are no facts of a run, such as the
//! steps of a playbook that another engine performs. [`FilesReader`] reads all of it again.

mod config;
mod error;

mod cut;
pub mod name;
mod playbook;
mod summary;

mod card;
mod entry;
mod folder;
mod row;
mod trail;

mod job;
mod open;
mod place;
mod queue;
mod stage;
mod writer;

mod audit;
mod recorder;
mod router;

mod reader;

pub use audit::FileAudit;
pub use card::{Life, RunCard};
pub use config::Config;
pub use entry::Entry;
pub use error::{OpenError, ReadError};
pub use playbook::{ApiCall, PlaybookStep};
pub use reader::{FilesReader, LogRecord};
pub use router::Router;
pub use summary::summary;
