//! Parameters: of a run, and of a tool.

use executus_core::text::REDACTED;
use serde_json::{Map, Number, Value, json};

use crate::name::{NAME, is_environment_name, is_name};
use crate::reader::{Item, Reader, Section};
use crate::template::Template;
use crate::value::{ParamType, json as to_json, less};

/// A parameter of a run or of a tool, or a field of a text.
#[derive(Debug, Clone, PartialEq)]
pub struct ParamDef {
    /// The name.
    pub name: String,
    /// The type.
    pub ty: ParamType,
    /// What it is for; may be empty.
    pub description: String,
    /// The value when none is given; without one the parameter is required.
    pub default: Option<Value>,
    /// The least value.
    pub min: Option<Number>,
    /// The greatest value.
    pub max: Option<Number>,
    /// It never enters a record, a log or a hand-over. Of a run's parameter only.
    pub sensitive: bool,
    /// The environment variable that gives the default. Of a run's parameter only.
    pub env: Option<String>,
}

/// Whose parameters are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Run,
    Tool,
    /// Those of a text that a model reads.
    Fields,
}

impl Owner {
    const fn noun(self) -> &'static str {
        match self {
            Self::Run | Self::Tool => "parameter",
            Self::Fields => "field",
        }
    }
}

impl ParamDef {
    /// Whether the value is of the type and within the bounds.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        let within = |number: &Number| {
            self.min.as_ref().is_none_or(|min| !less(number, min))
                && self.max.as_ref().is_none_or(|max| !less(max, number))
        };
        self.ty.admits(value) && value.as_number().is_none_or(within)
    }

    /// Reads a text as a value of the type and within the bounds.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Value> {
        self.ty.parse(text).filter(|value| self.admits(value))
    }

    /// What a value must be, in words: `an integer from 1 to 50`.
    #[must_use]
    pub fn expected(&self) -> String {
        let kind = match self.ty {
            ParamType::String => "a text",
            ParamType::Integer => "an integer",
            ParamType::Number => "a number",
            ParamType::Boolean => "true or false",
            ParamType::Array => "an array",
            ParamType::Object => "a table",
        };
        match (&self.min, &self.max) {
            (Some(min), Some(max)) => format!("{kind} from {min} to {max}"),
            (Some(min), None) => format!("{kind} of at least {min}"),
            (None, Some(max)) => format!("{kind} of at most {max}"),
            (None, None) => kind.into(),
        }
    }

    /// The parameter as a JSON schema.
    pub(crate) fn schema(&self) -> Value {
        let mut schema = Map::new();
        schema.insert("type".into(), json!(self.ty.as_str()));
        if !self.description.is_empty() {
            schema.insert("description".into(), json!(self.description));
        }
        for (key, value) in [("minimum", &self.min), ("maximum", &self.max)] {
            if let Some(value) = value {
                schema.insert(key.into(), json!(value));
            }
        }
        if let Some(default) = &self.default {
            schema.insert("default".into(), default.clone());
        }
        Value::Object(schema)
    }
}

/// Reads a table of parameters, in file order.
pub(crate) fn read_params<'a>(
    reader: &mut Reader<'a>,
    title: &str,
    item: &Item<'a>,
    owner: Owner,
) -> Vec<ParamDef> {
    let noun = owner.noun();
    let expected = format!("a table of {noun}s such as `count = {{ type = \"integer\" }}`");
    let Some(table) = item.table(reader, &expected) else { return Vec::new() };
    let section = Section::free(reader, title, item.at, table);
    section.entries().iter().filter_map(|entry| read_param(reader, entry, owner)).collect()
}

fn read_param<'a>(reader: &mut Reader<'a>, item: &Item<'a>, owner: Owner) -> Option<ParamDef> {
    if !is_name(item.key) {
        let message = format!("`{}` is no {} name", item.key, owner.noun());
        reader.problem(item.key_at, message, NAME);
        return None;
    }
    let table = item.table(reader, "a table such as `{ type = \"string\" }`")?;
    let known: &[&str] = match owner {
        Owner::Run => &["type", "default", "min", "max", "sensitive", "env", "description"],
        Owner::Tool | Owner::Fields => &["type", "default", "min", "max", "description"],
    };
    let title = format!("{} `{}`", owner.noun(), item.key);
    let section = Section::strict(reader, title, item.at, table, known);
    let types: &[_] = match owner {
        Owner::Run => &ParamType::SCALARS,
        Owner::Tool | Owner::Fields => &ParamType::ALL,
    };
    let ty = section.require(reader, "type", "\"string\"")?.word(reader, types)?;
    let description = section.get("description").and_then(|item| item.text(reader, "a text"));
    let sensitive = section.get("sensitive").and_then(|item| item.boolean(reader));
    let mut param = ParamDef {
        name: item.key.to_owned(),
        ty,
        description: description.map(|text| text.value.to_owned()).unwrap_or_default(),
        default: None,
        min: section.get("min").and_then(|item| bound(reader, item, ty)),
        max: section.get("max").and_then(|item| bound(reader, item, ty)),
        sensitive: sensitive.unwrap_or(false),
        env: section.get("env").and_then(|item| environment_name(reader, item)),
    };
    if let (Some(min), Some(max), Some(item)) = (&param.min, &param.max, section.get("max"))
        && less(max, min)
    {
        let message = format!("`max` is {max} and `min` is {min}");
        reader.problem(item.at, message, "`min` not above `max`");
        return None;
    }
    param.default = section.get("default").and_then(|item| default(reader, item, &param));
    Some(param)
}

fn bound<'a>(reader: &mut Reader<'a>, item: &Item<'a>, ty: ParamType) -> Option<Number> {
    if !ty.is_numeric() {
        let message = format!("`{}` does not apply to type `{}`", item.key, ty.as_str());
        reader.problem(item.key_at, message, "it on a parameter of type `integer` or `number`");
        return None;
    }
    match to_json(item.value).filter(|value| ty.admits(value)) {
        Some(Value::Number(number)) => Some(number),
        _ => {
            let kind =
                if ty == ParamType::Integer { "an integer of 64 bits" } else { "a finite number" };
            reader.problem(item.at, format!("`{}` is not {kind}", item.key), kind);
            None
        }
    }
}

fn environment_name<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Option<String> {
    let expected = "the name of an environment variable such as \"API_TOKEN\"";
    let name = item.text(reader, expected)?;
    if !is_environment_name(name.value) {
        let message = format!("`{}` is no name of an environment variable", name.value);
        reader.problem(item.at, message, expected);
        return None;
    }
    Some(name.value.to_owned())
}

fn default<'a>(reader: &mut Reader<'a>, item: &Item<'a>, param: &ParamDef) -> Option<Value> {
    let Some(value) = to_json(item.value).filter(|value| param.admits(value)) else {
        let shown = match to_json(item.value) {
            _ if param.sensitive => REDACTED.into(),
            Some(value) => value.to_string(),
            None => "not a value that a parameter can have".into(),
        };
        reader.problem(
            item.at,
            format!("the default of `{}` is {shown}", param.name),
            param.expected(),
        );
        return None;
    };
    if let Some(text) = value.as_str() {
        let (template, offsets) = Template::parse_located(text);
        if let (Some(name), Some(decoded)) = (template.names().next(), offsets.first()) {
            let at = item.text(reader, "a text").map_or(item.at, |text| text.offset(*decoded));
            let message = format!("a default cannot name a parameter: `{{{name}}}`");
            reader.problem(at, message, "a plain value: nothing is bound in a default");
            return None;
        }
    }
    Some(value)
}
