//! What an invocation would do.

use std::sync::Arc;

use serde::Serialize;

use super::admit::Examined;
use super::{Invocation, InvokeError, Kernel};
use crate::budget::SessionBudget;
use crate::capability::{CapabilityId, Safety};
use crate::driver::DriverRequest;
use crate::frame::Mode;

/// How much performing something is worth thinking about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CostClass {
    /// It reads.
    Low,
    /// It writes.
    Medium,
    /// It cannot be undone.
    High,
}

/// What an invocation would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DryRun {
    /// The capability.
    pub capability: CapabilityId,
    /// The first driver of its plan, whether there is one of that name or not.
    pub driver_id: Arc<str>,
    /// The operation that the driver would be asked for.
    pub operation: Arc<str>,
    /// The mode that it would get.
    pub mode: Mode,
    /// How much it is worth thinking about, by its safety class.
    pub cost: CostClass,
    /// What is left of the session's budget, in tokens; `None` without one.
    pub remaining: Option<u64>,
}

impl Kernel {
    /// Says what an invocation would do, and does nothing: no driver is asked, nothing is reserved,
    /// recorded or counted. The token is verified, and the constraints are looked at.
    ///
    /// # Errors
    /// What the invocation would be refused with, but for its rate, its deadline and an exhausted
    /// budget.
    pub fn dry_run(&self, invocation: &Invocation) -> Result<DryRun, InvokeError> {
        let Examined { capability, plan, mode, .. } = self.0.examine(invocation)?;
        Ok(DryRun {
            capability: capability.id.clone(),
            driver_id: plan.first().map(Arc::clone).unwrap_or_default(),
            operation: DriverRequest::operation_of(&capability, &invocation.args),
            mode,
            cost: match capability.safety {
                Safety::Read => CostClass::Low,
                Safety::Write => CostClass::Medium,
                Safety::Destructive => CostClass::High,
            },
            remaining: self.0.budget.as_ref().map(SessionBudget::remaining),
        })
    }
}
