//! What OpenAI's chat completions refuse.

use serde_json::Value;

use super::{bare_path, entries, filled, plain_name, unknown_field};
use crate::provider::dialect::ErrorReply;
use crate::provider::http::SeenRequest;
use crate::provider::openai::{invalid, reply};

/// The parameters of the documentation.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model", "n",
    "parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key",
    "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed",
    "service_tier", "stop", "store", "stream", "stream_options", "temperature", "tool_choice",
    "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
];

/// The first thing that is wrong with the request.
pub(super) fn check(request: &SeenRequest) -> Result<(), ErrorReply> {
    let bearer = filled(request, "authorization").and_then(|a| a.strip_prefix("Bearer "));
    if bearer.is_none_or(|key| key.trim().is_empty()) {
        let message = "You didn't provide an API key. You need to provide your API key in an \
                       Authorization header using Bearer auth (i.e. Authorization: Bearer \
                       YOUR_KEY).";
        return Err(reply(401, message, "invalid_request_error", None, None));
    }
    if (request.method.as_str(), bare_path(request)) != ("POST", "/v1/chat/completions") {
        let message = format!("Invalid URL ({} {})", request.method, request.path);
        return Err(reply(404, &message, "invalid_request_error", None, None));
    }
    let body = &request.body;
    if !body.is_object() {
        let message = "We could not parse the JSON body of your request.";
        return Err(invalid(message, None, None));
    }
    if let Some(name) = unknown_field(body, KNOWN) {
        let message = format!("Unknown parameter: '{name}'.");
        return Err(invalid(&message, Some(name), Some("unknown_parameter")));
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return Err(invalid("you must provide a model parameter", None, None));
    }
    parameters(body)?;
    tools(body)?;
    messages(body)
}

fn parameters(body: &Value) -> Result<(), ErrorReply> {
    let has = |name: &str| !body[name].is_null();
    let not = |message: String, name: &str, code| Err(invalid(&message, Some(name), code));
    if has("stream") && !body["stream"].is_boolean() {
        return not("Invalid type for 'stream': expected a boolean.".into(), "stream", None);
    }
    if has("stream_options") && body["stream"] != true {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return not(message.into(), "stream_options", None);
    }
    for name in ["tool_choice", "parallel_tool_calls"] {
        if has(name) && !has("tools") {
            let message = format!("'{name}' is only allowed when 'tools' are specified.");
            return not(message, name, None);
        }
    }
    for name in ["max_tokens", "max_completion_tokens"] {
        if has(name) && body[name].as_u64().is_none_or(|n| n == 0) {
            return not(format!("Invalid '{name}': integer below minimum value."), name, None);
        }
    }
    let model = body["model"].as_str().unwrap_or_default();
    if ["o1", "o3", "o4", "gpt-5"].iter().any(|family| model.starts_with(family)) {
        if has("max_tokens") {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                           Use 'max_completion_tokens' instead.";
            return not(message.into(), "max_tokens", Some("unsupported_parameter"));
        }
        if has("temperature") && body["temperature"].as_f64() != Some(1.0) {
            let message = "Unsupported value: 'temperature' does not support this value with this \
                           model. Only the default (1) value is supported.";
            return not(message.into(), "temperature", Some("unsupported_value"));
        }
    }
    Ok(())
}

fn tools(body: &Value) -> Result<(), ErrorReply> {
    if body["tools"].is_null() {
        return Ok(());
    }
    if entries(&body["tools"]).is_empty() {
        let message = "Invalid 'tools': empty array. Expected an array with minimum length 1, but \
                       got an empty array instead.";
        return Err(invalid(message, Some("tools"), Some("empty_array")));
    }
    for (index, tool) in entries(&body["tools"]).iter().enumerate() {
        let at = format!("tools[{index}]");
        if tool["type"] != "function" {
            let message = format!("Missing or unknown '{at}.type'.");
            return Err(invalid(&message, Some(&at), Some("missing_required_parameter")));
        }
        let function = &tool["function"];
        name(&function["name"], &format!("{at}.function.name"))?;
        let name = function["name"].as_str().unwrap_or_default();
        if let Err(message) = schema(&function["parameters"], function["strict"] == true) {
            let message = format!("Invalid schema for function '{name}': {message}");
            let at = format!("{at}.function.parameters");
            return Err(invalid(&message, Some(&at), Some("invalid_function_parameters")));
        }
    }
    Ok(())
}

fn name(name: &Value, at: &str) -> Result<(), ErrorReply> {
    if name.as_str().is_some_and(|name| plain_name(name, 64)) {
        return Ok(());
    }
    let message = format!(
        "Invalid '{at}': string does not match pattern. Expected a string that matches the \
         pattern '^[a-zA-Z0-9_-]{{1,64}}$'."
    );
    Err(invalid(&message, Some(at), Some("invalid_value")))
}

fn schema(schema: &Value, strict: bool) -> Result<(), String> {
    if schema.is_null() {
        return Ok(());
    }
    if schema["type"] != "object" {
        let kind = schema["type"].as_str().unwrap_or("None");
        return Err(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
        ));
    }
    node(schema, strict, "()")
}

/// Arrays need items, objects properties; strict objects are closed and require every property.
fn node(schema: &Value, strict: bool, at: &str) -> Result<(), String> {
    if schema["type"] == "array" && schema.get("items").is_none() {
        return Err(format!("In context={at}, array schema missing items."));
    }
    if schema["type"] == "object" && schema.get("properties").is_none() && !open(schema) {
        return Err(format!("In context={at}, object schema missing properties."));
    }
    if schema["type"] == "object" && strict {
        if schema["additionalProperties"] != false {
            return Err(format!(
                "In context={at}, 'additionalProperties' is required to be supplied and to be false."
            ));
        }
        let required = entries(&schema["required"]);
        let properties = schema["properties"].as_object();
        let mut names = properties.iter().flat_map(|p| p.keys());
        if let Some(name) = names.find(|name| !required.iter().any(|r| r == name.as_str())) {
            return Err(format!(
                "In context={at}, 'required' is required to be supplied and to be an array \
                 including every key in properties. Missing '{name}'."
            ));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        node(property, strict, &format!("('properties', '{name}')"))?;
    }
    node_items(schema, strict, at)
}

/// Whether an object without named properties says what its values are.
fn open(schema: &Value) -> bool {
    schema["additionalProperties"] == true || schema["additionalProperties"].is_object()
}

fn node_items(schema: &Value, strict: bool, at: &str) -> Result<(), String> {
    match schema.get("items") {
        Some(items) => node(items, strict, &format!("{at}.items")),
        None => Ok(()),
    }
}

fn messages(body: &Value) -> Result<(), ErrorReply> {
    let Some(messages) = body["messages"].as_array() else {
        let message = "Missing required parameter: 'messages'.";
        return Err(invalid(message, Some("messages"), Some("missing_required_parameter")));
    };
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, \
                       but got an empty array instead.";
        return Err(invalid(message, Some("messages"), Some("empty_array")));
    }
    // The calls of the last assistant message that no tool message has answered yet.
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.[{index}]");
        let role = message["role"].as_str().unwrap_or_default();
        if role == "tool" {
            result(message, &mut open, &at)?;
            continue;
        }
        unanswered(&open, &at)?;
        match role {
            "system" | "developer" | "user" => content(message, &at)?,
            "assistant" => {
                if message["tool_calls"].is_null() {
                    content(message, &at)?;
                } else {
                    open = calls(message, &at)?;
                }
            }
            _ => {
                let message = format!(
                    "Invalid value: '{role}'. Supported values are: 'system', 'assistant', \
                     'user', 'function', 'tool', and 'developer'."
                );
                let at = format!("{at}.role");
                return Err(invalid(&message, Some(&at), Some("invalid_value")));
            }
        }
    }
    unanswered(&open, "messages")
}

/// A tool message: answers one of the calls right before it.
fn result(message: &Value, open: &mut Vec<&str>, at: &str) -> Result<(), ErrorReply> {
    content(message, at)?;
    let id = message["tool_call_id"].as_str().unwrap_or_default();
    let Some(found) = open.iter().position(|call| *call == id) else {
        let message = "Invalid parameter: messages with role 'tool' must be a response to a \
                       preceeding message with 'tool_calls'.";
        return Err(invalid(message, Some(&format!("{at}.role")), None));
    };
    open.remove(found);
    Ok(())
}

fn unanswered(open: &[&str], at: &str) -> Result<(), ErrorReply> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to \
         each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(invalid(&message, Some(&format!("{at}.role")), None))
}

/// The ids of the calls of an assistant message.
fn calls<'b>(message: &'b Value, at: &str) -> Result<Vec<&'b str>, ErrorReply> {
    let at = format!("{at}.tool_calls");
    if !message["content"].is_null() {
        content(message, &at)?;
    }
    let calls = entries(&message["tool_calls"]);
    if calls.is_empty() {
        let message =
            format!("Invalid '{at}': empty array. Expected an array with minimum length 1.");
        return Err(invalid(&message, Some(&at), Some("empty_array")));
    }
    let mut ids = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let function = &call["function"];
        name(&function["name"], &format!("{at}.function.name"))?;
        match (call["id"].as_str(), call["type"].as_str(), function["arguments"].as_str()) {
            (Some(id), Some("function"), Some(_)) if !id.is_empty() => ids.push(id),
            _ => {
                let message = format!(
                    "Invalid '{at}': expected an id, the type 'function' and arguments as a string."
                );
                return Err(invalid(&message, Some(&at), Some("invalid_type")));
            }
        }
    }
    Ok(ids)
}

fn content(message: &Value, at: &str) -> Result<(), ErrorReply> {
    let at = format!("{at}.content");
    let fine = match &message["content"] {
        Value::String(_) => true,
        Value::Array(parts) => !parts.is_empty() && parts.iter().all(|p| p["type"].is_string()),
        _ => false,
    };
    if fine {
        return Ok(());
    }
    let message =
        format!("Invalid value for 'content': expected a string or an array of objects at '{at}'.");
    Err(invalid(&message, Some(&at), Some("invalid_type")))
}
