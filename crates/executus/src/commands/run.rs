//! `executus run`: a file from its text to its outcome.

use std::sync::Arc;
use std::time::Duration;

use executus_core::executor::StartError;
use executus_core::{ErrorKind, Executor, Limits, Outcome, RunRequest, RunStatus};
use executus_playbook::{Body, Playbook, RunFile};
use serde_json::{Value, json};

use crate::cli::RunArgs;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::signals::Signals;
use crate::store::Store;
use crate::watch::{self, Watcher};
use crate::{output, tools};

/// How many events may wait for the screen.
const EVENTS: usize = 1024;

/// How long closing the database may take.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs a file and prints its output.
///
/// # Errors
/// When the run cannot begin; nothing was executed then.
pub(crate) async fn run(args: &RunArgs) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    let file = load(args)?;
    #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
    let bound = file
        .bind(&args.inputs, &|name| std::env::var(name).ok())
        .map_err(|mistake| Fault::usage(format!("{}: {mistake}", args.file.display())))?;
    let playbook = playbook(args, &file)?;
    let limits = limits(&file, &playbook);
    let tools = tools::of_file(&file, &bound)?;
    let labels = json!({
        "file": args.file.display().to_string(),
        "file_digest": file.digest,
        "version": env!("CARGO_PKG_VERSION"),
    });

    let store = Store::create(args.store.db.as_deref()).await?;
    let earlier = async || match &args.run_id {
        Some(run_id) => store.finished(run_id, &bound.inputs, &labels, args.dry_run).await,
        None => Ok(None),
    };
    if let Some(stored) = earlier().await? {
        return again(args, &stored);
    }

    let mut request = RunRequest::new(Arc::new(playbook))
        .subject(Arc::clone(&file.name))
        .name(Arc::clone(&file.name))
        .caller(args.caller.as_str())
        .channel("cli")
        .inputs(Value::clone(&bound.inputs))
        .labels(labels.clone())
        .limits(limits)
        .secrets(bound.secrets.clone())
        .tools(tools)
        .dry_run(args.dry_run);
    if let Some(run_id) = &args.run_id {
        request = request.run_id(run_id.clone());
    }
    let events = request.watch(EVENTS);
    let executor = Executor::builder().audit(store.audit()).build();
    let handle = executor.start(request).map_err(|error| not_started(&error))?;
    let mut watcher = Watcher::new(args.json);
    let outcome = watch::follow(&executor, &handle, events, &mut signals, &mut watcher).await;
    let is_refused = outcome.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Audit)
        && outcome.stats.tally.steps == 0;
    if is_refused && let Some(stored) = earlier().await? {
        // Another process took the id in the moment since it was looked up, and is done already.
        return again(args, &stored);
    }
    if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
        // What a run needs was durable when it settled.
        tracing::warn!("the database took too long to close");
    }
    watcher.end(&outcome)?;
    finish(args, &outcome)
}

fn load(args: &RunArgs) -> Result<Arc<RunFile>, Fault> {
    let file = RunFile::load(&args.file).map_err(|mistake| {
        let fault = Fault::usage(mistake.to_string());
        if args.file.exists() {
            fault
        } else {
            fault.help("name a run file, as in `executus run path/to/file.toml`")
        }
    })?;
    Ok(Arc::new(file))
}

fn playbook(args: &RunArgs, file: &Arc<RunFile>) -> Result<Playbook, Fault> {
    let named = |mistake: String| Fault::usage(format!("{}: {mistake}", args.file.display()));
    match &file.body {
        Body::Playbook(_) => {
            Playbook::new(Arc::clone(file)).map_err(|mistake| named(mistake.to_string()))
        }
        Body::Agent(_) => Err(named("this version runs no agents".to_owned())
            .help("a file with `kind = \"playbook\"` needs no model")),
    }
}

/// The file's limits; a playbook may take all the steps it has.
fn limits(file: &RunFile, playbook: &Playbook) -> Limits {
    let base = Limits::default();
    let max_steps = base.max_steps.max(playbook.max_replies());
    file.limits.over(Limits { max_steps, ..base })
}

fn not_started(error: &StartError) -> Fault {
    match error {
        StartError::Running { .. } => Fault::usage(error.to_string()),
        _ => Fault::error(error.to_string()),
    }
}

/// Prints the result of a run that ended before.
fn again(args: &RunArgs, stored: &Outcome) -> Result<Exit, Fault> {
    output::note(&format!("run {} has ended before; this is its stored result", stored.run_id));
    finish(args, stored)
}

/// Prints the result, and tells it by the exit code.
fn finish(args: &RunArgs, outcome: &Outcome) -> Result<Exit, Fault> {
    if args.json {
        output::line(&crate::json::finished(outcome).to_string())?;
    } else if outcome.status == RunStatus::Ok {
        let text = outcome.output.as_deref().unwrap_or_default();
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        output::result(&format!("{text}{newline}"))?;
    }
    Ok(Exit::of(outcome))
}
