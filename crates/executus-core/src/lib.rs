//! The core of executus: what a controlled run is, and the executor that performs one.
//!
//! A host hands the [`Executor`] something that decides (a [`Model`]), [`Tool`]s and any of six
//! ports. It gets back a run that always ends, is recorded on every exit, settles its budget
//! exactly once, and can be watched, steered, stopped and resumed. Every port may be absent; with
//! none the run lives in memory and its result is the returned value.
//!
//! What a run *is* lives in [`machine`]: a pure state machine, the fold of the facts so far. The
//! executor only performs what the machine plans, and feeds back what happened. This crate knows
//! no database, no HTTP and no other crate of the workspace.

pub mod digest;
pub mod id;
pub mod isolate;
pub mod status;
pub mod template;
pub mod text;
pub mod time;

pub mod record;
pub mod spec;
pub mod transcript;

pub mod machine;

pub mod caps;
pub mod model;
pub mod port;
pub mod secret;
pub mod tool;

pub mod event;
pub mod executor;

pub mod memory;

pub use event::{Event, EventStream};
pub use executor::{Executor, RunHandle, RunRequest, Settled};
pub use id::{HoldId, Key, RunId};
pub use machine::{Next, Run};
pub use model::{Model, ModelError, Turn};
pub use port::Ports;
pub use record::{Answer, Fact, Phase, Record};
pub use spec::{Brief, Limits, RunSpec};
pub use status::{ErrorKind, Outcome, RunError, RunStatus, Stats, Tally};
pub use template::Template;
pub use time::{Clock, Timestamp};
pub use tool::{
    ApprovalLimit, Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Toolbox,
};
pub use transcript::{Call, Entry, Reply, Transcript, Usage};
