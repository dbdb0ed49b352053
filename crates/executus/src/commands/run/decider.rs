//! What decides in a run, made from its file.

use std::path::Path;
use std::sync::Arc;

use executus_core::port::Amounts;
use executus_core::secret::Secret;
use executus_core::{Limits, Model, Tool};
use executus_models::Recording;
use executus_playbook::{Body, Playbook, RunFile};

use crate::amounts::millis;
use crate::cli::RunArgs;
use crate::config::BudgetConfig;
use crate::fault::Fault;
use crate::models::{self, Asking, Models};
use crate::store;

/// What decides a run, and what comes with it.
pub(crate) struct Decider {
    pub(crate) model: Arc<dyn Model>,
    /// The language model that a playbook asks, where it has one.
    asked: Option<Arc<dyn Model>>,
    /// The names of the language models, in order.
    pub(crate) names: Vec<String>,
    pub(crate) keys: Vec<(String, Secret)>,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) limits: Limits,
}

impl Decider {
    pub(crate) fn of(
        args: &RunArgs,
        file: &Arc<RunFile>,
        limited: &BudgetConfig,
    ) -> Result<Self, Fault> {
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
            needs_prices: limits.max_cost_micros.is_some() || limited.limits_cost(),
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

    /// What to reserve, where it is less than the limits allow: a playbook that asks no model
    /// spends no tokens.
    pub(crate) fn reserve(&self, file: &RunFile) -> Option<Amounts> {
        let spends_time_alone = self.asked.is_none() && matches!(file.body, Body::Playbook(_));
        spends_time_alone.then(|| Amounts {
            runtime_ms: millis(self.limits.hard_timeout),
            runs: 1,
            ..Amounts::default()
        })
    }

    /// Has the run written down, if that was asked for.
    ///
    /// What is written is what a script takes the place of, so that it plays again: the words of the
    /// language model, also of one that a playbook asks. A playbook without one has its own replies
    /// written.
    pub(crate) fn record(
        &mut self,
        args: &RunArgs,
        file: &Arc<RunFile>,
    ) -> Result<Option<Arc<Recording>>, Fault> {
        let Some(path) = args.record.as_deref().filter(|_| !args.dry_run) else { return Ok(None) };
        let kept = [args.file.clone(), store::path(&args.store)?];
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
