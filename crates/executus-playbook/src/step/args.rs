//! The arguments of a step's call: `args`.

use std::sync::Arc;

use toml::de::DeValue;

use super::Arg;
use super::read::Surroundings;
use crate::name::nearest;
use crate::reader::{Item, Reader, Section};
use crate::scope::Scope;
use crate::template::Template;
use crate::tool::ToolDef;
use crate::value::{ParamType, json};

pub(super) fn read_args<'a>(
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
