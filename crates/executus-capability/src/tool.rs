//! Capabilities as tools of a run: every call of its model is verified, bounded, filtered, recorded.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::text::{bounded, bounded_to};
use executus_core::{ApprovalLimit, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::{Map, Value, json};

use crate::capability::{Capability, CapabilityId};
use crate::constraint::Constraints;
use crate::firewall::scrub_text;
use crate::frame::{Frame, Mode};
use crate::kernel::{GrantError, GrantRequest, Invocation, InvokeError, Kernel};
use crate::principal::Principal;
use crate::token::TokenAuthority;

mod any;
mod handle;
mod search;
mod show;

pub use any::AnyCapabilityTool;
pub use handle::HandleTool;
pub use search::SearchTool;

/// In whose name the model of a run asks a kernel, and how. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Access {
    kernel: Kernel,
    principal: Arc<Principal>,
    justification: Arc<str>,
    constraints: Arc<Constraints>,
    mode: Mode,
    denial_ends_run: bool,
    max_text: usize,
}

impl Access {
    /// The longest text of one answer unless told otherwise, in bytes.
    pub const MAX_TEXT: usize = 16 * 1024;
    /// The longest message of a denial, in bytes.
    const MAX_MESSAGE: usize = 600;

    /// In the name of this principal: without a justification and without constraints, as a summary.
    #[must_use]
    pub fn new(kernel: Kernel, principal: Arc<Principal>) -> Self {
        Self {
            kernel,
            principal,
            justification: "".into(),
            constraints: Arc::default(),
            mode: Mode::Summary,
            denial_ends_run: false,
            max_text: Self::MAX_TEXT,
        }
    }

    /// With this justification for every token.
    #[must_use]
    pub fn justification(mut self, justification: impl Into<Arc<str>>) -> Self {
        self.justification = justification.into();
        self
    }

    /// Every token narrowed to this.
    #[must_use]
    pub fn constraints(mut self, constraints: Constraints) -> Self {
        self.constraints = Arc::new(constraints);
        self
    }

    /// Showing this much.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether a denial ends the run. Unless told so it is the call's result, and the run goes on.
    #[must_use]
    pub const fn denial_ends_run(mut self, ends_run: bool) -> Self {
        self.denial_ends_run = ends_run;
        self
    }

    /// The longest text of one answer, in bytes; what a handle needs is added to it.
    #[must_use]
    pub const fn max_text(mut self, bytes: usize) -> Self {
        self.max_text = bytes;
        self
    }

    /// Gets a token for one call and performs the capability under it.
    async fn perform(
        &self,
        context: &ToolContext,
        capability: &CapabilityId,
        args: Map<String, Value>,
    ) -> Result<Frame, ToolError> {
        let request = GrantRequest {
            justification: self.justification.to_string(),
            constraints: (*self.constraints).clone(),
            // It is for this call alone, which is over when its time is.
            lifetime: Some(context.time_left().min(TokenAuthority::LIFETIME)),
            action_id: Some(context.idempotency_key()),
            run_id: Some(context.run_id().clone()),
            ..GrantRequest::new(Arc::clone(&self.principal), capability.clone())
        };
        let token = self.kernel.grant(request).await.map_err(|error| self.not_granted(&error))?;
        let invocation = Invocation::new(token, Arc::clone(&self.principal))
            .args(args)
            .mode(self.mode)
            .called_by(context.clone());
        self.kernel.invoke(invocation).await.map_err(|error| self.not_invoked(&error))
    }

    fn not_granted(&self, error: &GrantError) -> ToolError {
        match error {
            GrantError::Denied(_) => self.denied(error.code(), &error.to_string()),
            GrantError::UnknownCapability(_) => ToolError::arguments(clean(&error.to_string())),
            _ => ToolError::failed(clean(&format!("no permission was given: {error}"))),
        }
    }

    fn not_invoked(&self, error: &InvokeError) -> ToolError {
        match error {
            InvokeError::Token(_) => self.denied(error.code(), &error.to_string()),
            _ => ToolError::Failed { message: clean(&error.to_string()), retryable: error.retry() },
        }
    }

    fn denied(&self, code: &str, message: &str) -> ToolError {
        ToolError::Denied {
            code: code.to_owned(),
            message: bounded_to(scrub_text(message), Self::MAX_MESSAGE),
            ends_run: self.denial_ends_run,
        }
    }
}

fn clean(message: &str) -> String {
    bounded(scrub_text(message))
}

/// A capability as a tool of a run.
///
/// Each call asks the kernel for a token in the name of the run's principal, performs the
/// capability under it, and answers what the firewall lets through: as text for the model, bounded,
/// and as data with the action's id, mode, handle and counts. The id of the action is the call's key,
/// so that the run's record leads to it. A refusal is [`ToolError::Denied`] with its reason code.
///
/// The tool is called like the capability with `__` for each dot, as models want it.
#[derive(Debug, Clone)]
pub struct CapabilityTool {
    access: Access,
    capability: CapabilityId,
    spec: ToolSpec,
}

impl CapabilityTool {
    /// To be approved by somebody, each call within this time.
    #[must_use]
    pub const fn approval(mut self, within: ApprovalLimit) -> Self {
        self.spec.approval = Some(within);
        self
    }

    /// This capability as a tool.
    #[must_use]
    pub fn new(access: Access, capability: &Capability) -> Self {
        let name = Self::name(&capability.id);
        let mut spec =
            ToolSpec::new(name, capability.description.as_str()).effect(capability.effect());
        spec.parameters = Arc::clone(&capability.parameters);
        Self { access, capability: capability.id.clone(), spec }
    }

    /// What the tool of a capability is called.
    #[must_use]
    pub fn name(capability: &CapabilityId) -> String {
        capability.as_str().replace('.', "__")
    }
}

#[async_trait]
impl Tool for CapabilityTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let frame = self.access.perform(context, &self.capability, object(args)?).await?;
        Ok(show::frame(&frame, self.access.max_text))
    }
}

/// Arguments as a capability takes them.
fn object(args: &Value) -> Result<Map<String, Value>, ToolError> {
    match args {
        Value::Object(args) => Ok(args.clone()),
        Value::Null => Ok(Map::new()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ToolError::arguments("expected an object of named arguments"))
        }
    }
}

/// The schema of a tool's arguments.
fn schema(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}
