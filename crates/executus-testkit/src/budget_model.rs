//! A budget against a model of it: random calls, and after each the same answer and the same
//! accounts.
//!
//! The model is slow and obvious: it keeps every hold and every amount that was counted, and adds
//! up from there. [`follow`] makes the calls of a sequence on any budget through its
//! [`BudgetProbe`](crate::conformance::BudgetProbe). Sequences come from bytes, so that a property
//! test can make and shrink them:
//!
//! ```
//! use executus_testkit::budget_model::{Command, commands};
//!
//! let made = commands(&[[0, 3, 40, 1], [200, 0, 0, 0]]);
//! assert!(matches!(made[..], [Command::Reserve { hold: 3, .. }, _]));
//! ```
//!
//! A store with a clock of its own is asked for the time before and after each call. Where more
//! than one moment in between would do, and where a call was not answered at all, the model goes on
//! with every state that can be, and what is seen later decides between them.

mod command;
mod follow;
mod reference;

pub use command::{Command, commands};
pub use follow::{Disagreement, follow};
