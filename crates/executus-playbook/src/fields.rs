//! Objects of named values: arguments of a call, and fields that a model reads from a text.

use serde_json::{Map, Value, json};
use toml::de::DeValue;

use crate::diagnostic::listed;
use crate::param::{Owner, ParamDef, read_params};
use crate::reader::{Item, Reader};

/// Reads a table of fields, at least one.
pub(crate) fn read_fields<'a>(
    reader: &mut Reader<'a>,
    title: &str,
    item: &Item<'a>,
) -> Vec<ParamDef> {
    if matches!(item.value, DeValue::Table(table) if table.is_empty()) {
        let expected = "at least one field such as `total = { type = \"number\" }`";
        reader.problem(item.at, format!("{title} is empty"), expected);
    }
    read_params(reader, title, item, Owner::Fields)
}

/// The JSON schema of an object with these values.
pub(crate) fn schema(defs: &[ParamDef]) -> Value {
    let properties: Map<_, _> = defs.iter().map(|def| (def.name.clone(), def.schema())).collect();
    let required = defs.iter().filter(|def| def.default.is_none());
    let required: Vec<_> = required.map(|def| def.name.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The values of an object, checked, with the defaults of those that are absent. `noun` is what
/// one of them is called.
///
/// # Errors
/// Names the first value that is unknown, missing, or not as declared.
pub(crate) fn check(defs: &[ParamDef], given: &Value, noun: &str) -> Result<Value, String> {
    let given = match given {
        Value::Object(given) => given,
        Value::Null => &Map::new(),
        _ => return Err(format!("the {noun}s are not an object")),
    };
    let find = |name: &str| defs.iter().find(|def| def.name == name);
    if let Some(unknown) = given.keys().find(|name| find(name).is_none()) {
        let known = listed(defs.iter().map(|def| def.name.as_str()));
        return Err(format!("there is no {noun} `{unknown}`; there are: {known}"));
    }
    let mut values = Map::new();
    for def in defs {
        let value = match (given.get(&def.name), &def.default) {
            (Some(value), _) if def.admits(value) => value,
            (None, Some(default)) => default,
            (Some(_), _) => return Err(format!("`{}` is not {}", def.name, def.expected())),
            (None, None) => return Err(format!("`{}` is missing", def.name)),
        };
        values.insert(def.name.clone(), value.clone());
    }
    Ok(Value::Object(values))
}
