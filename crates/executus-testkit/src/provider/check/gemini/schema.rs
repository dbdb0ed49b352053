//! What Gemini refuses of tools: `parameters` takes a part of JSON Schema only.

use serde_json::Value;

use super::{Checked, get, known};
use crate::provider::check::entries;
use crate::provider::gemini::invalid;

const TOOL: &[&str] = &[
    "codeExecution",
    "computerUse",
    "fileSearch",
    "functionDeclarations",
    "googleMaps",
    "googleSearch",
    "googleSearchRetrieval",
    "mcpServers",
    "urlContext",
];
const DECLARATION: &[&str] = &[
    "behavior",
    "description",
    "name",
    "parameters",
    "parametersJsonSchema",
    "response",
    "responseJsonSchema",
];
/// The keywords of Gemini's own schema.
const SCHEMA: &[&str] = &[
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "propertyOrdering",
    "required",
    "title",
    "type",
];
const TYPES: &[&str] = &["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// The first thing that is wrong with the tools.
pub(super) fn tools(tools: &Value) -> Checked {
    for (index, tool) in entries(tools).iter().enumerate() {
        let at = format!("tools[{index}]");
        known(tool, TOOL, &at)?;
        let declarations = get(tool, "functionDeclarations");
        let mut names = Vec::new();
        for (index, declaration) in entries(&declarations).iter().enumerate() {
            let at = format!("{at}.function_declarations[{index}]");
            known(declaration, DECLARATION, &at)?;
            let name = declaration["name"].as_str().unwrap_or_default();
            if !is_name(name) {
                let message = format!(
                    "* GenerateContentRequest.{at}.name: Invalid function name. Must start with a \
                     letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), \
                     dots (.), colons (:), or dashes (-), with a maximum length of 64.\n"
                );
                return Err(invalid(&format!("{at}.name"), &message));
            }
            if names.contains(&name.to_owned()) {
                return Err(invalid(&at, &format!("Duplicate function declaration found: {name}")));
            }
            names.push(name.to_owned());
            let parameters = &declaration["parameters"];
            if parameters.is_null() {
                continue;
            }
            if !get(declaration, "parametersJsonSchema").is_null() {
                let message = "parameters and parameters_json_schema must not be both set.";
                return Err(invalid(&at, message));
            }
            node(parameters, &format!("{at}.parameters"))?;
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    starts && name.len() <= 64 && name.bytes().all(allowed)
}

fn node(schema: &Value, at: &str) -> Checked {
    known(schema, SCHEMA, at)?;
    let wrong = |message: String| Err(invalid(at, &message));
    let any_of = get(schema, "anyOf");
    let kind = match &schema["type"] {
        Value::String(kind) if TYPES.contains(&kind.to_ascii_uppercase().as_str()) => {
            kind.to_ascii_uppercase()
        }
        Value::Array(_) => {
            return wrong(format!(
                "Invalid JSON payload received. Unknown name \"type\" at '{at}': Proto field is \
                 not repeating, cannot start list."
            ));
        }
        Value::Null if any_of.is_array() => String::new(),
        Value::Null => {
            return wrong(format!(
                "* GenerateContentRequest.{at}: schema didn't specify the schema type field.\n"
            ));
        }
        other => {
            return wrong(format!(
                "Invalid value at '{at}.type' (type.googleapis.com/google.ai.generativelanguage.\
                 v1beta.Type), {other}"
            ));
        }
    };
    if !schema["enum"].is_null() {
        if kind != "STRING" {
            return wrong(format!(
                "* GenerateContentRequest.{at}.enum: only allowed for STRING type\n"
            ));
        }
        if let Some(value) = entries(&schema["enum"]).iter().find(|v| !v.is_string()) {
            return wrong(format!("Invalid value at '{at}.enum[0]' (TYPE_STRING), {value}"));
        }
    }
    if kind == "STRING"
        && schema["format"].as_str().is_some_and(|f| f != "enum" && f != "date-time")
    {
        return wrong(format!(
            "* GenerateContentRequest.{at}.format: only 'enum' and 'date-time' are supported for \
             STRING type\n"
        ));
    }
    if kind == "ARRAY" && schema["items"].is_null() {
        return wrong(format!("* GenerateContentRequest.{at}.items: missing field.\n"));
    }
    let properties = schema["properties"].as_object();
    if kind == "OBJECT" && properties.is_none_or(serde_json::Map::is_empty) {
        return wrong(format!(
            "* GenerateContentRequest.{at}.properties: should be non-empty for OBJECT type\n"
        ));
    }
    for (index, name) in entries(&schema["required"]).iter().enumerate() {
        let defined = name.as_str().is_some_and(|n| properties.is_some_and(|p| p.contains_key(n)));
        if !defined {
            return wrong(format!(
                "* GenerateContentRequest.{at}.required[{index}]: property is not defined\n"
            ));
        }
    }
    for (index, property) in properties.into_iter().flat_map(|p| p.values()).enumerate() {
        node(property, &format!("{at}.properties[{index}].value"))?;
    }
    for (index, choice) in entries(&any_of).iter().enumerate() {
        node(choice, &format!("{at}.any_of[{index}]"))?;
    }
    if schema["items"].is_null() { Ok(()) } else { node(&schema["items"], &format!("{at}.items")) }
}
