//! `executus runs`: what was run.

use executus_audit_sqlite::{QueryError, RunFilter, RunSummary};
use serde_json::Value;

use crate::cli::{PageArgs, RunsArgs};
use crate::exit::Exit;
use crate::fault::Fault;
use crate::time::rfc3339;
use crate::{json, output, store};

/// Lists runs, the newest first, or page by page from the oldest on.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn run(args: &RunsArgs) -> Result<Exit, Fault> {
    let Some(reader) = store::reader(&args.store)? else {
        if !args.json {
            output::note("no runs yet; `executus run FILE` makes one");
        }
        return Ok(Exit::Ok);
    };
    let PageArgs { limit, after } = args.page.clone();
    let filter = RunFilter { limit, after, ..args.filter.query() };
    let page = reader.runs_page(&filter).map_err(|error| match error {
        // Each names what was given.
        QueryError::Reversed { .. } | QueryError::Cursor { .. } => Fault::usage(error.to_string()),
        error => store::not_read(&error),
    })?;
    let mut runs = page.items;
    if limit.is_none() {
        runs.reverse();
    }
    let lines: String = if args.json {
        runs.iter().map(|run| format!("{}\n", Value::Object(json::run(run)))).collect()
    } else {
        table(&runs)
    };
    output::result(&lines)?;
    if let Some(next) = page.next {
        output::note(&format!("there are more: --after {next}"));
    }
    Ok(Exit::Ok)
}

fn table(runs: &[RunSummary]) -> String {
    let width = |of: fn(&RunSummary) -> usize| runs.iter().map(of).max().unwrap_or_default();
    let names = width(|run| run.name.chars().count());
    let ids = width(|run| run.run_id.as_str().chars().count());
    let row = |run: &RunSummary| {
        let status = run.status.map_or("running", |status| status.as_str());
        let started = rfc3339(run.started_at);
        let (id, name) = (run.run_id.as_str(), &run.name);
        let took = run.stats.map(|stats| crate::time::milliseconds(stats.runtime_ms));
        let took = took.unwrap_or_default();
        format!("{id:ids$}  {started}  {status:15}  {name:names$}  {took}")
    };
    runs.iter().map(|run| format!("{}\n", row(run).trim_end())).collect()
}
