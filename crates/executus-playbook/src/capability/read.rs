//! Reading `[[capability]]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use executus_core::Effect;
use toml::de::DeValue;

use super::policy::{one_line, read_policy, read_principal, texts};
use super::{CapabilitiesDef, CapabilityDef, ModeDef, SafetyDef, SensitivityDef};
use crate::diagnostic::listed;
use crate::name::{MAX_NAME_BYTES, is_name, nearest};
use crate::param::ParamDef;
use crate::reader::{Item, Reader, Section, Text};
use crate::tool::{ToolDef, read_approval};

const KEYS: [&str; 13] = [
    "id",
    "name",
    "description",
    "safety",
    "sensitivity",
    "allowed_fields",
    "tags",
    "mode",
    "max_rows",
    "drivers",
    "idempotent",
    "approval",
    "approval_timeout",
];

const SAFETIES: [(&str, SafetyDef); 3] = [
    ("read", SafetyDef::Read),
    ("write", SafetyDef::Write),
    ("destructive", SafetyDef::Destructive),
];
const SENSITIVITIES: [(&str, SensitivityDef); 5] = [
    ("none", SensitivityDef::None),
    ("pii", SensitivityDef::Pii),
    ("pci", SensitivityDef::Pci),
    ("secrets", SensitivityDef::Secrets),
    ("memory", SensitivityDef::Memory),
];
const MODES: [(&str, ModeDef); 4] = [
    ("summary", ModeDef::Summary),
    ("table", ModeDef::Table),
    ("handle_only", ModeDef::HandleOnly),
    ("raw", ModeDef::Raw),
];

const ID: &str = "two or more segments of lower-case letters, digits, `_` and `-`, joined by dots, \
    at most 64 characters with `__` for each dot, such as \"tickets.close\"";
const DRIVERS: &str = "an array of names of tools such as [\"close_ticket\"]";

/// Reads `[[capability]]`, `[principal]` and `[policy]`; `None` when there is no capability.
pub(crate) fn read_capabilities<'a>(
    reader: &mut Reader<'a>,
    root: &Section<'a>,
    tools: &[Arc<ToolDef>],
    is_agent: bool,
) -> Option<CapabilitiesDef> {
    let item = root.get("capability");
    for key in ["principal", "policy"] {
        if let Some(alone) = root.get(key).filter(|_| !root.means("capability")) {
            let message = format!("`[{key}]` says nothing without a capability");
            let expected = format!("a `[[capability]]` table, or no `[{key}]`");
            reader.problem(alone.key_at, message, expected);
        }
    }
    let principal = root.get("principal").map(|item| read_principal(reader, item));
    let policy = root.get("policy").map(|item| read_policy(reader, item, is_agent));
    let item = item?;
    let elements = item.array(reader, "`[[capability]]` tables")?;
    if elements.is_empty() && matches!(item.value, DeValue::Array(_)) {
        reader.problem(item.at, "there are no capabilities", "at least one `[[capability]]` table");
    }
    let mut names = BTreeMap::new();
    let mut all = Vec::new();
    for element in &elements {
        let Some(table) = element.table(reader, "a `[[capability]]` table") else { continue };
        let section = Section::strict(reader, "[[capability]]", element.at, table, &KEYS);
        let id = read_id(reader, &section, tools, &mut names);
        let capability = read_capability(reader, &section, id, tools);
        let asks = capability.as_ref().is_some_and(|it: &CapabilityDef| it.tool.approval.is_some());
        if asks && policy.as_ref().is_some_and(|policy| policy.search) {
            let at = section.get("approval").map_or(element.at, |item| item.key_at);
            let message = "a model that looks for capabilities calls all of them by one tool";
            reader.problem(at, message, "no `search` in [policy], or no `approval`");
        }
        all.extend(capability);
    }
    Some(CapabilitiesDef {
        principal: principal.unwrap_or_default(),
        policy: policy.unwrap_or_default(),
        all,
    })
}

/// The id, and what its tool is called. `names` has the ids of those before it, by their tools.
fn read_id<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    tools: &[Arc<ToolDef>],
    names: &mut BTreeMap<String, &'a str>,
) -> Option<(Text<'a>, String)> {
    let id = section.require(reader, "id", "\"tickets.close\"").copied()?;
    let id = id.text(reader, ID)?;
    let segment = |segment: &str| {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
        };
        !segment.is_empty() && segment.bytes().all(plain)
    };
    let name = id.value.replace('.', "__");
    let is_id = id.value.contains('.') && id.value.split('.').all(segment);
    if !is_id || !is_name(&name) || name.len() > MAX_NAME_BYTES {
        reader.problem(id.at, format!("`{}` is no id of a capability", id.value), ID);
        return None;
    }
    match names.insert(name.clone(), id.value) {
        Some(other) if other == id.value => {
            let message = format!("a second capability is called `{other}`");
            reader.problem(id.at, message, "an id of its own for each capability");
        }
        Some(other) => {
            let message = format!("`{}` and `{other}` would both be the tool `{name}`", id.value);
            reader.problem(id.at, message, "an id that differs in more than `__` and dots");
        }
        None => {}
    }
    if tools.iter().any(|tool| *tool.name == *name) {
        let message = format!("the capability's tool `{name}` is called like another tool");
        reader.bad_reference(id.at, message, "another id, or another name of the tool");
    }
    Some((id, name))
}

fn read_capability<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    id: Option<(Text<'a>, String)>,
    tools: &[Arc<ToolDef>],
) -> Option<CapabilityDef> {
    let name = section.get("name").and_then(|item| one_line(reader, item, "a name"));
    let about = section.get("description").and_then(|item| item.filled(reader, "a text"));
    let safety = section.require(reader, "safety", "\"read\", \"write\" or \"destructive\"");
    let safety = safety.copied().and_then(|item| item.word(reader, &SAFETIES));
    let sensitivity = section.get("sensitivity");
    let sensitivity = sensitivity.and_then(|item| item.word(reader, &SENSITIVITIES));
    let list = |reader: &mut Reader<'a>, key, expected| {
        section.get(key).map(|item| texts(reader, item, expected)).unwrap_or_default()
    };
    let allowed_fields = list(reader, "allowed_fields", "names of fields such as [\"id\"]");
    let tags = list(reader, "tags", "words such as [\"tickets\"]");
    let mode = section.get("mode").and_then(|item| item.word(reader, &MODES));
    let max_rows = section.get("max_rows").and_then(|item| item.positive(reader));
    let idempotent = section.get("idempotent").and_then(|item| item.boolean(reader));
    let idempotent = idempotent.unwrap_or_default();
    let effect = safety.map(|safety| effect_of(safety, idempotent));
    let approval = read_approval(reader, section);
    let item = section.require(reader, "drivers", "[\"a_tool\"]").copied();
    let drivers = item.map(|item| read_drivers(reader, &item, tools, effect)).unwrap_or_default();
    let (id, tool_name) = id?;
    let first = drivers.first()?;
    let about = about.map_or_else(|| first.description.clone(), |text| text.value.to_owned());
    let tool = ToolDef {
        name: tool_name.into(),
        description: about,
        effect: effect?,
        timeout: None,
        approval,
        ..ToolDef::clone(first)
    };
    Some(CapabilityDef {
        id: id.value.into(),
        name: name.unwrap_or_else(|| id.value.to_owned()),
        safety: safety?,
        sensitivity: sensitivity.unwrap_or_default(),
        allowed_fields,
        tags,
        mode: mode.unwrap_or_default(),
        max_rows,
        idempotent,
        drivers,
        tool: Arc::new(tool),
    })
}

const fn effect_of(safety: SafetyDef, idempotent: bool) -> Effect {
    match (safety, idempotent) {
        (SafetyDef::Read, _) => Effect::ReadOnly,
        (SafetyDef::Write | SafetyDef::Destructive, true) => Effect::Idempotent,
        (SafetyDef::Write | SafetyDef::Destructive, false) => Effect::Once,
    }
}

fn read_drivers<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    tools: &[Arc<ToolDef>],
    effect: Option<Effect>,
) -> Vec<Arc<ToolDef>> {
    let mut drivers: Vec<Arc<ToolDef>> = Vec::new();
    let elements = item.array(reader, DRIVERS).unwrap_or_default();
    if elements.is_empty() && matches!(item.value, DeValue::Array(_)) {
        reader.problem(item.at, "`drivers` is empty", DRIVERS);
    }
    for element in &elements {
        let Some(name) = element.text(reader, DRIVERS) else { continue };
        let Some(tool) = tools.iter().find(|tool| *tool.name == *name.value) else {
            let names = || tools.iter().map(|tool| &*tool.name);
            let expected = match nearest(name.value, names()) {
                Some(meant) => format!("`{meant}`"),
                None => format!("a declared tool; there are: {}", listed(names())),
            };
            let message = format!("no [[tool]] is called `{}`", name.value);
            reader.bad_reference(name.at, message, expected);
            continue;
        };
        if drivers.iter().any(|driver| driver.name == tool.name) {
            let message = format!("the driver `{}` is there twice", tool.name);
            reader.problem(name.at, message, "each tool once: it is tried once");
        }
        if let Some(effect) = effect {
            check_effect(reader, name, tool, effect);
        }
        if tool.approval.is_some() {
            let message = format!("nobody is asked about `{}`: it is a driver", tool.name);
            reader.bad_reference(name.at, message, "`approval` of the [[capability]] instead");
        }
        if let Some(first) = drivers.first().filter(|first| !takes_the_same(first, tool)) {
            let message = format!("`{}` takes other parameters than `{}`", tool.name, first.name);
            reader.bad_reference(name.at, message, "drivers that take the same parameters");
        }
        drivers.push(Arc::clone(tool));
    }
    drivers
}

/// A driver must do no more to the world than its capability says.
fn check_effect<'a>(reader: &mut Reader<'a>, name: Text<'a>, tool: &ToolDef, effect: Effect) {
    let fits = match effect {
        Effect::ReadOnly => tool.effect == Effect::ReadOnly,
        Effect::Idempotent => tool.effect != Effect::Once,
        Effect::Once => true,
    };
    if !fits {
        let (found, needed) = (tool.effect.as_str(), effect.as_str());
        let message = format!(
            "the tool `{}` is `{found}`, and by `safety` and `idempotent` it is `{needed}`",
            tool.name
        );
        let expected = format!("a tool with `effect = \"{needed}\"`, or another `safety`");
        reader.bad_reference(name.at, message, expected);
    }
}

/// Whether both take the same arguments, whatever their descriptions say.
fn takes_the_same(one: &ToolDef, other: &ToolDef) -> bool {
    let params = |tool: &ToolDef| {
        let mut params = tool.params.clone();
        params.iter_mut().for_each(|param| param.description.clear());
        params.sort_by(|a: &ParamDef, b| a.name.cmp(&b.name));
        params
    };
    params(one) == params(other)
}
