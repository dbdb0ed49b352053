//! Run files, and playbooks as a model.
//!
//! A [`RunFile`] is read strictly: the first mistake is a [`Diagnostic`] with its line, its column and
//! what was expected. [`RunFile::bind`] turns inputs into typed values and keeps the sensitive ones
//! apart. Tools ([`ToolDef`]) and the like stay data. A [`Playbook`] is a model that decides from the
//! transcript alone. This crate starts no process, sends no request and knows no language model.

mod arguments;
pub mod capability;
mod deliver;
mod diagnostic;
mod duration;
mod extract;
mod fields;
mod file;
pub mod guardrails;
mod hand_over;
mod input;
mod limits;
mod literal;
mod models;
mod money;
mod name;
mod output;
mod palette;
mod param;
mod playbook;
mod prices;
mod progress;
mod reader;
mod report;
mod scope;
mod source;
mod step;
mod template;
mod timeouts;
mod tool;
mod value;
mod verification;

pub use deliver::{DeliverDef, DeliverOn};
pub use diagnostic::Diagnostic;
pub use duration::parse_duration;
pub use file::{AgentDef, Body, PlaybookDef, RunFile};
pub use input::{Bound, InputError};
pub use limits::LimitsDef;
pub use name::is_name;
pub use output::{OutputDef, RecoveryDef};
pub use palette::PaletteDef;
pub use param::ParamDef;
pub use playbook::{Playbook, PlaybookError};
pub use prices::PriceDef;
pub use report::{PlaybookReport, StepAction, StepResult};
pub use scope::Bindings;
pub use source::MAX_FILE_BYTES;
pub use step::{Arg, OnFailure, Pattern, StepDef, StepKind, Verify};
pub use template::{Part, Template, Unbound};
pub use timeouts::TimeoutsDef;
pub use tool::{HttpMethod, McpEndpoint, NetworkDef, ToolDef, ToolKind};
pub use value::{ParamType, value_text};
