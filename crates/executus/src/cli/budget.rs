//! `executus budget`.

use std::time::Duration;

use clap::{Args, Subcommand};
use executus_core::port::Amounts;
use executus_core::port::budget::Window;

use crate::amounts::{self, Named};

/// What to do with budgets on Redis.
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Show what callers may spend, have spent and hold
    Show(ShowArgs),
    /// Set a caller's limit within a window; its other limits stay
    Set(SetArgs),
    /// List what runs under way hold
    Holds(HoldsArgs),
    /// Set a budget up, or go on after its server lost data
    Reseed(ReseedArgs),
    /// Print all of it as JSON, one object a line
    Export,
}

/// `executus budget show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Only this caller
    #[arg(long, value_name = "ID")]
    pub(crate) caller: Option<String>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `executus budget set`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Whose limit
    pub(crate) caller: String,
    /// The window: `total`, `fixed:1h` (from hour to hour) or `rolling:1h` (the last hour)
    #[arg(long, value_name = "WINDOW", value_parser = amounts::window)]
    #[arg(required_unless_present = "clear")]
    pub(crate) window: Option<Window>,
    /// Tokens
    #[arg(long, value_name = "N")]
    tokens: Option<u64>,
    /// Time of runs, as in 30m
    #[arg(long, value_name = "DURATION", value_parser = amounts::duration)]
    runtime: Option<Duration>,
    /// US dollars, as in 0.50
    #[arg(long, value_name = "DOLLARS", value_parser = amounts::dollars_text)]
    cost: Option<u64>,
    /// Runs at once
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// Take the caller's own limits away: those of all callers hold again
    #[arg(long, conflicts_with_all = ["window", "tokens", "runtime", "cost", "runs"])]
    pub(crate) clear: bool,
}

impl SetArgs {
    pub(crate) const fn named(&self) -> Named {
        Named {
            tokens: self.tokens,
            runtime: self.runtime,
            cost_micros: self.cost,
            runs: self.runs,
        }
    }
}

/// `executus budget holds`.
#[derive(Debug, Args)]
pub(crate) struct HoldsArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `executus budget reseed`.
#[derive(Debug, Args)]
pub(crate) struct ReseedArgs {
    /// What a caller is known to have spent, as in `anna=tokens:1200,cost:0.50,runtime:10m`
    #[arg(value_name = "CALLER=AMOUNTS", value_parser = amounts::spent)]
    pub(crate) spent: Vec<(String, Amounts)>,
}
