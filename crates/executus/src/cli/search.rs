//! `executus search`.

use clap::Args;
use executus_core::{RunId, Timestamp};

use super::{PageArgs, StoreArgs, run_id};
use crate::time;

/// `executus search`.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Words that must all be there; `"some words"` in quotes stand together, `begin*` is any word
    /// that begins so
    pub(crate) text: String,
    /// Only this run
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run: Option<RunId>,
    /// Only of this time or later: 2026-01-31, or with a time as in 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) since: Option<Timestamp>,
    /// Only from before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) until: Option<Timestamp>,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
