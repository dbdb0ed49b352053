//! Guards around tools: what an agent may not do, and when it goes round in circles.
//!
//! A [`Guard`] wraps tools. What it knows of a run is kept for that run alone: which actions were
//! made, which pages were seen, what failed. Before a call it checks addresses, destructive wording
//! and files that are [protected](Protected); after it, the [`StuckDetector`] looks at what the run
//! has been doing, content is filtered, and notices are put before the text. A guard that fails is
//! closed: the call is refused.
//!
//! A [`Sequence`] makes several actions in one call and stops at the first that fails. What a guard
//! finds is told as a [`Signal`], for a critic.

mod config;
mod error;

mod stuck;

mod address;
mod page;
mod urls;

mod action;
mod content;
mod protected;

mod role;
mod signal;
mod state;

mod guard;
mod guarded;
mod sequence;

pub use action::{ActionPolicy, Classifier, ClassifyError};
pub use config::GuardConfig;
pub use content::{ContentRules, Notice, Removal};
pub use error::ConfigError;
pub use guard::{Guard, GuardBuilder};
pub use page::{Page, PageError};
pub use protected::Protected;
pub use role::Role;
pub use sequence::{Sequence, SequenceError};
pub use signal::{Level, Signal, SignalKind};
pub use stuck::{Observed, Stuck, StuckDetector, StuckKind, StuckSettings};
pub use urls::{UrlPolicy, UrlRefused};
