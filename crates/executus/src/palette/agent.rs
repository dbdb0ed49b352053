//! A run file as an agent of other runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use executus_audit_sqlite::SqliteAudit;
use executus_core::port::{EntryKind, PaletteError};
use executus_core::{Effect, RunRequest};
use executus_palette::{Agent, AgentCall, AgentEntry};
use executus_playbook::{Body, Bound, InputError, RunFile, value_text};
use serde_json::{Value, json};

use super::LABEL;
use crate::capabilities::Capabilities;
use crate::cli::RunArgs;
use crate::commands::run::{Decider, secrets};
use crate::config::{BudgetConfig, HttpConfig};
use crate::fault::Fault;
use crate::guard;
use crate::tools;

/// What all agents of a run have of it.
pub(super) struct Shared {
    pub(super) args: RunArgs,
    pub(super) http: HttpConfig,
    pub(super) limited: BudgetConfig,
    /// What the run at the top may cost: then it must be known what agents do.
    pub(super) max_cost: Option<u64>,
    pub(super) audit: Arc<OnceLock<SqliteAudit>>,
    /// The digest of the palette.
    pub(super) palette: OnceLock<String>,
}

/// See the module.
pub(super) struct FileAgent {
    entry: AgentEntry,
    path: PathBuf,
    file: Arc<RunFile>,
    shared: Arc<Shared>,
}

impl FileAgent {
    /// The agent of a file. Its models are made once, and given back.
    ///
    /// # Errors
    /// A file without a description; a model that cannot be asked.
    pub(super) fn of(
        path: &Path,
        file: Arc<RunFile>,
        delegates: Vec<(EntryKind, Arc<str>)>,
        effect: Effect,
        shared: Arc<Shared>,
    ) -> Result<Self, Fault> {
        let Some(description) = file.description.as_deref() else {
            let message = format!("{}: an agent needs a `description`", path.display());
            return Err(Fault::usage(message).help("say what it does, for the model that asks it"));
        };
        let mut entry = AgentEntry::new(Arc::clone(&file.name), description)
            .input(file.input_schema())
            .effect(effect)
            .tiers(file.tiers.iter().map(|(tier, _)| tier.as_str()));
        entry.delegates = delegates;
        if matches!(file.body, Body::Agent(_)) {
            entry = entry.prompt_prefix();
            // Tools that stand for capabilities belong together.
            if file.capabilities.is_none() {
                entry = entry.tools(file.tools.iter().map(|tool| Arc::clone(&tool.name)));
            }
        }
        let mut agent = Self { entry, path: path.to_owned(), file, shared };
        agent.entry.limits = agent.decider(None)?.1.limits;
        for (tier, _) in &agent.file.tiers {
            agent.decider(Some(tier))?;
        }
        Ok(agent)
    }

    pub(super) fn file(&self) -> &RunFile {
        &self.file
    }

    /// The arguments of a run of this file by itself.
    fn args(&self) -> RunArgs {
        RunArgs {
            file: self.path.clone(),
            inputs: Vec::new(),
            run_id: None,
            models: Vec::new(),
            record: None,
            ..self.shared.args.clone()
        }
    }

    /// What decides, with the models of a tier or the file's own; and the file with them.
    fn decider(&self, tier: Option<&str>) -> Result<(Arc<RunFile>, Decider), Fault> {
        let model = tier.and_then(|tier| self.file.tiers.iter().find(|(name, _)| name == tier));
        let mut file = Arc::clone(&self.file);
        let needs_cost = self.shared.max_cost.is_some() && file.limits.max_cost_micros.is_none();
        if model.is_some() || needs_cost {
            let file = Arc::make_mut(&mut file);
            if let Some((_, model)) = model {
                file.models = vec![model.clone()];
            }
            file.limits.max_cost_micros = file.limits.max_cost_micros.or(self.shared.max_cost);
        }
        let decider = Decider::of(&self.args(), &file, &self.shared.limited)?;
        Ok((file, decider))
    }

    /// The parameters from what a call passed.
    fn bind(&self, input: &Value) -> Result<Bound, PaletteError> {
        let mut texts = Vec::new();
        for (name, value) in input.as_object().into_iter().flatten() {
            let wrong = |message: String| Err(PaletteError::Arguments { message });
            match value {
                Value::Null => {}
                Value::Array(_) | Value::Object(_) => {
                    return wrong(format!(
                        "the parameter `{name}` must be a text, a number or a boolean"
                    ));
                }
                _ if self.file.param(name).is_some_and(|param| param.sensitive) => {
                    return wrong(format!("the parameter `{name}` is not yours to give"));
                }
                value => texts.push((name.clone(), value_text(value).into_owned())),
            }
        }
        #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
        let bound = self.file.bind(&texts, &|name| std::env::var(name).ok());
        bound.map_err(|mistake| {
            let is_ours = match &mistake {
                InputError::Missing { name, .. } => {
                    self.file.param(name).is_some_and(|param| param.sensitive)
                }
                InputError::Unfit { env, .. } => env.is_some(),
                _ => false,
            };
            let message = mistake.to_string();
            if is_ours {
                PaletteError::Failed { message }
            } else {
                PaletteError::Arguments { message }
            }
        })
    }

    fn make(&self, call: &AgentCall<'_>, bound: &Bound) -> Result<RunRequest, Fault> {
        let (file, decider) = self.decider(call.tier)?;
        let Decider { model, names, keys, tools: own, .. } = decider;
        let (tools, outside) = tools::of_file(&file, bound, &self.shared.http)?;
        let tools = tools.and(own).map_err(|error| Fault::usage(error.to_string()))?;
        let capabilities = Capabilities::of_file(&self.args(), &file)?;
        let audit = self.shared.audit.get();
        let audit = audit.ok_or_else(|| Fault::error("no run was admitted that delegates"))?;
        let (mut tools, guard) = capabilities.guard(tools, audit)?;
        if let Some(guards) = guard::of_file(&file, &self.path)? {
            tools = guards.around(&tools, None)?;
        }
        let labels = json!({
            "file": self.path.display().to_string(),
            "file_digest": file.digest,
            "version": env!("CARGO_PKG_VERSION"),
            "models": names,
            LABEL: self.shared.palette.get(),
        });
        let mut request = RunRequest::new(model)
            .name(Arc::clone(&file.name))
            .inputs(Value::clone(&bound.inputs))
            .labels(labels)
            .secrets(secrets(&file, bound, keys))
            .tools(call.toolbox(&tools))
            .on_clean_up("what its tools have outside", move || async move {
                guard.close().await;
                outside.close().await;
                Ok(())
            });
        if let Some(brief) = file.brief(bound) {
            request = request.brief(call.brief(brief));
        }
        Ok(request)
    }
}

#[async_trait]
impl Agent for FileAgent {
    fn entry(&self) -> &AgentEntry {
        &self.entry
    }

    async fn request(&self, call: &AgentCall<'_>) -> Result<RunRequest, PaletteError> {
        let bound = self.bind(call.input)?;
        self.make(call, &bound)
            .map_err(|fault| PaletteError::Failed { message: fault.message().to_owned() })
    }
}
