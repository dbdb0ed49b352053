//! `executus resume`, `approve`, `deny` and `cancel`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use executus_core::RunId;

use super::{StoreArgs, input, run_id};
use crate::amounts;

/// What a later life of a run is made of, beside what is kept of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct LifeArgs {
    /// Where the run file lies now, if not where it was
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Go on even if the run file, or a file of rules, is not what it was
    #[arg(long)]
    pub(crate) changed: bool,
    /// A sensitive parameter, once more: it is not kept; may be repeated
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    pub(crate) inputs: Vec<(String, String)>,
    /// Print events as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `executus resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run's id
    #[arg(value_parser = run_id, required_unless_present = "all")]
    pub(crate) run: Option<RunId>,
    /// All runs that were interrupted, one after the other
    #[arg(long, conflicts_with_all = ["run", "file", "inputs", "unpark"])]
    pub(crate) all: bool,
    /// Also a run that is parked, since it ended its process again and again
    #[arg(long)]
    pub(crate) unpark: bool,
    #[command(flatten)]
    pub(crate) life: LifeArgs,
}

/// `executus approve` and `executus deny`.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The run's id
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// The calls, as in 3.0: the first one of step 3
    #[arg(value_name = "CALL", value_parser = call, required = true)]
    pub(crate) calls: Vec<(u32, u32)>,
    /// Why, for the model and the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who says so [default: the user's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    #[command(flatten)]
    pub(crate) life: LifeArgs,
}

/// `executus cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The run's id
    #[arg(value_parser = run_id)]
    pub(crate) run: RunId,
    /// How long to wait for its end
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = amounts::duration)]
    pub(crate) wait: Duration,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

fn call(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('.').and_then(|(step, call)| {
        Some((step.parse().ok()?, call.parse().ok()?)).filter(|(step, _)| *step > 0)
    });
    parsed.ok_or_else(|| "expected STEP.CALL, as in 3.0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_step_and_a_place() {
        assert_eq!(call("3.0"), Ok((3, 0)));
        for text in ["3", "0.1", "3.", ".1", "3.0.1", "a.b", "-1.0"] {
            assert!(call(text).is_err(), "{text}");
        }
    }
}
