//! The models of a run, made real.

use std::path::Path;
use std::sync::Arc;

use executus_core::Model;
use executus_core::secret::{Secret, Secrets};
use executus_models::{
    ChatModel, Fallback, ModelName, Price, Prices, Provider, Scripted, Timeouts,
};
use executus_playbook::{RunFile, TimeoutsDef};

use crate::fault::Fault;

/// What a script is called in place of a provider.
pub(crate) const SCRIPTED: &str = "scripted";

/// The variables that hold the keys of providers.
pub(crate) const KEYS: [&str; 4] =
    ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OLLAMA_API_KEY"];

/// What asks the models of a run.
pub(crate) struct Models {
    /// All of them, in order, as one.
    pub(crate) model: Arc<dyn Model>,
    /// Their keys, which no record is to hold.
    pub(crate) keys: Vec<(String, Secret)>,
}

/// How models are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Their names, in order: `provider:model` or `scripted:FILE`.
    pub(crate) names: &'a [String],
    /// Where the files of scripts are looked for.
    pub(crate) folder: &'a Path,
    pub(crate) stream: bool,
    /// Whether what they cost must be known, since it is limited.
    pub(crate) needs_prices: bool,
}

/// The models with these names. `None` when there are no names.
///
/// # Errors
/// A name that is none, a script that cannot be read, a key that is missing, a price that nobody
/// knows.
pub(crate) fn of_names(file: &RunFile, asking: Asking<'_>) -> Result<Option<Models>, Fault> {
    let mut models: Vec<(String, Arc<dyn Model>)> = Vec::new();
    let mut keys = Vec::new();
    for name in asking.names {
        let model = match name.split_once(':') {
            Some((SCRIPTED, path)) => scripted(&asking.folder.join(path))?,
            _ => {
                let model = chat(file, name, asking)?;
                keys.extend(all(model.secrets()));
                Arc::new(model)
            }
        };
        models.push((name.clone(), model));
    }
    let model: Arc<dyn Model> = match models.len() {
        0 => return Ok(None),
        1 => models.swap_remove(0).1,
        _ => Arc::new(Fallback::of(models)),
    };
    Ok(Some(Models { model, keys }))
}

/// All secrets with their names.
pub(crate) fn all(secrets: &Secrets) -> impl Iterator<Item = (String, Secret)> {
    secrets.names().filter_map(|name| Some((name.to_owned(), secrets.get(name)?.clone())))
}

fn scripted(path: &Path) -> Result<Arc<dyn Model>, Fault> {
    let script = Scripted::load(path).map_err(|error| Fault::usage(error.to_string()))?;
    Ok(Arc::new(script))
}

pub(crate) fn chat(file: &RunFile, name: &str, asking: Asking<'_>) -> Result<ChatModel, Fault> {
    let parsed: ModelName = name.parse().map_err(|error: executus_models::name::NameError| {
        Fault::usage(error.to_string())
            .help("`scripted:FILE` plays a recording, without a provider")
    })?;
    let provider = parsed.provider();
    #[expect(clippy::disallowed_methods, reason = "the host reads the environment, once")]
    let built = ChatModel::builder(parsed)
        .variables(&|name| std::env::var(name).ok())
        .stream(asking.stream)
        .timeouts(timeouts(&file.timeouts))
        .prices(prices(file))
        .build();
    let model = built.map_err(|error| {
        let fault = Fault::usage(format!("model {name}: {error}"));
        match provider {
            Provider::OpenAi => {
                fault.help("a server that is compatible and needs no key: set OPENAI_BASE_URL")
            }
            Provider::Anthropic | Provider::Gemini | Provider::Ollama => fault,
        }
    })?;
    if asking.needs_prices && model.price().is_none() {
        return Err(Fault::usage(format!(
            "`max_cost` cannot be kept: nobody knows what {name} costs"
        ))
        .help(format!(
            "add [prices.\"{name}\"] with `input` and `output`, in US dollars per million tokens"
        )));
    }
    Ok(model)
}

fn timeouts(def: &TimeoutsDef) -> Timeouts {
    let base = Timeouts::default();
    Timeouts {
        connect: def.connect.unwrap_or(base.connect),
        first_token: def.first_token.unwrap_or(base.first_token),
        idle: def.idle.unwrap_or(base.idle),
        whole: def.whole.unwrap_or(base.whole),
    }
}

/// The listed prices with those of the file before them.
fn prices(file: &RunFile) -> Prices {
    file.prices.iter().fold(Prices::listed(), |prices, def| {
        let price = Price { input: def.input, cached: def.cached, output: def.output };
        prices.with(&def.model, price)
    })
}
