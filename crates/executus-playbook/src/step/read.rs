//! Reading `[[step]]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::de::DeValue;

use super::args::read_args;
use super::verify::read_verify;
use super::{OnFailure, StepDef, StepKind};
use crate::capability::CapabilitiesDef;
use crate::diagnostic::listed;
use crate::fields::read_fields;
use crate::file::driven;
use crate::name::nearest;
use crate::param::ParamDef;
use crate::reader::{Item, Reader, Section, Text};
use crate::scope::Scope;
use crate::template::Template;
use crate::tool::ToolDef;

const KEYS: [&str; 10] = [
    "id",
    "description",
    "tool",
    "args",
    "extract",
    "fields",
    "store_as",
    "verify",
    "on_failure",
    "failure_message",
];

const MODES: [(&str, OnFailure); 3] = [
    ("abort", OnFailure::Abort),
    ("retry", OnFailure::Retry),
    ("llm_recover", OnFailure::LlmRecover),
];

/// What the steps of a file are read against.
#[derive(Debug)]
pub(crate) struct Surroundings<'s> {
    pub(crate) params: &'s [ParamDef],
    pub(crate) tools: &'s [Arc<ToolDef>],
    pub(crate) capabilities: Option<&'s CapabilitiesDef>,
    pub(crate) has_model: bool,
}

impl Surroundings<'_> {
    pub(super) fn is_sensitive(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.sensitive && param.name == name)
    }
}

/// Reads all `[[step]]` tables; `scope` gets every name that they store.
pub(crate) fn read_steps<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    around: &Surroundings<'_>,
    scope: &mut Scope,
) -> Vec<StepDef> {
    let elements = item.array(reader, "`[[step]]` tables").unwrap_or_default();
    if elements.is_empty() && matches!(item.value, DeValue::Array(_)) {
        reader.problem(item.at, "there are no steps", "at least one `[[step]]` table");
    }
    let mut ids = BTreeSet::new();
    let mut steps = Vec::new();
    for element in &elements {
        let Some(table) = element.table(reader, "a `[[step]]` table") else { continue };
        let section = Section::strict(reader, "[[step]]", element.at, table, &KEYS);
        let id = section.require(reader, "id", "\"a_name\"").copied();
        let id = id.and_then(|item| item.name(reader));
        if let Some(id) = id.filter(|id| !ids.insert(id.value)) {
            let message = format!("a second step is called `{}`", id.value);
            reader.problem(id.at, message, "an id of its own for each step");
        }
        let step = read_step(reader, &section, id, around, scope);
        if let Some(name) = section.get("store_as").and_then(|item| item.name(reader))
            && !scope.add(name.value)
        {
            let message = format!("`{}` is already a parameter or a stored result", name.value);
            reader.bad_reference(name.at, message, "a name of its own for each stored result");
        }
        steps.extend(step);
    }
    steps
}

fn read_step<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    id: Option<Text<'a>>,
    around: &Surroundings<'_>,
    scope: &Scope,
) -> Option<StepDef> {
    let description = section.get("description").and_then(|item| item.text(reader, "a text"));
    let description = description.map(|text| scope.template(reader, text));
    let failure = section.get("failure_message").and_then(|item| item.text(reader, "a text"));
    let failure_message = failure.map(|text| scope.template(reader, text));
    let verify = section.get("verify").and_then(|item| read_verify(reader, item, around, scope));
    let on_failure = read_mode(reader, section, around);
    let kind = match section.means("extract") {
        true => read_extract(reader, section, around, scope),
        false => read_call(reader, section, around, scope),
    };
    let store_as = section.get("store_as").and_then(|item| item.value.as_str());
    let id = id?;
    Some(StepDef {
        id: id.value.into(),
        description: description.unwrap_or_else(|| Template::parse(id.value)),
        kind: kind?,
        store_as: store_as.map(str::to_owned),
        verify,
        on_failure,
        failure_message: failure_message.unwrap_or_default(),
    })
}

fn read_call<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    around: &Surroundings<'_>,
    scope: &Scope,
) -> Option<StepKind> {
    if let Some(fields) = section.get("fields") {
        let message = "`fields` is for a step with `extract`";
        reader.problem(fields.key_at, message, "the text to read: `extract` = \"{page}\"");
    }
    let tool = section.require(reader, "tool", "the name of a tool").copied();
    let tool = tool.and_then(|item| {
        let name = item.text(reader, "the name of a tool")?;
        let tool = around.tools.iter().find(|tool| *tool.name == *name.value);
        if tool.is_none() {
            if let Some(capability) = driven(around.capabilities, name.value) {
                let message = format!("`{}` is a driver of `{}`", name.value, capability.id);
                let expected = format!("the capability: `{}`", capability.tool.name);
                reader.bad_reference(name.at, message, expected);
                return None;
            }
            let names = || around.tools.iter().map(|tool| &*tool.name);
            let expected = match nearest(name.value, names()) {
                Some(meant) => format!("`{meant}`"),
                None => format!("a declared tool; there are: {}", listed(names())),
            };
            let message = format!("no [[tool]] is called `{}`", name.value);
            reader.bad_reference(name.at, message, expected);
        }
        tool
    });
    let args = read_args(reader, section, tool, around, scope);
    Some(StepKind::Call { tool: Arc::clone(tool?), args })
}

fn read_extract<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    around: &Surroundings<'_>,
    scope: &Scope,
) -> Option<StepKind> {
    for key in ["tool", "args"] {
        if let Some(item) = section.get(key) {
            let message = format!("a step with `extract` has no `{key}`");
            reader.problem(item.key_at, message, "either `extract` with `fields`, or `tool`");
        }
    }
    let item = section.get("extract");
    if let Some(item) = item.filter(|_| !around.has_model) {
        let message = "`extract` needs a model, and the file names none";
        reader.problem(item.key_at, message, "a `model` in the file, or a `tool`");
    }
    let text = item.and_then(|item| item.filled(reader, "the text to read such as \"{page}\""));
    let text = text.map(|text| scope.template(reader, text));
    let fields = section.require(reader, "fields", "a table of fields").copied();
    let fields = fields.map(|item| read_fields(reader, "[step.fields]", &item));
    Some(StepKind::Extract { text: text?, fields: fields? })
}

fn read_mode<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    around: &Surroundings<'_>,
) -> OnFailure {
    let item = section.get("on_failure");
    let mode = item.map(|item| item.word(reader, &MODES));
    if around.has_model {
        return mode.flatten().unwrap_or_default();
    }
    match (item, mode) {
        (None, _) => {
            let message = "[[step]] has no `on_failure`, and without a `model` nothing can recover";
            reader.problem(section.at, message, "`on_failure` = \"abort\" or \"retry\"");
        }
        (Some(item), Some(Some(OnFailure::LlmRecover))) => {
            let message = "`llm_recover` needs a model, and the file names none";
            reader.problem(item.at, message, "`abort` or `retry`, or a `model` in the file");
        }
        _ => {}
    }
    mode.flatten().unwrap_or_default()
}
