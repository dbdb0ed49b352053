//! The capabilities that a run file declares, as data: a host puts them before its tools.

use std::sync::Arc;
use std::time::Duration;

use crate::tool::ToolDef;

mod policy;
mod read;

pub(crate) use read::read_capabilities;

/// What of a file is about capabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct CapabilitiesDef {
    /// Who asks.
    pub principal: PrincipalDef,
    /// What holds for all of them.
    pub policy: PolicyDef,
    /// The capabilities, at least one, in file order.
    pub all: Vec<CapabilityDef>,
}

/// Who asks, as far as the file says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrincipalDef {
    /// The name; `None` for whoever calls the run.
    pub id: Option<String>,
    /// Whether it is a service, not a user.
    pub is_service: bool,
    /// What it may do.
    pub roles: Vec<String>,
    /// What else is known of it, in file order.
    pub attributes: Vec<(String, String)>,
}

/// What holds for all capabilities of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyDef {
    /// A file of rules, from the folder of the run file; without one the default rules hold alone.
    pub rules: Option<String>,
    /// Why the capabilities are asked for; may be empty.
    pub justification: String,
    /// What all results may cost, in tokens.
    pub budget_tokens: Option<u64>,
    /// The longest one attempt of a driver may take.
    pub invoke_timeout: Option<Duration>,
    /// Whether a denial ends the run.
    pub denial_ends_run: bool,
    /// Whether the model looks for capabilities instead of being told them all. Of an agent only.
    pub search: bool,
}

/// A capability of a run file: an operation that is granted, bounded, filtered and recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct CapabilityDef {
    /// The id, unique in the file: `tickets.close`.
    pub id: Arc<str>,
    /// The name, for people; the id when the file has none.
    pub name: String,
    /// What performing it does to the world.
    pub safety: SafetyDef,
    /// How sensitive what it answers is.
    pub sensitivity: SensitivityDef,
    /// The fields that may be seen by whoever is not let to see all; empty for all.
    pub allowed_fields: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// How much of a result is shown.
    pub mode: ModeDef,
    /// The most rows.
    pub max_rows: Option<u64>,
    /// Whether performing it twice has no further effect.
    pub idempotent: bool,
    /// The tools that perform it, at least one, in the order in which they are tried. They take the
    /// same parameters, and neither a model nor a step calls them directly.
    pub drivers: Vec<Arc<ToolDef>>,
    /// The capability as steps and models call it: its id with `__` for each dot, its description,
    /// and the parameters of its drivers.
    pub tool: Arc<ToolDef>,
}

/// What performing a capability does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SafetyDef {
    /// It changes nothing.
    Read,
    /// It changes something.
    Write,
    /// What it does cannot be undone.
    Destructive,
}

/// How sensitive what a capability answers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SensitivityDef {
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

/// How much of a result is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModeDef {
    /// Only where the whole lies.
    HandleOnly,
    /// Facts in words.
    #[default]
    Summary,
    /// The first rows.
    Table,
    /// All of it, scrubbed, for those who may.
    Raw,
}
