//! What the kernel is asked.

use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::Secrets;
use executus_core::{RunId, Timestamp, ToolContext};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::capability::CapabilityId;
use crate::constraint::Constraints;
use crate::frame::Mode;
use crate::handle::Query;
use crate::principal::Principal;
use crate::token::Token;

/// A token is asked for.
#[derive(Debug, Clone)]
pub struct GrantRequest {
    /// Who asks.
    pub principal: Arc<Principal>,
    /// For which capability.
    pub capability: CapabilityId,
    /// What for, in the words of whoever asks.
    pub justification: String,
    /// What the token is to be narrowed to. The policy may narrow it further.
    pub constraints: Constraints,
    /// How long it lasts; `None` for the authority's own choice.
    pub lifetime: Option<Duration>,
    /// The id of the record of a denial; that of a grant has `/grant` behind it, since the
    /// invocation under it has the id itself. `None` for a fresh one.
    pub action_id: Option<String>,
    /// The run that asks, where one does.
    pub run_id: Option<RunId>,
}

impl GrantRequest {
    /// A token for this, without a justification and without constraints.
    pub fn new(principal: Arc<Principal>, capability: CapabilityId) -> Self {
        Self {
            principal,
            capability,
            justification: String::new(),
            constraints: Constraints::default(),
            lifetime: None,
            action_id: None,
            run_id: None,
        }
    }

    /// With this justification.
    #[must_use]
    pub fn justification(mut self, justification: impl Into<String>) -> Self {
        self.justification = justification.into();
        self
    }

    /// Narrowed to this.
    #[must_use]
    pub fn constraints(mut self, constraints: Constraints) -> Self {
        self.constraints = constraints;
        self
    }

    /// Lasting so long.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}

/// A capability is to be performed.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What allows it.
    pub token: Arc<Token>,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// The capability.
    pub capability: CapabilityId,
    /// The arguments, with their secrets bound.
    pub args: Arc<Map<String, Value>>,
    /// How much is to be shown, at most.
    pub mode: Mode,
    /// How many tokens are reserved; `None` for the budget's own choice.
    pub reserve: Option<u64>,
    /// The id of frame and record; `None` for a fresh one. Where there is a record with this id
    /// already, as when a run repeats a call after a crash, a number is put behind it.
    pub action_id: Option<String>,
    /// The run that asks, where one does.
    pub run_id: Option<RunId>,
    /// When it is over at the latest, by the kernel's clock; `None` for no such time.
    pub deadline: Option<Timestamp>,
    /// What is secret in the arguments, and in no record.
    pub secrets: Secrets,
    /// The call of a run that asks, where one does.
    pub context: Option<ToolContext>,
    /// Gives it up.
    pub cancellation: Option<CancellationToken>,
}

impl Invocation {
    /// Performs what the token is for, without arguments, and shows a summary.
    pub fn new(token: impl Into<Arc<Token>>, principal: Arc<Principal>) -> Self {
        let token = token.into();
        Self {
            capability: token.capability_id.clone(),
            token,
            principal,
            args: Arc::default(),
            mode: Mode::Summary,
            reserve: None,
            action_id: None,
            run_id: None,
            deadline: None,
            secrets: Secrets::default(),
            context: None,
            cancellation: None,
        }
    }

    /// Performs this capability, for which the token has to be.
    #[must_use]
    pub fn capability(mut self, capability: CapabilityId) -> Self {
        self.capability = capability;
        self
    }

    /// With these arguments.
    #[must_use]
    pub fn args(mut self, args: impl Into<Arc<Map<String, Value>>>) -> Self {
        self.args = args.into();
        self
    }

    /// Shows this much.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Reserves so many tokens.
    #[must_use]
    pub const fn reserve(mut self, tokens: u64) -> Self {
        self.reserve = Some(tokens);
        self
    }

    /// Under this id.
    #[must_use]
    pub fn action_id(mut self, id: impl Into<String>) -> Self {
        self.action_id = Some(id.into());
        self
    }

    /// Over at this time, by the kernel's clock.
    #[must_use]
    pub const fn deadline(mut self, at: Timestamp) -> Self {
        self.deadline = Some(at);
        self
    }

    /// Given up when this is cancelled.
    #[must_use]
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = Some(token);
        self
    }

    /// In the name of a run's call: its id is the call's key, its secrets are the run's, and it is
    /// over when the call is, beside the deadline that it has.
    #[must_use]
    pub fn called_by(mut self, context: ToolContext) -> Self {
        self.action_id = Some(context.idempotency_key());
        self.run_id = Some(context.run_id().clone());
        self.secrets = context.secrets().clone();
        self.context = Some(context);
        self
    }
}

/// Rows behind a handle are asked for.
#[derive(Debug, Clone)]
pub struct ExpandRequest {
    /// The handle.
    pub handle: String,
    /// Who asks.
    pub principal: Arc<Principal>,
    /// Which rows.
    pub query: Query,
    /// The id of the record; `None` for a fresh one.
    pub action_id: Option<String>,
    /// The run that asks, where one does.
    pub run_id: Option<RunId>,
}

impl ExpandRequest {
    /// These rows behind this handle.
    pub fn new(handle: impl Into<String>, principal: Arc<Principal>, query: Query) -> Self {
        Self { handle: handle.into(), principal, query, action_id: None, run_id: None }
    }

    /// Under this id.
    #[must_use]
    pub fn action_id(mut self, id: impl Into<String>) -> Self {
        self.action_id = Some(id.into());
        self
    }
}
