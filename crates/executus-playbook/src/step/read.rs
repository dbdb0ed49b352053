//! Reading `[[step]]`.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;
use toml::de::DeValue;

use super::{Arg, OnFailure, Pattern, StepDef, Verify};
use crate::name::nearest;
use crate::param::ParamDef;
use crate::reader::{Item, Reader, Section, Text};
use crate::scope::Scope;
use crate::template::{Part, Template};
use crate::tool::ToolDef;
use crate::value::{ParamType, json};

const KEYS: [&str; 8] =
    ["id", "description", "tool", "args", "store_as", "verify", "on_failure", "failure_message"];

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
    pub(crate) has_model: bool,
}

impl Surroundings<'_> {
    fn is_sensitive(&self, name: &str) -> bool {
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
    let tool = section.require(reader, "tool", "the name of a tool").copied();
    let tool = tool.and_then(|item| {
        let name = item.text(reader, "the name of a tool")?;
        let tool = around.tools.iter().find(|tool| *tool.name == *name.value);
        if tool.is_none() {
            let names = || around.tools.iter().map(|tool| &*tool.name);
            let expected = match nearest(name.value, names()) {
                Some(meant) => format!("`{meant}`"),
                None => {
                    format!("a declared tool; there are: {}", crate::diagnostic::listed(names()))
                }
            };
            let message = format!("no [[tool]] is called `{}`", name.value);
            reader.bad_reference(name.at, message, expected);
        }
        tool
    });
    let args = read_args(reader, section, tool, around, scope);
    let store_as = section.get("store_as").and_then(|item| item.value.as_str());
    let id = id?;
    Some(StepDef {
        id: id.value.into(),
        description: description.unwrap_or_else(|| Template::parse(id.value)),
        tool: Arc::clone(tool?),
        args,
        store_as: store_as.map(str::to_owned),
        verify,
        on_failure,
        failure_message: failure_message.unwrap_or_default(),
    })
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

const VERIFY: &str = "exactly one of `contains`, `matches`, `equals` and `not_empty`";

fn read_verify<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    around: &Surroundings<'_>,
    scope: &Scope,
) -> Option<Verify> {
    let table = item.table(reader, &format!("a table with {VERIFY}"))?;
    let known = ["contains", "matches", "equals", "not_empty"];
    let section = Section::strict(reader, "verify", item.at, table, &known);
    let entry = match section.entries() {
        [entry] => *entry,
        [] => {
            reader.problem(item.at, "`verify` says nothing", VERIFY);
            return None;
        }
        [_, second, ..] => {
            let message = format!("`verify` has `{}` as well", second.key);
            reader.problem(second.key_at, message, VERIFY);
            return None;
        }
    };
    if entry.key == "not_empty" {
        if entry.boolean(reader)? {
            return Some(Verify::NotEmpty);
        }
        reader.problem(entry.at, "`not_empty` is false", "`not_empty = true`, or no `verify`");
        return None;
    }
    let text = entry.text(reader, "a text")?;
    let template = scope.template(reader, text);
    let offsets = Template::parse_located(text.value).1;
    let secret = template.names().zip(offsets).find(|(name, _)| around.is_sensitive(name));
    if let Some((name, decoded)) = secret {
        let message = format!("nothing can be verified against the sensitive `{name}`");
        let expected = "a parameter that is not sensitive: results are kept without secrets";
        reader.bad_reference(text.offset(decoded), message, expected);
    }
    match entry.key {
        "contains" if template.is_empty() => {
            reader.problem(entry.at, "`contains` is empty", "the text to look for");
            None
        }
        "contains" => Some(Verify::Contains(template)),
        "equals" => Some(Verify::Equals(template)),
        "matches" => match Pattern::new(template) {
            Ok(pattern) => Some(Verify::Matches(pattern)),
            Err(error) => {
                let message = format!("`matches` is no regular expression: {}", reason(&error));
                reader.problem(entry.at, message, "a regular expression of the Rust crate `regex`");
                None
            }
        },
        _ => None,
    }
}

/// The last line of the error: those before it draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl Pattern {
    /// Checks the expression, with a letter in the place of each bound value.
    fn new(template: Template) -> Result<Self, regex::Error> {
        let trial = template.parts().iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Name(_) => "x",
        });
        let regex = Regex::new(&trial.collect::<String>())?;
        let fixed = template.is_plain().then_some(regex);
        Ok(Self { template, fixed })
    }

    /// The expression as the file has it.
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }
}

fn read_args<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    tool: Option<&Arc<ToolDef>>,
    around: &Surroundings<'_>,
    scope: &Scope,
) -> Vec<(String, Arg)> {
    let mut args = Vec::new();
    let item = section.get("args");
    let title = tool.map_or_else(|| "args".into(), |tool| format!("args of tool `{}`", tool.name));
    if let Some(item) = item {
        let Some(table) = item.table(reader, "a table such as `{ n = 20 }`") else {
            return args;
        };
        for entry in Section::free(reader, title.as_str(), item.at, table).entries() {
            if let Some(tool) = tool {
                check_arg(reader, entry, tool, around);
            }
            if let Some(arg) = read_arg(reader, entry, scope) {
                args.push((entry.key.to_owned(), arg));
            }
        }
    }
    let required = tool.into_iter().flat_map(|tool| &tool.params);
    let given = |name: &str| item.and_then(|item| item.value.as_table()?.get(name)).is_some();
    for param in required.filter(|param| param.default.is_none() && !given(&param.name)) {
        let at = item.map_or(section.at, |item| item.at);
        let message = format!("the argument `{}` is missing in the {title}", param.name);
        reader.bad_reference(at, message, format!("`{}` = {}", param.name, param.expected()));
    }
    args
}

/// Checks an argument against the tool's declaration.
fn check_arg<'a>(
    reader: &mut Reader<'a>,
    entry: &Item<'a>,
    tool: &ToolDef,
    around: &Surroundings<'_>,
) {
    let Some(param) = tool.param(entry.key) else {
        let names = || tool.params.iter().map(|param| param.name.as_str());
        let expected = match nearest(entry.key, names()) {
            Some(meant) => format!("`{meant}`"),
            None => format!("one that it declares: {}", crate::diagnostic::listed(names())),
        };
        let message = format!("tool `{}` takes no argument `{}`", tool.name, entry.key);
        reader.bad_reference(entry.key_at, message, expected);
        return;
    };
    let template = entry.value.as_str().map(Template::parse);
    let bound = template.as_ref().filter(|template| !template.is_plain());
    let fits = match (bound, param.ty) {
        (Some(_), ParamType::Array | ParamType::Object) => false,
        (Some(template), ParamType::Integer | ParamType::Number | ParamType::Boolean) => {
            if let Some(secret) = template.names().find(|name| around.is_sensitive(name)) {
                let message = format!("`{}` binds the sensitive `{secret}`", entry.key);
                let expected = "an argument of type `string` for a sensitive parameter";
                reader.bad_reference(entry.at, message, expected);
            }
            true
        }
        (Some(_), ParamType::String) => true,
        (None, _) => json(entry.value).is_some_and(|value| param.admits(&value)),
    };
    if !fits {
        let message = format!("the argument `{}` does not fit tool `{}`", entry.key, tool.name);
        reader.bad_reference(entry.at, message, param.expected());
    }
}

fn read_arg<'a>(reader: &mut Reader<'a>, item: &Item<'a>, scope: &Scope) -> Option<Arg> {
    match item.value {
        DeValue::String(_) => {
            let text = item.text(reader, "a text")?;
            Some(Arg::Text(scope.template(reader, text)))
        }
        DeValue::Array(_) => {
            let items = item.array(reader, "an array")?;
            let args = items.iter().filter_map(|item| read_arg(reader, item, scope)).collect();
            Some(Arg::Array(args))
        }
        DeValue::Table(table) => {
            let section = Section::free(reader, "a table", item.at, table);
            let entries = section.entries().iter();
            let args = entries
                .filter_map(|entry| Some((entry.key.to_owned(), read_arg(reader, entry, scope)?)));
            Some(Arg::Table(args.collect()))
        }
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            let value = json(item.value);
            if value.is_none() {
                let expected = "a text, a number that JSON has, a boolean, an array or a table";
                item.mistyped(reader, expected);
            }
            value.map(Arg::Plain)
        }
    }
}
