//! What Ollama refuses, and what it would silently get wrong.
//!
//! Ollama itself takes most requests and answers badly to the odd ones. What can only be a mistake
//! of a client is refused here too: no messages, an unknown role, a result without its tool's name
//! or without its call.

use serde_json::Value;

use super::{bare_path, entries};
use crate::provider::dialect::ErrorReply;
use crate::provider::http::SeenRequest;
use crate::provider::ollama::reply;

type Checked = Result<(), ErrorReply>;

fn not(message: String) -> Checked {
    Err(reply(400, &message))
}

/// The first thing that is wrong with the request.
pub(super) fn check(request: &SeenRequest) -> Checked {
    if bare_path(request) != "/api/chat" {
        return Err(reply(404, "404 page not found"));
    }
    if request.method != "POST" {
        return Err(reply(405, "405 method not allowed"));
    }
    let body = &request.body;
    if !body.is_object() {
        return not("missing request body".into());
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return not("model is required".into());
    }
    typed(body, "stream", "bool", |v| v.is_boolean())?;
    typed(body, "options", "map[string]interface {}", |v| v.is_object())?;
    typed(body, "tools", "api.Tools", |v| v.is_array())?;
    typed(body, "think", "api.ThinkValue", |v| v.is_boolean() || v.is_string())?;
    tools(body)?;
    messages(body)
}

/// As Go says that a field has the wrong type.
fn typed(body: &Value, name: &str, go: &str, fits: impl Fn(&Value) -> bool) -> Checked {
    match body.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(value) if fits(value) => Ok(()),
        Some(value) => not(format!(
            "json: cannot unmarshal {} into Go struct field ChatRequest.{name} of type {go}",
            kind(value)
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn tools(body: &Value) -> Checked {
    for (index, tool) in entries(&body["tools"]).iter().enumerate() {
        let function = &tool["function"];
        let named = function["name"].as_str().is_some_and(|name| !name.is_empty());
        if tool["type"] != "function" || !named {
            return not(format!("tools[{index}]: a function with a name is expected"));
        }
        if !function["parameters"].is_null() && function["parameters"]["type"] != "object" {
            return not(format!("tools[{index}].function.parameters: an object is expected"));
        }
    }
    Ok(())
}

fn messages(body: &Value) -> Checked {
    let messages = entries(&body["messages"]);
    if messages.is_empty() {
        return not("messages: at least one message is expected".into());
    }
    // The names of the calls that no tool message has answered yet.
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        for name in ["content", "thinking", "tool_name"] {
            if let Some(value) = message.get(name).filter(|v| !v.is_string() && !v.is_null()) {
                return not(format!(
                    "json: cannot unmarshal {} into Go struct field ChatRequest.messages.{name} \
                     of type string",
                    kind(value)
                ));
            }
        }
        match message["role"].as_str() {
            Some("tool") => result(message, index, &mut open)?,
            Some("system" | "user" | "assistant") => {
                unanswered(&open, index)?;
                open = calls(message, index)?;
            }
            _ => {
                return not(format!(
                    "messages[{index}]: invalid role: {}, expected one of 'system', 'user', \
                     'assistant', 'tool'",
                    message["role"]
                ));
            }
        }
    }
    unanswered(&open, messages.len())
}

/// The names of the calls of an assistant message.
fn calls(message: &Value, index: usize) -> Result<Vec<&str>, ErrorReply> {
    let mut names = Vec::new();
    for call in entries(&message["tool_calls"]) {
        let function = &call["function"];
        if !function["arguments"].is_object() {
            return Err(reply(
                400,
                &format!(
                    "json: cannot unmarshal {} into Go struct field \
                     ChatRequest.messages.tool_calls.function.arguments of type \
                     api.ToolCallFunctionArguments",
                    kind(&function["arguments"])
                ),
            ));
        }
        match function["name"].as_str() {
            Some(name) if !name.is_empty() => names.push(name),
            _ => {
                let message = format!("messages[{index}].tool_calls: a call has no name");
                return Err(reply(400, &message));
            }
        }
    }
    Ok(names)
}

/// A tool message says which tool it is of; results come in the order of the calls, or by name.
fn result(message: &Value, index: usize, open: &mut Vec<&str>) -> Checked {
    if !message["content"].is_string() {
        return not(format!("messages[{index}]: a result has no content"));
    }
    let Some(name) = message["tool_name"].as_str().filter(|name| !name.is_empty()) else {
        return not(format!("messages[{index}]: a result has no tool_name"));
    };
    let Some(found) = open.iter().position(|call| *call == name) else {
        return not(format!("messages[{index}]: no call of {name} waits for a result"));
    };
    open.remove(found);
    Ok(())
}

fn unanswered(open: &[&str], index: usize) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    not(format!("messages[{index}]: calls without results before it: {}", open.join(", ")))
}
