//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use executus_core::RunStatus;

use crate::config::Keeping;

mod audit;
mod budget;
mod doctor;
mod outbox;
mod resume;
mod search;

pub(crate) use audit::{
    AcceptArgs, AuditCommand, EraseArgs, ExportArgs, FilterArgs, PageArgs, VerifyArgs,
};
pub(crate) use budget::{BudgetCommand, SetArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use outbox::{ListArgs, OutboxCommand, SendArgs};
pub(crate) use resume::{AnswerArgs, CancelArgs, LifeArgs, ResumeArgs};
pub(crate) use search::SearchArgs;

/// Runs agent work under control: every run ends, is recorded, and can be explained and replayed.
#[derive(Debug, Parser)]
#[command(name = "executus", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 ok, 1 error, 2 usage or bad file, 3 denied, \
    4 refused or ended by the budget, 75 awaits approval, 124 timeout, 130 cancelled, 143 interrupted")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The configuration [default: the nearest executus.toml, from this folder up, or
    /// executus/executus.toml in the XDG configuration folder]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a file and print its output
    Run(RunArgs),
    /// Go on with a run that was interrupted, or with all of them
    Resume(ResumeArgs),
    /// Let calls of a run be made that wait for it, and go on with the run
    Approve(AnswerArgs),
    /// Refuse calls of a run that wait for an answer, and go on with the run
    Deny(AnswerArgs),
    /// End a run, whichever process performs it, or none
    Cancel(CancelArgs),
    /// List the runs, newest first
    Runs(RunsArgs),
    /// Show what a run did, step by step, or one action of a capability
    Explain(ExplainArgs),
    /// Show what a run does as it is recorded, from any process, to its end
    Tail(TailArgs),
    /// Feed a run's journal through the machine and compare every state with its record
    Replay(ReplayArgs),
    /// Find records and notes by the words in them
    Search(SearchArgs),
    /// Verify and export the records
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Remove what the runs of a caller say; that there were such runs stays
    Erase(EraseArgs),
    /// Check that all that runs need is there, and say what to do where it is not
    Doctor(DoctorArgs),
    /// Show results on their way to where they are delivered, and send them
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Show and set what callers may spend, on the Redis that the configuration names
    #[command(subcommand)]
    Budget(BudgetCommand),
}

impl Command {
    /// Where the command looks for runs, if it does.
    pub(crate) const fn store_mut(&mut self) -> Option<&mut StoreArgs> {
        Some(match self {
            Self::Run(args) => &mut args.store,
            Self::Resume(args) => &mut args.life.store,
            Self::Approve(args) | Self::Deny(args) => &mut args.life.store,
            Self::Cancel(args) => &mut args.store,
            Self::Runs(args) => &mut args.store,
            Self::Explain(args) => &mut args.store,
            Self::Tail(args) => &mut args.store,
            Self::Replay(args) => &mut args.store,
            Self::Search(args) => &mut args.store,
            Self::Audit(command) => command.store_mut(),
            Self::Erase(args) => &mut args.store,
            Self::Doctor(args) => &mut args.store,
            Self::Outbox(command) => command.store_mut(),
            Self::Budget(_) => return None,
        })
    }
}

/// Where the runs are kept.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StoreArgs {
    /// The database of runs [default: what the configuration names, else executus/executus.db in
    /// the XDG data folder]
    #[arg(long, value_name = "PATH")]
    pub(crate) db: Option<PathBuf>,
    /// As the configuration says.
    #[arg(skip)]
    pub(crate) keeping: Keeping,
}

/// `executus run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The run file
    pub(crate) file: PathBuf,
    /// A parameter of the file; may be repeated
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    pub(crate) inputs: Vec<(String, String)>,
    /// The run's id: a finished run of this id answers with its stored result
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run_id: Option<executus_core::RunId>,
    /// Who asks
    #[arg(long, value_name = "ID", default_value = "cli")]
    pub(crate) caller: String,
    /// The model, instead of the file's: `provider:model` or `scripted:FILE`; may be repeated, and
    /// each is asked when those before it failed
    #[arg(long = "model", value_name = "SPEC")]
    pub(crate) models: Vec<String>,
    /// Take a model's answers whole, not as they come
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Write what the model says to a file, which plays again with `--model scripted:FILE`
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Deny every tool that is not `read_only`
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Load, bind and check, but execute nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print events as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The id of a run, or of an action of a capability
    pub(crate) run: String,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus tail`.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// The run's id
    #[arg(value_parser = run_id)]
    pub(crate) run: executus_core::RunId,
    /// The number of the first record to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) from: u64,
    /// Do not wait for the next life of a run that is interrupted
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The run's id
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// A status to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusFilter {
    /// Not ended yet.
    Running,
    /// Ended so.
    Ended(RunStatus),
}

impl StatusFilter {
    const ALL: [Self; 8] = [
        Self::Running,
        Self::Ended(RunStatus::Ok),
        Self::Ended(RunStatus::Error),
        Self::Ended(RunStatus::Timeout),
        Self::Ended(RunStatus::BudgetExceeded),
        Self::Ended(RunStatus::Cancelled),
        Self::Ended(RunStatus::DryRun),
        Self::Ended(RunStatus::Interrupted),
    ];
}

impl ValueEnum for StatusFilter {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Self::Running => "running",
            Self::Ended(status) => status.as_str(),
        }))
    }
}

pub(crate) fn input(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(crate) fn run_id(text: &str) -> Result<executus_core::RunId, String> {
    executus_core::RunId::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_input_is_split_at_its_first_sign() {
        assert_eq!(input("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(input("a="), Ok(("a".to_owned(), String::new())));
        assert!(input("a").is_err() && input("=b").is_err());
    }
}
