//! `executus resume`: another life for runs that were left.

use std::path::{Path, PathBuf};
use std::time::Duration;

use executus_core::executor::{LeftState, ResumeError};
use executus_core::record::Answer;
use executus_core::{Clock, RunId, RunSpec};
use executus_playbook::value_text;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::run::{self, Lived, Made};
use crate::cli::{LifeArgs, ResumeArgs, RunArgs};
use crate::config::Config;
use crate::critic::Critics;
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::host::{Closed, Host};
use crate::signals::Signals;
use crate::store::{self, Store};
use crate::watch::Watch;
use crate::{output, time};

/// How long a run that somebody else has is waited for.
const MOMENT: Duration = Duration::from_secs(2);
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(50);

/// Goes on with a run, or with all that can go on.
///
/// # Errors
/// When the run cannot go on; what is kept of it is still kept.
pub(crate) async fn run(args: &ResumeArgs, config: &Config) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    let host = open(&args.life, config).await?;
    let Some(run) = &args.run else { return all(host, &args.life, config, &mut signals).await };
    host.recover().await;
    if args.unpark {
        host.executor.unpark(run).await.map_err(|error| not_resumed(run, &error))?;
    }
    one(host, run, Vec::new(), &args.life, config, &mut signals).await
}

/// The host of what is resumed.
///
/// # Errors
/// When there is nothing to resume from.
pub(crate) async fn open(life: &LifeArgs, config: &Config) -> Result<Host, Fault> {
    let store = Store::create(&life.store).await?;
    if store.checkpoints().is_none() {
        return Err(Fault::usage("no facts of runs are kept here: none can be resumed")
            .help("set `enabled = true` under [checkpoint] in executus.toml, or leave it out"));
    }
    Host::of(store, &life.store.keeping, config, Some(Critics::default())).await
}

/// Goes on with one run, with these answers, and prints its result.
///
/// # Errors
/// As [`run()`].
pub(crate) async fn one(
    host: Host,
    run: &RunId,
    answers: Vec<Answer>,
    life: &LifeArgs,
    config: &Config,
    signals: &mut Signals,
) -> Result<Exit, Fault> {
    if let Some(stored) = host.store.ended(run).await? {
        settle(&host, run).await;
        return run::again(Watch::start(life.json, None, None), stored, signals).await;
    }
    let began = Instant::now();
    let lived = loop {
        match go_on(&host, run, answers.clone(), life, config, signals).await {
            // Who records at his own boot that the run died has it for a moment.
            Err(fault) if fault.is_passing() && began.elapsed() < MOMENT => sleep(LOOK).await,
            lived => break lived?,
        }
    };
    run::end(host, lived, signals).await
}

/// All that was left, in the order in which it was started.
async fn all(
    host: Host,
    life: &LifeArgs,
    config: &Config,
    signals: &mut Signals,
) -> Result<Exit, Fault> {
    let left = host.executor.recover().await.map_err(|error| Fault::error(chain(&error)))?;
    let mut exit = Exit::Ok;
    let mut worse = |other: Exit| {
        if exit == Exit::Ok {
            exit = other;
        }
    };
    let now = Clock::system().now();
    for left in left {
        if signals.heard() > 0 {
            worse(Exit::Interrupted);
            break;
        }
        let id = store::quoted(&left.run);
        match left.state {
            LeftState::AwaitingApproval { calls } if calls.iter().all(|it| now <= it.until) => {
                let until = calls.iter().map(|call| call.until).min().map(time::rfc3339);
                let until = until.unwrap_or_default();
                output::note(&format!("run {id} awaits approval until {until}"));
                continue;
            }
            LeftState::Parked { why } => {
                let advice = format!("`executus resume {id} --unpark` tries again");
                output::note(&format!("run {id} is parked: {}; {advice}", why.message));
                continue;
            }
            LeftState::Unusable { error } => {
                output::note(&format!("run {id} cannot be resumed: {}", chain(&error)));
                worse(Exit::Error);
                continue;
            }
            _ => {}
        }
        if host.store.ended(&left.run).await.is_ok_and(|ended| ended.is_some()) {
            settle(&host, &left.run).await;
            continue;
        }
        match go_on(&host, &left.run, Vec::new(), life, config, signals).await {
            Ok(lived) => {
                let waits = host.waits(&lived.outcome).await;
                worse(run::tell(lived, waits, Closed::ALL, signals).await?);
            }
            Err(fault) => {
                output::note(&fault.at(format!("run {id}")).to_string());
                worse(fault_exit(&host, &left.run).await);
            }
        }
    }
    host.close().await;
    Ok(exit)
}

/// What was left of a run that had ended: its process died after its record was closed.
async fn settle(host: &Host, run: &RunId) {
    let began = Instant::now();
    loop {
        match host.end_kept(run).await {
            Ok(_) | Err(ResumeError::Unknown { .. }) => return,
            // As in [`one`].
            Err(ResumeError::Claimed { .. }) if began.elapsed() < MOMENT => sleep(LOOK).await,
            Err(error) => {
                return tracing::warn!(%run, error = chain(&error), "it is not settled");
            }
        }
    }
}

/// Somebody else may have been faster: that is no failure.
async fn fault_exit(host: &Host, run: &RunId) -> Exit {
    let left = host.executor.resumable().await.unwrap_or_default();
    if left.contains(run) { Exit::Error } else { Exit::Ok }
}

/// The next life of a run, until it has settled.
async fn go_on(
    host: &Host,
    run: &RunId,
    answers: Vec<Answer>,
    life: &LifeArgs,
    config: &Config,
    signals: &mut Signals,
) -> Result<Lived, Fault> {
    let Some(spec) = host.store.kept_spec(run).await? else {
        return Err(Fault::usage(format!("nothing is kept of run `{run}`"))
            .help("`executus runs --status interrupted` lists what was interrupted"));
    };
    let args = as_asked(&spec, life)?;
    let made = Made::of(&args, config)?;
    if !life.changed {
        check(&spec, &made.labels, &args.file)?;
    }
    let resumed = made.live(host, &args, signals, async |executor, request| {
        let request = request.answers(answers);
        executor.resume(run, |_| request).await.map_err(|error| not_resumed(run, &error))
    });
    resumed.await
}

/// The command that the run began with.
fn as_asked(spec: &RunSpec, life: &LifeArgs) -> Result<RunArgs, Fault> {
    let label = |name: &str| spec.labels.get(name);
    let text = |name: &str| label(name).and_then(Value::as_str);
    let here = std::env::current_dir().unwrap_or_default();
    let file = match (&life.file, text("file")) {
        (Some(file), _) => here.join(file),
        (None, Some(file)) => PathBuf::from(file),
        (None, None) => {
            return Err(Fault::usage("it is not kept which file the run is of")
                .help("name the run file with --file PATH"));
        }
    };
    // Where tools work, and where scripts lie.
    if let Some(folder) = text("folder") {
        std::env::set_current_dir(folder).map_err(|error| {
            Fault::usage(format!("the run worked in {folder}: {error}"))
                .help("put the folder back: its tools work there")
        })?;
    }
    let mut inputs = life.inputs.clone();
    for (name, value) in spec.inputs.as_object().into_iter().flatten() {
        if inputs.iter().any(|(given, _)| given == name) {
            return Err(Fault::usage(format!("the parameter `{name}` is kept as it was given"))
                .help("give only sensitive parameters again"));
        }
        inputs.push((name.clone(), value_text(value).to_string()));
    }
    let models = label("models").and_then(Value::as_array).filter(|_| label("chosen").is_some());
    let models = models.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Ok(RunArgs {
        file,
        inputs,
        run_id: Some(spec.run_id.clone()),
        caller: spec.caller_id.to_string(),
        models: models.collect(),
        no_stream: label("stream") == Some(&Value::Bool(false)),
        record: None,
        read_only: spec.read_only,
        dry_run: spec.dry_run,
        json: life.json,
        store: life.store.clone(),
    })
}

/// What the run is made of is what it was made of.
fn check(spec: &RunSpec, labels: &Value, file: &Path) -> Result<(), Fault> {
    let kept = [
        ("file_digest", "the run file"),
        ("rules_digest", "its rules"),
        ("palette_digest", "its skills or agents"),
        ("models", "its models"),
    ];
    for (label, what) in kept {
        if spec.labels.get(label) != labels.get(label) {
            let run = store::quoted(&spec.run_id);
            let what = format!("{}: {what} changed since run {run} began", file.display());
            return Err(Fault::usage(what).help(
                "put it back, or go on with it as it is now with --changed: steps that were done \
                 stay as they were",
            ));
        }
    }
    Ok(())
}

/// What is said of a run that was not resumed.
pub(crate) fn not_resumed(run: &RunId, error: &ResumeError) -> Fault {
    let id = store::quoted(run);
    match error {
        ResumeError::Unknown { .. } => Fault::usage(chain(error)),
        ResumeError::Claimed { .. } => {
            Fault::usage(format!("run {id} is under way in another process"))
                .help(format!("`executus tail {id}` shows it, `executus cancel {id}` ends it"))
                .passing()
        }
        ResumeError::AwaitingApproval { .. } => {
            Fault::waiting(chain(error)).help(store::approval_advice(run))
        }
        ResumeError::Parked { .. } => Fault::error(chain(error))
            .help(format!("`executus resume {id} --unpark` tries again with all its attempts")),
        _ => Fault::error(chain(error)),
    }
}
