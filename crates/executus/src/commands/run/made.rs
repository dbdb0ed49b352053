//! A run file with its inputs, made real: what a life of a run needs, whether its first or a later one.

use std::path::Path;
use std::sync::Arc;

use executus_core::executor::Executor;
use executus_core::secret::{Secret, Secrets};
use executus_core::{Outcome, RunHandle, RunRequest, Toolbox};
use executus_critic::RuleCritic;
use executus_models::Recording;
use executus_playbook::{Body, Bound, RunFile};
use serde_json::{Value, json};

use super::decider::Decider;
use crate::capabilities::Capabilities;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::critic::{self, Critics, Verdicts};
use crate::fault::Fault;
use crate::guard::{self, Guards};
use crate::host::Host;
use crate::palette::Offer;
use crate::signals::Signals;
use crate::tools::{self, Outside};
use crate::watch::{self, Watch};
use crate::{deliver, models};

/// How many events may wait for the screen: what a slow reader may be late by.
const EVENTS: usize = 4096;

/// What a run is made of.
pub(crate) struct Made {
    pub(crate) bound: Bound,
    /// What is kept to find all of it again.
    pub(crate) labels: Value,
    file: Arc<RunFile>,
    decider: Decider,
    tools: Toolbox,
    outside: Outside,
    capabilities: Capabilities,
    offer: Option<Offer>,
    critic: Option<RuleCritic>,
    guards: Option<Guards>,
}

/// A life that has settled.
pub(crate) struct Lived {
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) watch: Watch,
    /// What is wrong with its recording.
    pub(crate) incomplete: Option<String>,
}

impl Made {
    /// Reads the file and makes all that it names. Nothing is started yet.
    ///
    /// # Errors
    /// What is wrong with the file, an input, a model, a tool or the rules.
    pub(crate) fn of(args: &RunArgs, config: &Config) -> Result<Self, Fault> {
        let file = load(&args.file)?;
        #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
        let bound = file
            .bind(&args.inputs, &|name| std::env::var(name).ok())
            .map_err(|mistake| Fault::usage(format!("{}: {mistake}", args.file.display())))?;
        let mut decider = Decider::of(args, &file, &config.budget)?;
        let (tools, outside) = tools::of_file(&file, &bound, &config.http)?;
        let tools = tools
            .and(std::mem::take(&mut decider.tools))
            .map_err(|error| Fault::usage(error.to_string()))?;
        let capabilities = Capabilities::of_file(args, &file)?;
        let offer = Offer::of_file(args, &file, &config.http, &config.budget)?;
        let beside = args.file.parent().unwrap_or(Path::new(""));
        let named = |fault: Fault| fault.at(args.file.display());
        let critic = critic::of_file(&file, beside).map_err(named)?;
        let (critic, keys) = critic.unzip();
        decider.keys.extend(keys.unwrap_or_default());
        let guards = guard::of_file(&file, &args.file).map_err(named)?;
        let folder = std::env::current_dir().unwrap_or_default();
        let mut labels = json!({
            "file": args.file.display().to_string(),
            "file_digest": file.digest,
            "version": env!("CARGO_PKG_VERSION"),
            "models": decider.names,
            "folder": folder.display().to_string(),
        });
        if matches!(file.body, Body::Playbook(_)) {
            labels["kind"] = json!("playbook");
        }
        if !args.models.is_empty() {
            labels["chosen"] = json!(true);
        }
        if args.no_stream {
            labels["stream"] = json!(false);
        }
        if let Some(rules) = capabilities.rules() {
            labels["rules_digest"] = json!(rules);
        }
        if let Some(offer) = &offer {
            offer.label(&mut labels);
        }
        deliver::label(&file, config, &mut labels)?;
        Ok(Self {
            bound,
            labels,
            file,
            decider,
            tools,
            outside,
            capabilities,
            offer,
            critic,
            guards,
        })
    }

    /// Whom the executor asks to watch runs, if this one is to be watched.
    pub(crate) fn critics(&self) -> Option<Critics> {
        self.critic.as_ref().map(|_| Critics::default())
    }

    /// Has a life of the run begin as `start` says, and follows it until it has settled.
    ///
    /// # Errors
    /// When it cannot begin.
    pub(crate) async fn live(
        self,
        host: &Host,
        args: &RunArgs,
        signals: &mut Signals,
        start: impl AsyncFnOnce(&Executor, RunRequest) -> Result<RunHandle, Fault>,
    ) -> Result<Lived, Fault> {
        let Self { bound, labels, file, mut decider, tools, outside, capabilities, offer, .. } =
            self;
        let (mut tools, guard) = capabilities.guard(tools, host.store.audit())?;
        let verdicts = self.critic.as_ref().map(|_| Verdicts::start(host.store.audit().clone()));
        let critic = self.critic.zip(verdicts.as_ref());
        let critic = critic.map(|(critic, verdicts)| verdicts.of(critic));
        if let (Some(critics), Some(critic)) = (&host.critics, &critic) {
            critics.add(file.digest.to_string(), critic.clone());
        }
        if let Some(guards) = self.guards {
            let guarded = guards.around(&tools, critic.as_ref());
            tools = guarded.map_err(|fault| fault.at(args.file.display()))?;
        }
        let recording = decider.record(args, &file)?;
        let reserve = decider.reserve(&file);
        let mut request = RunRequest::new(decider.model)
            .subject(Arc::clone(&file.name))
            .name(Arc::clone(&file.name))
            .caller(args.caller.as_str())
            .channel("cli")
            .inputs(Value::clone(&bound.inputs))
            .labels(labels)
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
        if let Some(reserve) = reserve {
            request = request.reserve(reserve);
        }
        if let Some(offer) = offer {
            request = offer.admit(request, &host.palettes, host.store.audit());
        }
        let events = request.watch(EVENTS);
        let touching = critic.as_ref().map(|_| request.watch(EVENTS));
        let recorded = host.recorded();
        let handle = start(&host.executor, request).await?;
        let touching = critic
            .zip(touching)
            .map(|(critic, events)| critic::touch(critic, handle.run_id().clone(), events));
        let watch = Watch::start(args.json, Some(events), Some(recorded));
        let outcome = watch::follow(host, &handle, signals, &watch).await;
        guard.close().await;
        outside.close().await;
        if let Some(touching) = touching {
            touching.abort();
        }
        if let Some(verdicts) = verdicts {
            verdicts.close().await;
        }
        let incomplete = recording.zip(args.record.as_deref()).and_then(incomplete);
        Ok(Lived { outcome, watch, incomplete })
    }
}

fn load(path: &Path) -> Result<Arc<RunFile>, Fault> {
    let file = RunFile::load(path).map_err(|mistake| {
        let fault = Fault::usage(mistake.to_string());
        if path.exists() {
            fault
        } else {
            fault.help("name a run file, as in `executus run path/to/file.toml`")
        }
    })?;
    Ok(Arc::new(file))
}

/// What nothing that the run leaves is to show: its sensitive parameters, the keys of its models,
/// and what there is of such in the environment, since a tool may print what it gets there.
pub(crate) fn secrets(file: &RunFile, bound: &Bound, keys: Vec<(String, Secret)>) -> Secrets {
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
