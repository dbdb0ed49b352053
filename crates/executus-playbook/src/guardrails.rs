//! The critic and the guards that a run file asks for, as data.

mod critic;
mod guard;

pub use critic::{CriticDef, TiersDef};
pub use guard::{GuardDef, RoleDef};
