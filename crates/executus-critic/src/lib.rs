//! A critic that tells a slow healthy run from one that hangs or goes round in circles.
//!
//! [`RuleCritic`] implements core's `Critic`. It keeps a clock of what happens in a run, and rules
//! over it: nothing happens for too long, one call is made again and again, calls fail in a row,
//! tokens are used and nothing new comes of it. Each rule has two tiers. At the soft one the run is
//! nudged, or a [`Judge`] is asked: a model with a budget and a deadline of its own, that says to go
//! on, to nudge, to give more time, or to stop. At the hard one the run is stopped.
//!
//! Every verdict is told to a [listener](RuleCritic::on_verdict); nudges and stops are also facts of
//! the run. A judge that is slow, says nonsense or panics changes nothing.

mod config;
mod verdict;

mod activity;
mod rule;
mod rules;
mod streak;

mod judge;

mod critic;
mod watched;
mod watcher;

pub use config::{ConfigError, CriticConfig, Tiers};
pub use critic::RuleCritic;
pub use judge::{Judge, JudgeLimits};
pub use rule::Rule;
pub use verdict::{Judged, OnVerdict, Verdict, VerdictBy};
