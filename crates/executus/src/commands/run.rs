//! `executus run`: a file from its text to its outcome.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use executus_core::executor::StartError;
use executus_core::secret::{Secret, Secrets};
use executus_core::{ErrorKind, Executor, Limits, Model, Outcome, RunRequest, Tool};
use executus_models::Recording;
use executus_playbook::{Body, Bound, Playbook, RunFile};
use serde_json::{Value, json};

use crate::capabilities::Capabilities;
use crate::cli::RunArgs;
use crate::config::HttpConfig;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::models::{self, Asking, Models};
use crate::signals::Signals;
use crate::store::{self, Asked, Store};
use crate::watch::{self, Watch};
use crate::{output, tools};

/// How many events may wait for the screen: what a slow reader may be late by.
const EVENTS: usize = 4096;

/// How long closing the database may take.
const CLOSING: Duration = Duration::from_secs(5);

/// Runs a file and prints its output.
///
/// # Errors
/// When the run cannot begin; nothing was executed then.
pub(crate) async fn run(args: &RunArgs, http: &HttpConfig) -> Result<Exit, Fault> {
    let mut signals = Signals::catch()?;
    let file = load(args)?;
    #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
    let bound = file
        .bind(&args.inputs, &|name| std::env::var(name).ok())
        .map_err(|mistake| Fault::usage(format!("{}: {mistake}", args.file.display())))?;
    let mut decider = Decider::of(args, &file)?;
    let (tools, outside) = tools::of_file(&file, &bound, http)?;
    let tools = tools
        .and(std::mem::take(&mut decider.tools))
        .map_err(|error| Fault::usage(error.to_string()))?;
    let capabilities = Capabilities::of_file(args, &file)?;
    let mut labels = json!({
        "file": args.file.display().to_string(),
        "file_digest": file.digest,
        "version": env!("CARGO_PKG_VERSION"),
        "models": decider.names,
    });
    if let Some(rules) = capabilities.rules() {
        labels["rules_digest"] = json!(rules);
    }

    let store = Store::create(args.store.db.as_deref()).await?;
    let asked = Asked {
        inputs: &bound.inputs,
        labels: &labels,
        dry_run: args.dry_run,
        read_only: args.read_only,
    };
    let earlier = async || match &args.run_id {
        Some(run_id) => store.finished(run_id, asked).await,
        None => Ok(None),
    };
    if let Some(stored) = earlier().await? {
        return again(Watch::start(args.json, None), stored, &mut signals).await;
    }

    let (tools, guard) = capabilities.guard(tools, store.notes())?;
    let recording = decider.record(args, &file)?;
    let mut request = RunRequest::new(decider.model)
        .subject(Arc::clone(&file.name))
        .name(Arc::clone(&file.name))
        .caller(args.caller.as_str())
        .channel("cli")
        .inputs(Value::clone(&bound.inputs))
        .labels(labels.clone())
        .limits(decider.limits)
        .secrets(secrets(&file, &bound, decider.keys))
        .tools(tools)
        .read_only(args.read_only)
        .dry_run(args.dry_run);
    if let Some(brief) = file.brief(&bound) {
        request = request.brief(brief);
    }
    if let Some(run_id) = &args.run_id {
        request = request.run_id(run_id.clone());
    }
    let events = request.watch(EVENTS);
    let executor = Executor::builder().audit(store.audit()).build();
    let handle = executor.start(request).map_err(|error| not_started(&error))?;
    let watch = Watch::start(args.json, Some(events));
    let outcome = watch::follow(&executor, &handle, &mut signals, &watch).await;
    guard.close().await;
    outside.close().await;
    let is_refused = outcome.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Audit)
        && outcome.stats.tally.steps == 0;
    if is_refused && let Some(stored) = earlier().await? {
        // Another process took the id in the moment since it was looked up, and is done already.
        return again(watch, stored, &mut signals).await;
    }
    let is_closed = tokio::time::timeout(CLOSING, store.close()).await.is_ok();
    let incomplete = recording.zip(args.record.as_deref()).and_then(incomplete);
    watch.show({
        let outcome = Arc::clone(&outcome);
        move |watcher| {
            if !is_closed {
                // What a run needs was durable when it settled.
                tracing::warn!("the database took too long to close");
            }
            watcher.end(&outcome);
            if let Some(incomplete) = incomplete {
                output::note(&incomplete);
            }
        }
    });
    finish(watch, outcome, &mut signals).await
}

/// What nothing that the run leaves is to show: its sensitive parameters, the keys of its models,
/// and what there is of such in the environment, since a tool may print what it gets there.
fn secrets(file: &RunFile, bound: &Bound, keys: Vec<(String, Secret)>) -> Secrets {
    let variables = tools::sensitive_variables(file).chain(models::KEYS);
    let variables = variables.filter_map(|name| {
        let value = std::env::var_os(name)?;
        // As it is found in a text: often there is a line end that is not printed.
        let value = value.to_string_lossy();
        // What is shorter is in ordinary words.
        let secret = Some(value.trim()).filter(|value| value.len() >= 4).map(Secret::new)?;
        // A parameter keeps its name.
        let is_taken = bound.secrets.get(name).is_some();
        let name = if is_taken { format!("{name} of the environment") } else { name.to_owned() };
        Some((name, secret))
    });
    variables.chain(keys).chain(models::all(&bound.secrets)).collect()
}

/// What is wrong with a recording.
fn incomplete((recording, path): (Arc<Recording>, &Path)) -> Option<String> {
    let is_empty = || path.metadata().is_ok_and(|file| file.is_file() && file.len() == 0);
    match recording.failure() {
        Some(failure) => Some(format!("error: the recording is not complete: {failure}")),
        None if is_empty() => Some(format!("{} is empty: no model was asked", path.display())),
        None => None,
    }
}

/// What decides a run, and what comes with it.
struct Decider {
    model: Arc<dyn Model>,
    /// The language model that a playbook asks, where it has one.
    asked: Option<Arc<dyn Model>>,
    /// The names of the language models, in order.
    names: Vec<String>,
    keys: Vec<(String, Secret)>,
    tools: Vec<Arc<dyn Tool>>,
    limits: Limits,
}

impl Decider {
    fn of(args: &RunArgs, file: &Arc<RunFile>) -> Result<Self, Fault> {
        let named = |mistake: String| Fault::usage(format!("{}: {mistake}", args.file.display()));
        // A script that the file names lies beside it, one of the command line where we are.
        let beside = args.file.parent().unwrap_or(Path::new(""));
        let (names, folder, place) = match args.models.as_slice() {
            [] => (file.models.clone(), beside, args.file.display().to_string()),
            chosen => (chosen.to_vec(), Path::new(""), "--model".to_owned()),
        };
        let limits = file.limits.over(Limits::default());
        let asking = Asking {
            names: &names,
            folder,
            stream: !args.no_stream,
            needs_prices: limits.max_cost_micros.is_some(),
        };
        let models = models::of_names(file, asking).map_err(|fault| fault.at(place))?;
        match (&file.body, models) {
            (Body::Playbook(_), models) => {
                let (model, keys) = models.map(|models| (models.model, models.keys)).unzip();
                let playbook = match &model {
                    Some(model) => Playbook::with_model(Arc::clone(file), Arc::clone(model)),
                    None => Playbook::new(Arc::clone(file)),
                };
                let playbook = playbook.map_err(|mistake| named(mistake.to_string()))?;
                // A playbook may take all the steps it has.
                let base = Limits::default();
                let max_steps = base.max_steps.max(playbook.max_replies());
                Ok(Self {
                    tools: playbook.tools(),
                    limits: file.limits.over(Limits { max_steps, ..base }),
                    model: Arc::new(playbook),
                    asked: model,
                    names,
                    keys: keys.unwrap_or_default(),
                })
            }
            (Body::Agent(_), Some(Models { model, keys })) => {
                Ok(Self { model, asked: None, names, keys, tools: Vec::new(), limits })
            }
            (Body::Agent(_), None) => Err(named("an agent needs a model".to_owned())
                .help("name one with `model` in the file, or with --model")),
        }
    }

    /// Has the run written down, if that was asked for.
    ///
    /// What is written is what a script takes the place of, so that it plays again: the words of the
    /// language model, also of one that a playbook asks. A playbook without one has its own replies
    /// written.
    fn record(
        &mut self,
        args: &RunArgs,
        file: &Arc<RunFile>,
    ) -> Result<Option<Arc<Recording>>, Fault> {
        let Some(path) = args.record.as_deref().filter(|_| !args.dry_run) else { return Ok(None) };
        let kept = [args.file.clone(), store::path(args.store.db.as_deref())?];
        if kept.iter().any(|kept| is_same_file(kept, path)) {
            // What is there is replaced: not what the run is made of.
            let taken = "it is the run file, or the database of runs";
            return Err(Fault::usage(format!("cannot record to {}: {taken}", path.display()))
                .help("name another file with --record FILE"));
        }
        let said = self.asked.as_ref().unwrap_or(&self.model);
        let recording = Recording::create(Arc::clone(said), path).map_err(|error| {
            Fault::usage(format!("cannot record to {}: {error}", path.display()))
                .help("name a file in a folder that you may write to with --record FILE")
        })?;
        let recording = Arc::new(recording);
        self.model = Arc::clone(&recording) as Arc<dyn Model>;
        if self.asked.is_some() {
            let playbook = Playbook::with_model(Arc::clone(file), Arc::clone(&self.model));
            let playbook = playbook.map_err(|mistake| Fault::usage(mistake.to_string()))?;
            self.model = Arc::new(playbook);
        }
        Ok(Some(recording))
    }
}

/// Whether both paths lead to one file that is there.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
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

fn not_started(error: &StartError) -> Fault {
    match error {
        StartError::Running { .. } => Fault::usage(error.to_string()),
        _ => Fault::error(error.to_string()),
    }
}

/// Prints the result of a run that ended before.
async fn again(watch: Watch, stored: Outcome, signals: &mut Signals) -> Result<Exit, Fault> {
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
