//! A run file: what runs, with which parameters, limits and tools.

use std::path::Path;
use std::sync::Arc;

use executus_core::Brief;
use executus_core::digest::{Digest, Hasher};
use serde_json::Value;
use toml::de::DeTable;

use crate::capability::{CapabilitiesDef, CapabilityDef, read_capabilities};
use crate::deliver::{DeliverDef, read_deliver};
use crate::diagnostic::{Diagnostic, Problem};
use crate::fields::schema;
use crate::guardrails::{CriticDef, GuardDef};
use crate::input::Bound;
use crate::limits::LimitsDef;
use crate::models::{names_model, read_models};
use crate::output::{OutputDef, RecoveryDef};
use crate::palette::{PaletteDef, read_tiers};
use crate::param::{Owner, ParamDef, read_params};
use crate::prices::{PriceDef, read_prices};
use crate::progress::Known;
use crate::reader::{Reader, Section};
use crate::scope::Scope;
use crate::source::Source;
use crate::step::{StepDef, Surroundings, read_steps};
use crate::template::Template;
use crate::timeouts::TimeoutsDef;
use crate::tool::{ToolDef, read_tools};

/// A run file, read and checked.
///
/// A file that loads has no placeholder that cannot be bound, no step without its tool, and no
/// argument that its tool does not take.
#[derive(Debug, Clone)]
pub struct RunFile {
    /// The name of what runs.
    pub name: Arc<str>,
    /// What it does, for those that may delegate to it.
    pub description: Option<String>,
    /// The models that those may choose from, by tier, in file order.
    pub tiers: Vec<(String, String)>,
    /// The models as the file names them, `provider:model`, in the order in which they are asked:
    /// each one when those before it fail. At least one for an agent.
    pub models: Vec<String>,
    /// The parameters, in file order.
    pub params: Vec<ParamDef>,
    /// The limits that the file names.
    pub limits: LimitsDef,
    /// The prices of models, in file order.
    pub prices: Vec<PriceDef>,
    /// How long a model may take.
    pub timeouts: TimeoutsDef,
    /// The tools, in file order.
    pub tools: Vec<Arc<ToolDef>>,
    /// The capabilities, their principal and their policy, where there are some.
    pub capabilities: Option<CapabilitiesDef>,
    /// Where the result goes, in file order; where the configuration says, when there is none.
    pub deliver: Vec<DeliverDef>,
    /// The critic, where the file asks for one.
    pub critic: Option<CriticDef>,
    /// The guards around its tools, where the file asks for some.
    pub guard: Option<GuardDef>,
    /// What decides.
    pub body: Body,
    /// The digest of the file's text: another text, another digest.
    pub digest: Digest,
}

/// What decides in a run.
#[derive(Debug, Clone)]
pub enum Body {
    /// Fixed steps.
    Playbook(PlaybookDef),
    /// A language model.
    Agent(AgentDef),
}

/// A playbook's own part of its file.
#[derive(Debug, Clone)]
pub struct PlaybookDef {
    /// The steps, at least one.
    pub steps: Vec<StepDef>,
    /// What it answers.
    pub output: OutputDef,
    /// How far a model may go that takes over.
    pub recovery: RecoveryDef,
}

/// An agent's own part of its file. Its templates bind the run's parameters.
#[derive(Debug, Clone)]
pub struct AgentDef {
    /// What the model is told first.
    pub system: Option<Template>,
    /// The task.
    pub prompt: Template,
    /// What it may delegate to.
    pub palette: Option<PaletteDef>,
}

#[derive(Clone, Copy)]
enum Kind {
    Playbook,
    Agent,
}

const PLAYBOOK_KEYS: [&str; 20] = [
    "kind",
    "name",
    "description",
    "tiers",
    "model",
    "models",
    "params",
    "limits",
    "timeouts",
    "prices",
    "tool",
    "principal",
    "policy",
    "capability",
    "deliver",
    "step",
    "recovery",
    "output",
    "critic",
    "guard",
];
const AGENT_KEYS: [&str; 20] = [
    "kind",
    "name",
    "description",
    "tiers",
    "palette",
    "model",
    "models",
    "system",
    "prompt",
    "params",
    "limits",
    "timeouts",
    "prices",
    "tool",
    "principal",
    "policy",
    "capability",
    "deliver",
    "critic",
    "guard",
];

impl RunFile {
    /// Reads a file of at most [`MAX_FILE_BYTES`](crate::MAX_FILE_BYTES). Blocks on the file.
    ///
    /// # Errors
    /// The [`Diagnostic`] tells the first mistake: where it stands and what was expected.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Diagnostic> {
        Self::from_source(&Source::read(path.as_ref())?)
    }

    /// Reads a file from memory; `file` is its name in diagnostics.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(file: &str, bytes: impl Into<Vec<u8>>) -> Result<Self, Diagnostic> {
        Self::from_source(&Source::from_bytes(file.to_owned(), bytes.into())?)
    }

    fn from_source(source: &Source) -> Result<Self, Diagnostic> {
        read(source.text()).map_err(|problem| source.diagnostic(problem))
    }

    /// The parameter with this name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&ParamDef> {
        self.params.iter().find(|param| param.name == name)
    }

    /// The parameters that whoever delegates may pass, as a JSON schema: all but the sensitive ones.
    #[must_use]
    pub fn input_schema(&self) -> Value {
        let open = self.params.iter().filter(|param| !param.sensitive).cloned();
        let mut schema = schema(&open.collect::<Vec<_>>());
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            // What the environment gives need not be passed.
            required.retain(|name| {
                let param = name.as_str().and_then(|name| self.param(name));
                param.is_none_or(|param| param.env.is_none())
            });
        }
        schema
    }

    /// The capability that this tool is a driver of; `None` for a tool that is called directly.
    #[must_use]
    pub fn driven(&self, tool: &str) -> Option<&CapabilityDef> {
        driven(self.capabilities.as_ref(), tool)
    }

    /// What an agent's model is asked, with the parameters bound; a sensitive one shows as
    /// `[redacted]`. `None` for a playbook.
    #[must_use]
    pub fn brief(&self, bound: &Bound) -> Option<Brief> {
        let Body::Agent(agent) = &self.body else { return None };
        let known = Known::new(&self.params, &bound.inputs);
        // A parameter in clear, or the file itself, may hold the value of a sensitive one.
        let render = |template: &Template| bound.secrets.redact(known.render(template));
        let brief = Brief::new(render(&agent.prompt));
        Some(match &agent.system {
            Some(system) => brief.system(render(system)),
            None => brief,
        })
    }
}

fn read(text: &str) -> Result<RunFile, Problem> {
    if text.trim().is_empty() {
        let expected = "a run file that begins with `kind = \"playbook\"` or `kind = \"agent\"`";
        return Err(Problem::new(0, "the file is empty", expected));
    }
    let root = DeTable::parse(text).map_err(|error| syntax_problem(text, &error))?;
    let mut reader = Reader::new(text);
    let file = read_root(&mut reader, text, root.get_ref());
    match (reader.finish(), file) {
        (Some(problem), _) => Err(problem),
        (None, Some(file)) => Ok(file),
        // Whatever is missing was noted; should that ever be forgotten, it is still an error.
        (None, None) => Err(Problem::new(0, "the file is not complete", "a whole run file")),
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or_default();
    let at = span.start.min(text.len());
    let there = text.get(span).unwrap_or_default();
    let line = text.get(at..).unwrap_or_default().lines().next().unwrap_or_default();
    // The parser's own words for the commonest slips say little.
    if error.message() == "duplicate key" {
        return Problem::new(at, format!("`{there}` is there twice"), "each key and table once");
    }
    if error.message().starts_with("string values must be quoted") {
        return match line.trim() {
            "" => Problem::new(at, "the value is missing", "a value such as \"text\""),
            _ => Problem::new(at, format!("`{there}` is no value"), "a text in quotes: \"text\""),
        };
    }
    if there.starts_with(|c: char| c.is_control() && !matches!(c, '\n' | '\r')) {
        let message = format!("the control character {}", there.escape_unicode());
        return Problem::new(at, message, "a text without it, or an escape such as `\\u001b`");
    }
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, expected),
        None => (error.message(), "a TOML file"),
    };
    Problem::new(at, format!("not valid TOML: {message}"), expected)
}

fn read_root<'a>(reader: &mut Reader<'a>, text: &str, root: &'a DeTable<'a>) -> Option<RunFile> {
    let section = Section::free(reader, "the file", 0, root);
    let kinds = [("playbook", Kind::Playbook), ("agent", Kind::Agent)];
    let kind = section.require(reader, "kind", "\"playbook\" or \"agent\"").copied();
    let kind = kind.and_then(|item| item.word(reader, &kinds));
    match kind {
        Some(Kind::Playbook) => section.allow(reader, &PLAYBOOK_KEYS),
        Some(Kind::Agent) => section.allow(reader, &AGENT_KEYS),
        None => {}
    }
    let name = section.require(reader, "name", "\"a-name\"").copied();
    let name = name.and_then(|item| item.filled(reader, "a name"));
    if let Some((text, decoded)) =
        name.and_then(|text| Some((text, text.value.find(char::is_control)?)))
    {
        let message = "the name holds a control character";
        reader.problem(text.offset(decoded), message, "a name of one line");
    }
    let description = section.get("description");
    let description = description.and_then(|item| item.filled(reader, "what it does, as a text"));
    let tiers = section.get("tiers").map(|item| read_tiers(reader, item));
    let models = read_models(reader, &section);
    let params = section.get("params");
    let params = params.map(|item| read_params(reader, "[params]", item, Owner::Run));
    let params = params.unwrap_or_default();
    let limits = section.get("limits").map(|item| LimitsDef::read(reader, item));
    let timeouts = section.get("timeouts").map(|item| TimeoutsDef::read(reader, item));
    let prices = section.get("prices").map(|item| read_prices(reader, item));
    let tools = section.get("tool").map(|item| read_tools(reader, item, &params));
    let tools = tools.unwrap_or_default();
    let deliver = section.get("deliver").map(|item| read_deliver(reader, item));
    let critic = section.get("critic").map(|item| CriticDef::read(reader, item));
    let guard = section.get("guard").map(|item| GuardDef::read(reader, item));
    let is_agent = matches!(kind, Some(Kind::Agent));
    let capabilities = read_capabilities(reader, &section, &tools, is_agent);
    let body = match kind? {
        Kind::Playbook => {
            let capabilities = capabilities.as_ref();
            let book = read_playbook(reader, &section, &params, &tools, capabilities);
            book.map(Body::Playbook)
        }
        Kind::Agent => read_agent(reader, &section, &params).map(Body::Agent),
    };
    let mut hasher = Hasher::new();
    hasher.text(text);
    Some(RunFile {
        name: name?.value.into(),
        description: description.map(|text| text.value.to_owned()),
        tiers: tiers.unwrap_or_default(),
        models,
        params,
        limits: limits.unwrap_or_default(),
        prices: prices.unwrap_or_default(),
        timeouts: timeouts.unwrap_or_default(),
        tools,
        capabilities,
        deliver: deliver.unwrap_or_default(),
        critic,
        guard,
        body: body?,
        digest: hasher.finish(),
    })
}

/// The first capability that this tool is a driver of.
pub(crate) fn driven<'c>(
    capabilities: Option<&'c CapabilitiesDef>,
    tool: &str,
) -> Option<&'c CapabilityDef> {
    let mut all = capabilities?.all.iter();
    all.find(|capability| capability.drivers.iter().any(|driver| *driver.name == *tool))
}

fn read_playbook<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    params: &[ParamDef],
    tools: &[Arc<ToolDef>],
    capabilities: Option<&CapabilitiesDef>,
) -> Option<PlaybookDef> {
    let mut scope = Scope::new(
        "a parameter or an earlier `store_as`",
        params.iter().map(|param| param.name.as_str()),
    );
    let has_model = names_model(root);
    // A step calls a capability like a tool, and the tools behind it not at all.
    let direct = tools.iter().filter(|tool| driven(capabilities, &tool.name).is_none());
    let of_capabilities = capabilities.iter().flat_map(|def| &def.all).map(|def| &def.tool);
    let tools: Vec<_> = direct.chain(of_capabilities).cloned().collect();
    let around = Surroundings { params, tools: &tools, capabilities, has_model };
    let steps = root.require(reader, "step", "at least one `[[step]]` table").copied();
    let steps = steps.map(|item| read_steps(reader, &item, &around, &mut scope));
    let output = root.get("output");
    let output = output.and_then(|item| OutputDef::read(reader, item, &scope, has_model));
    let recovery = root.get("recovery");
    let recovery = recovery.map(|item| RecoveryDef::read(reader, item, has_model));
    Some(PlaybookDef {
        steps: steps?,
        output: output.unwrap_or_default(),
        recovery: recovery.unwrap_or_default(),
    })
}

fn read_agent<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    params: &[ParamDef],
) -> Option<AgentDef> {
    let scope =
        Scope::new("a parameter of the run", params.iter().map(|param| param.name.as_str()));
    if !names_model(root) {
        root.require(reader, "model", "\"provider:model\"");
    }
    let system = root.get("system").and_then(|item| item.text(reader, "a text"));
    let system = system.map(|text| scope.template(reader, text));
    let prompt = root.require(reader, "prompt", "the task as a text").copied();
    let prompt = prompt.and_then(|item| item.filled(reader, "the task as a text"));
    let prompt = prompt.map(|text| scope.template(reader, text));
    let palette = root.get("palette").map(|item| PaletteDef::read(reader, item));
    Some(AgentDef { system, prompt: prompt?, palette })
}
