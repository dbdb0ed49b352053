//! Whole results behind opaque ids: read in pages, by whom they were made for, while they live.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::capability::CapabilityId;
use crate::constraint::{ConstraintError, Constraints};
use crate::principal::Principal;

mod memory;
mod page;
mod query;

pub use memory::MemoryHandles;
pub use query::Query;

/// Where a whole result lies. Knowing it is not enough to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandleRef {
    /// The id: 128 random bits as text.
    pub id: String,
    /// Until when it can be read.
    pub expires_at: Timestamp,
    /// How many rows of it may be read: those in the scope of the constraints.
    pub row_count: u64,
    /// How many bytes it has as JSON, roughly.
    pub bytes: u64,
}

/// A result to keep.
#[derive(Debug, Clone)]
pub struct NewHandle {
    /// The result, as the driver gave it.
    pub data: Arc<Value>,
    /// Who may read it.
    pub principal_id: Arc<str>,
    /// What was performed.
    pub capability_id: CapabilityId,
    /// What it may be read under.
    pub constraints: Constraints,
    /// The time.
    pub now: Timestamp,
}

/// What is asked of a handle.
#[derive(Debug, Clone, Copy)]
pub struct Expansion<'a> {
    /// The handle.
    pub id: &'a str,
    /// Who asks; `None` for nobody, which is refused.
    pub principal: Option<&'a Principal>,
    /// What is asked for.
    pub query: &'a Query,
    /// The time.
    pub now: Timestamp,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The rows, scrubbed.
    pub rows: Vec<Map<String, Value>>,
    /// How many rows come before them.
    pub offset: u64,
    /// How many rows there are under the constraints and the filter.
    pub total: u64,
    /// Where the next page begins; `None` when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// What the reader should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why a handle was not made or not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandleError {
    /// There is none with this id, or no longer.
    #[error("there is no such handle; invoke the capability again")]
    NotFound,
    /// Its time is over. It is gone from now on.
    #[error("the handle expired at {at}; invoke the capability again")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It was made for somebody else.
    #[error("the handle belongs to another principal")]
    Principal,
    /// The query, or a constraint of the handle, means nothing.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// The query asks for a field that is not allowed.
    #[error("the field `{field}` is not allowed; ask for no fields to get all that are")]
    Field {
        /// Which.
        field: String,
    },
    /// The filter contradicts the scope.
    #[error("the filter on `{field}` contradicts the scope of the handle")]
    Scope {
        /// Which field.
        field: String,
    },
    /// The result is larger than the store takes.
    #[error("the result has {bytes} bytes, and a handle holds at most {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most.
        limit: u64,
    },
    /// The store failed.
    #[error("handles are not available: {message}")]
    Store {
        /// Why.
        message: String,
    },
}

impl HandleError {
    /// The reason code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "handle_not_found",
            Self::Expired { .. } => "handle_expired",
            Self::Principal => "handle_principal",
            Self::Constraint(_) => "invalid_constraint",
            Self::Field { .. } => "field_not_allowed",
            Self::Scope { .. } => "scope_conflict",
            Self::TooLarge { .. } => "handle_too_large",
            Self::Store { .. } => "handle_store",
        }
    }
}

/// Keeps whole results for a while.
///
/// **Called** by the kernel: `store` after a driver has answered, `expand` when somebody asks for
/// more. **Guarantees.** A1: only the principal that a handle was made for reads it; another learns
/// not even whether it has expired. A2: fields, scope and rows of the constraints hold for every
/// page. A3: a page is scrubbed. A4: memory is bounded; the newest result is never the one that
/// goes. **Cancellation**: a `store` that is dropped may have kept the result, which nobody can name.
#[async_trait]
pub trait HandleStore: Send + Sync {
    /// Keeps a result.
    ///
    /// # Errors
    /// [`HandleError::TooLarge`], [`HandleError::Store`].
    async fn store(&self, new: NewHandle) -> Result<HandleRef, HandleError>;

    /// Reads a page.
    ///
    /// # Errors
    /// [`HandleError`].
    async fn expand(&self, ask: &Expansion<'_>) -> Result<Page, HandleError>;
}
