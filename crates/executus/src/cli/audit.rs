//! `executus audit` and `executus erase`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use executus_audit_sqlite::{Cursor, ExportFormat, RunFilter};
use executus_core::{RunId, Timestamp};

use super::{StatusFilter, StoreArgs, run_id};
use crate::time;

/// What to do with the records as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that all is as it was recorded, and name the first thing that is not
    Verify(VerifyArgs),
    /// Use a file all the same that does not go with its anchor, and record why
    Accept(AcceptArgs),
    /// Write runs, their records and notes for other programs or for people
    Export(ExportArgs),
}

impl AuditCommand {
    pub(super) const fn store_mut(&mut self) -> &mut StoreArgs {
        match self {
            Self::Verify(args) => &mut args.store,
            Self::Accept(args) => &mut args.store,
            Self::Export(args) => &mut args.store,
        }
    }
}

/// `executus audit verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus audit accept`.
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// Why the file is right as it is; recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus audit export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// How: jsonl, ocsf or markdown
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(crate) format: ExportFormat,
    /// Only this run
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run: Option<RunId>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Where to [default: standard output]
    #[arg(long, short, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus erase`.
#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// Whose runs
    #[arg(long, value_name = "ID")]
    pub(crate) caller: String,
    /// Write the file anew, so that no copy is left in its unused space
    #[arg(long)]
    pub(crate) compact: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Which runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// Only runs with this status
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<StatusFilter>,
    /// Only runs of this caller
    #[arg(long, value_name = "ID")]
    pub(crate) caller: Option<String>,
    /// Only runs that started then or later: 2026-01-31, or with a time as in 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) since: Option<Timestamp>,
    /// Only runs that started before
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub(crate) until: Option<Timestamp>,
}

impl FilterArgs {
    /// The same for a query.
    pub(crate) fn query(&self) -> RunFilter {
        let status = match self.status {
            Some(StatusFilter::Ended(status)) => Some(status),
            _ => None,
        };
        RunFilter {
            status,
            open: self.status == Some(StatusFilter::Running),
            caller: self.caller.clone(),
            since: self.since,
            until: self.until,
            ..RunFilter::default()
        }
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageArgs {
    /// At most so many, the oldest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) limit: Option<i64>,
    /// Those after this place, which the page before has named
    #[arg(long, value_name = "PLACE", requires = "limit")]
    pub(crate) after: Option<Cursor>,
}
