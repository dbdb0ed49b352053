//! The layer between an agent and its tools: no token, no execution; nothing raw to the model.
//!
//! A [`Kernel`] performs *capabilities*: named operations with a safety class and a sensitivity. It
//! grants a [`Token`] when its [`Policy`] allows it, and performs an invocation only under a token
//! that is valid for this principal and this capability. The result of a [`Driver`] goes through a
//! [`Firewall`] before anybody sees it: what is sensitive is replaced, what is long is summed up, and
//! the whole lies behind an opaque handle. Whatever way an invocation ends, there is exactly one
//! record of it, and what it reserved is settled or released exactly once.
//!
//! [`CapabilityTool`] offers capabilities to the model of a run, so that each of its calls is
//! verified, bounded, filtered and recorded.

pub mod capability;
pub mod constraint;
pub mod principal;

pub mod registry;

pub mod policy;
pub mod token;

pub mod driver;
pub mod route;

pub mod firewall;
pub mod frame;
pub mod handle;

pub mod budget;
pub mod record;

pub mod kernel;
pub mod tool;

pub use capability::{Capability, CapabilityId, Safety, Sensitivity};
pub use constraint::{ConstraintError, Constraints};
pub use driver::{Driver, DriverError, DriverRequest};
pub use firewall::Firewall;
pub use frame::{Frame, Mode};
pub use kernel::Kernel;
pub use policy::Policy;
pub use principal::Principal;
pub use registry::Registry;
pub use token::Token;
pub use tool::CapabilityTool;
