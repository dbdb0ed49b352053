//! `executus run`: a file from its text to its outcome.

use std::sync::Arc;

use executus_core::executor::StartError;
use executus_core::{ErrorKind, Outcome};

use crate::budget;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::host::{Closed, Host};
use crate::output;
use crate::signals::Signals;
use crate::store::{Asked, Store};
use crate::watch::Watch;

mod decider;
mod made;

pub(crate) use decider::Decider;
pub(crate) use made::{Lived, Made, secrets};

/// Runs a file and prints its output.
///
/// # Errors
/// When the run cannot begin; nothing was executed then.
pub(crate) async fn run(args: &RunArgs, config: &Config) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    let made = Made::of(args, config)?;
    let store = Store::create(&args.store).await?;
    let (inputs, labels) = (made.bound.inputs.clone(), made.labels.clone());
    let asked = Asked {
        inputs: &inputs,
        labels: &labels,
        dry_run: args.dry_run,
        read_only: args.read_only,
    };
    let earlier = async |store: &Store| match &args.run_id {
        Some(run_id) => store.finished(run_id, asked).await,
        None => Ok(None),
    };
    if let Some(stored) = earlier(&store).await? {
        return again(Watch::start(args.json, None, None), stored, &mut signals).await;
    }

    let host = Host::of(store, &args.store.keeping, config, made.critics()).await?;
    host.recover().await;
    let lived = made
        .live(&host, args, &mut signals, async |executor, request| {
            executor.start(request).map_err(|error| not_started(&error))
        })
        .await?;
    let outcome = &lived.outcome;
    let is_refused = outcome.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Audit)
        && outcome.stats.tally.steps == 0;
    if is_refused && let Some(stored) = earlier(&host.store).await? {
        // Another process took the id in the moment since it was looked up, and is done already.
        return again(lived.watch, stored, &mut signals).await;
    }
    end(host, lived, &mut signals).await
}

/// Closes what is open, shows how a life ended, and prints its result.
///
/// # Errors
/// What could not be printed.
pub(crate) async fn end(host: Host, lived: Lived, signals: &mut Signals) -> Result<Exit, Fault> {
    let waits = host.waits(&lived.outcome).await;
    let closed = host.close().await;
    tell(lived, waits, closed, signals).await
}

/// The same of a life after which others follow.
///
/// # Errors
/// As [`end`].
pub(crate) async fn tell(
    lived: Lived,
    waits: Option<String>,
    Closed { store: is_closed, budget: is_told, undelivered }: Closed,
    signals: &mut Signals,
) -> Result<Exit, Fault> {
    let Lived { outcome, watch, incomplete } = lived;
    watch.show({
        let outcome = Arc::clone(&outcome);
        move |watcher| {
            if !is_closed {
                // What a run needs was durable when it settled.
                tracing::warn!("the database took too long to close");
            }
            if !is_told {
                tracing::warn!("the budget was not told all that the run spent");
            }
            watcher.end(&outcome);
            if let Some(advice) = budget::advice(&outcome) {
                output::note(advice);
            }
            if let Some(waits) = waits {
                output::note(&waits);
            }
            if let Some(undelivered) = undelivered {
                output::note(&undelivered);
            }
            if let Some(incomplete) = incomplete {
                output::note(&incomplete);
            }
        }
    });
    finish(watch, outcome, signals).await
}

fn not_started(error: &StartError) -> Fault {
    match error {
        StartError::Running { .. } => Fault::usage(error.to_string()),
        _ => Fault::error(error.to_string()),
    }
}

/// Prints the result of a run that ended before.
///
/// # Errors
/// As [`end`].
pub(crate) async fn again(
    watch: Watch,
    stored: Outcome,
    signals: &mut Signals,
) -> Result<Exit, Fault> {
    let note = format!("run {} has ended before; this is its stored result", stored.run_id);
    watch.show(move |_| output::note(&note));
    finish(watch, Arc::new(stored), signals).await
}

/// Prints the result, and tells it by the exit code.
async fn finish(watch: Watch, outcome: Arc<Outcome>, signals: &mut Signals) -> Result<Exit, Fault> {
    let exit = Exit::of(&outcome);
    watch.show(move |watcher| watcher.result(&outcome));
    watch.end(signals).await?;
    Ok(exit)
}
