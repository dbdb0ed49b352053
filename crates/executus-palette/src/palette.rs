//! The palette itself: its entries, and what happens when one is called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::executor::RunObserver;
use executus_core::port::{Delegation, EntryKind, Palette, PaletteEntry, PaletteError, RunStart};
use executus_core::{Effect, RunId, RunStatus, ToolOutput};
use serde_json::{Value, json};

use crate::agent::{Agent, AgentCall, Args, follow, inside};
use crate::config::PaletteLimits;
use crate::error::FileError;
use crate::lineage::{Lineage, Node, Spent};
use crate::skill::Skill;

mod build;

pub use build::PaletteBuilder;

/// Skills and agents of one process. Clones share it.
#[derive(Clone)]
pub struct LocalPalette(Arc<Parts>);

struct Parts {
    skills: BTreeMap<Arc<str>, Skill>,
    agents: BTreeMap<Arc<str>, Arc<dyn Agent>>,
    limits: PaletteLimits,
    lineage: Lineage,
}

impl LocalPalette {
    /// A palette to be filled.
    #[must_use]
    pub fn builder() -> PaletteBuilder {
        PaletteBuilder::default()
    }

    /// The skills, by name.
    pub fn skills(&self) -> impl Iterator<Item = &Skill> {
        self.0.skills.values()
    }

    /// The agents, by name.
    pub fn agents(&self) -> impl Iterator<Item = &Arc<dyn Agent>> {
        self.0.agents.values()
    }

    fn entry(&self, kind: EntryKind, name: &Arc<str>) -> Result<PaletteEntry, PaletteError> {
        match kind {
            EntryKind::Skill => {
                let skill = find(&self.0.skills, kind, name)?;
                Ok(PaletteEntry {
                    kind,
                    name: Arc::clone(name),
                    description: Arc::clone(skill.description()),
                    parameters: Arc::new(skill_schema()),
                    effect: Effect::ReadOnly,
                })
            }
            EntryKind::Agent => {
                let entry = find(&self.0.agents, kind, name)?.entry();
                Ok(PaletteEntry {
                    kind,
                    name: Arc::clone(name),
                    description: Arc::clone(&entry.description),
                    parameters: Arc::new(Args::schema(entry)),
                    effect: entry.effect,
                })
            }
        }
    }

    /// Runs an agent as a child of the run that calls.
    async fn run(&self, delegation: &Delegation<'_>) -> Result<ToolOutput, PaletteError> {
        let context = delegation.context;
        let agent = find(&self.0.agents, EntryKind::Agent, delegation.name)?;
        let entry = agent.entry();
        let args = Args::read(entry, delegation.args)?;
        let parent = self.0.lineage.caller(context);
        let limits = inside(&entry.limits, context, parent.spent_below())?;
        let call = AgentCall {
            input: &args.input,
            tier: args.tier.as_deref(),
            prompt_prefix: args.prompt_prefix.as_deref(),
            tools: args.tools.as_deref(),
            limits: &limits,
            context,
        };
        let id = RunId::random();
        let place = (&id, &entry.name);
        let node = self.0.lineage.enter((context, &parent), place, &self.0.limits)?;
        let forget = Forget(self.0.lineage.forgetting(&id));
        let mut request = agent.request(&call).await?;
        let is_chosen =
            |name: &str| args.tools.as_ref().is_none_or(|tools| tools.iter().any(|t| t == name));
        let delegates = entry
            .delegates
            .iter()
            .filter(|(kind, name)| is_chosen(&format!("{}{name}", kind.prefix())));
        request =
            request.run_id(id.clone()).subject(Arc::clone(&entry.name)).limits(limits.clone());
        for (kind, name) in delegates {
            request = request.delegate_to(*kind, Arc::clone(name));
        }
        // Until it has ended, not until nobody waits for it: it may still delegate.
        request = request.on_clean_up("forget who delegated", move || async move {
            drop(forget);
            Ok(())
        });
        let events = request.watch(EVENTS);
        let child = context
            .delegate(request)
            .map_err(|error| PaletteError::Failed { message: error.to_string() })?;
        let _bill = Bill { parent, node, child: child.observe() };
        let outcome = follow(&entry.name, &child, events, context).await;
        match (outcome.status, &outcome.error) {
            (RunStatus::Ok, _) => Ok(ToolOutput::text(outcome.output.clone().unwrap_or_default())),
            (status, error) => {
                let name = &entry.name;
                let mut message = format!("the agent `{name}` (run {id}) ended {status}");
                if let Some(error) = error {
                    message = format!("{message}: {}", error.message);
                }
                Err(PaletteError::Failed { message })
            }
        }
    }

    /// Gives a skill's instructions, or one of its files.
    async fn show(&self, delegation: &Delegation<'_>) -> Result<ToolOutput, PaletteError> {
        let skill = find(&self.0.skills, EntryKind::Skill, delegation.name)?;
        let Some(file) = file_of(delegation.args)? else {
            return Ok(ToolOutput::text(skill.instructions()));
        };
        let (skill, file) = (skill.clone(), file.to_owned());
        let read = tokio::task::spawn_blocking(move || skill.read(&file)).await;
        match read {
            Ok(Ok(text)) => Ok(ToolOutput::text(text)),
            Ok(Err(error @ (FileError::Escapes { .. } | FileError::Unknown { .. }))) => {
                Err(PaletteError::Arguments { message: error.to_string() })
            }
            Ok(Err(error)) => Err(PaletteError::Failed { message: error.to_string() }),
            Err(error) => Err(PaletteError::Failed { message: error.to_string() }),
        }
    }
}

/// How many events of a child may wait to be passed on.
const EVENTS: usize = 64;

fn find<'m, T>(
    entries: &'m BTreeMap<Arc<str>, T>,
    kind: EntryKind,
    name: &str,
) -> Result<&'m T, PaletteError> {
    entries.get(name).ok_or_else(|| PaletteError::Unknown { kind, name: name.to_owned() })
}

fn skill_schema() -> Value {
    let described = "A file of the skill, as its instructions name it. Leave it out to read the \
                     instructions, which come first.";
    json!({
        "type": "object",
        "properties": {"file": {"type": "string", "description": described}},
        "additionalProperties": false,
    })
}

/// The file that a call of a skill asks for.
fn file_of(args: &Value) -> Result<Option<&str>, PaletteError> {
    let wrong = |message: String| Err(PaletteError::Arguments { message });
    let args = match args {
        Value::Null => return Ok(None),
        Value::Object(args) => args,
        _ => return wrong("expected an object".into()),
    };
    if let Some(name) = args.keys().find(|name| *name != "file") {
        return wrong(format!("there is no argument `{name}`; there is: file"));
    }
    match args.get("file") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(file)) if file.trim().is_empty() => Ok(None),
        Some(Value::String(file)) => Ok(Some(file)),
        Some(_) => wrong("`file` must be a text".into()),
    }
}

/// Forgets a run when it is dropped.
struct Forget<F: Fn()>(F);

impl<F: Fn()> Drop for Forget<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Tells the parent what a child spent, also when nobody waits for the child any more.
struct Bill {
    parent: Arc<Node>,
    node: Arc<Node>,
    child: RunObserver,
}

impl Drop for Bill {
    fn drop(&mut self) {
        self.parent.ended(&self.node, Spent::of(&self.child.tally()));
    }
}

#[async_trait]
impl Palette for LocalPalette {
    async fn resolve(
        &self,
        _start: &RunStart,
        names: &[(EntryKind, Arc<str>)],
    ) -> Result<Vec<PaletteEntry>, PaletteError> {
        names.iter().map(|(kind, name)| self.entry(*kind, name)).collect()
    }

    async fn invoke(&self, delegation: Delegation<'_>) -> Result<ToolOutput, PaletteError> {
        match delegation.kind {
            EntryKind::Skill => self.show(&delegation).await,
            EntryKind::Agent => self.run(&delegation).await,
        }
    }
}

impl fmt::Debug for LocalPalette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPalette")
            .field("skills", &self.0.skills.keys())
            .field("agents", &self.0.agents.keys())
            .field("limits", &self.0.limits)
            .field("runs", &self.0.lineage.len())
            .finish()
    }
}
