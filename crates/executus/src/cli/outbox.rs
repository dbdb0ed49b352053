//! `executus outbox`.

use clap::{Args, Subcommand};
use executus_core::RunId;
use executus_deliver::{Pick, State};

use super::{StoreArgs, run_id};
use crate::deliver;

/// What to do with results that wait to be sent.
#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// List results on their way, the oldest first
    List(ListArgs),
    /// Let results be sent again that were given up
    Retry(PickArgs),
    /// Remove results that were given up
    Discard(PickArgs),
    /// Send what waits, and what comes, until it is stopped
    Run(SendArgs),
}

impl OutboxCommand {
    pub(super) const fn store_mut(&mut self) -> &mut StoreArgs {
        match self {
            Self::List(args) => &mut args.store,
            Self::Retry(args) | Self::Discard(args) => &mut args.store,
            Self::Run(args) => &mut args.store,
        }
    }
}

/// `executus outbox list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those in this state: waiting, sent or dead [default: waiting and dead]
    #[arg(long, value_name = "STATE", value_parser = deliver::state)]
    pub(crate) state: Option<State>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: u32,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Which of those that were given up.
#[derive(Debug, Args)]
pub(crate) struct PickArgs {
    /// The number of one, as `list` shows it [default: all]
    #[arg(value_name = "N", conflicts_with_all = ["run", "target"])]
    entry: Option<i64>,
    /// Those of a run
    #[arg(long, value_name = "ID", value_parser = run_id, conflicts_with = "target")]
    run: Option<RunId>,
    /// Those to a target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

impl PickArgs {
    pub(crate) fn pick(&self) -> Pick {
        match (&self.entry, &self.run, &self.target) {
            (Some(entry), ..) => Pick::Entry(*entry),
            (_, Some(run), _) => Pick::Run(run.clone()),
            (.., Some(target)) => Pick::Target(target.clone()),
            (None, None, None) => Pick::All,
        }
    }
}

/// `executus outbox run`.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// Send what is due now, and end
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
