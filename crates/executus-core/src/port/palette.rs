//! Palette: skills and agents that a run may delegate to.
//!
//! **For** runs made of runs. **Called** by the executor: `resolve` once at admission with the names
//! that the request allows; `invoke` whenever the model calls one of the tools made of them
//! (`skill__name`, `agent__name`).
//!
//! # Guarantees
//! - **P1** `resolve` MUST return an entry for each name, or say which one there is not.
//! - **P2** A delegated run MUST be a child of the delegating one: its parent's id, its parent's
//!   cancellation, a deadline before its parent's.
//! - **P3** A child never reserves a place of its own: it would wait for its parent.
//!
//! # Cancellation
//! A dropped `invoke` MUST end what it started.
//!
//! # Errors and panics
//! At admission an error or a panic refuses the run with an error of kind `palette`; during a call it
//! is that call's error.
//!
//! Proved by `executus_testkit::conformance::palette`.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{Cause, RunStart};
use crate::tool::{Effect, ToolContext, ToolOutput};

/// What kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// Instructions and files.
    Skill,
    /// A run of its own.
    Agent,
}

impl EntryKind {
    /// The prefix of the tools of this kind.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Skill => "skill__",
            Self::Agent => "agent__",
        }
    }
}

/// A skill or an agent that a run may use.
#[derive(Debug, Clone, PartialEq)]
pub struct PaletteEntry {
    /// What it is.
    pub kind: EntryKind,
    /// Its name, without prefix.
    pub name: Arc<str>,
    /// What it does, for the model.
    pub description: Arc<str>,
    /// The JSON schema of its arguments.
    pub parameters: Arc<Value>,
    /// What performing it twice would do.
    pub effect: Effect,
}

/// A request to delegate.
#[derive(Debug, Clone)]
pub struct Delegation<'a> {
    /// What kind of entry.
    pub kind: EntryKind,
    /// Its name, without prefix.
    pub name: &'a str,
    /// The arguments: for an agent its inputs, and `model_tier`, `prompt_prefix` and `tools` where
    /// the entry offers them.
    pub args: &'a Value,
    /// The delegating call: its run, caller, channel, cancellation, deadline and progress. A child
    /// run is started with [`ToolContext::delegate`].
    pub context: &'a ToolContext,
}

/// Knows skills and agents.
#[async_trait]
pub trait Palette: Send + Sync {
    /// The entries with these names.
    ///
    /// # Errors
    /// An error refuses the run.
    async fn resolve(
        &self,
        start: &RunStart,
        names: &[(EntryKind, Arc<str>)],
    ) -> Result<Vec<PaletteEntry>, PaletteError>;

    /// Performs a delegated call.
    ///
    /// # Errors
    /// An error is the call's result.
    async fn invoke(&self, delegation: Delegation<'_>) -> Result<ToolOutput, PaletteError>;
}

/// Why a palette did not deliver.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum PaletteError {
    /// There is no such entry.
    #[error("there is no {} `{name}`", match kind { EntryKind::Skill => "skill", EntryKind::Agent => "agent" })]
    Unknown {
        /// What kind.
        kind: EntryKind,
        /// Which name.
        name: String,
    },
    /// The arguments are not what the entry takes.
    #[error("{message}")]
    Arguments {
        /// What is wrong with them.
        message: String,
    },
    /// The call was refused: nothing was started.
    #[error("{message}")]
    Denied {
        /// A stable reason code.
        code: String,
        /// Why, for the model.
        message: String,
    },
    /// The delegated run failed.
    #[error("{message}")]
    Failed {
        /// Why.
        message: String,
    },
    /// Something it needs is not there.
    #[error("the palette is not available: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// The cause, where there is one.
        #[source]
        source: Option<Cause>,
    },
}

impl PaletteError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn retry(&self) -> bool {
        match self {
            Self::Unknown { .. }
            | Self::Arguments { .. }
            | Self::Denied { .. }
            | Self::Failed { .. } => false,
            Self::Unavailable { .. } => true,
        }
    }
}
