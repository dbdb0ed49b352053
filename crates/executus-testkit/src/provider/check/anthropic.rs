//! What Anthropic's messages refuse.

use serde_json::Value;

use super::{bare_path, entries, filled, plain_name, unknown_field};
use crate::provider::anthropic::{invalid, reply, signature};
use crate::provider::dialect::ErrorReply;
use crate::provider::http::SeenRequest;

/// The fields of the documentation.
const KNOWN: &[&str] = &[
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

type Checked = Result<(), ErrorReply>;

fn not(message: String) -> Checked {
    Err(invalid(&message))
}

/// The first thing that is wrong with the request.
pub(super) fn check(request: &SeenRequest) -> Checked {
    if filled(request, "x-api-key").is_none() {
        return Err(reply(401, "authentication_error", "x-api-key header is required"));
    }
    if (request.method.as_str(), bare_path(request)) != ("POST", "/v1/messages") {
        return Err(reply(404, "not_found_error", "Not Found"));
    }
    if filled(request, "anthropic-version").is_none() {
        return not("anthropic-version: header is required".into());
    }
    let body = &request.body;
    if !body.is_object() {
        return not("The request body is not valid JSON.".into());
    }
    if let Some(name) = unknown_field(body, KNOWN) {
        return not(format!("{name}: Extra inputs are not permitted"));
    }
    for name in ["model", "max_tokens", "messages"] {
        if body[name].is_null() {
            return not(format!("{name}: Field required"));
        }
    }
    if body["model"].as_str().is_none_or(str::is_empty) {
        return not("model: Input should be a valid string".into());
    }
    if body["max_tokens"].as_u64().is_none_or(|n| n == 0) {
        return not("max_tokens: Input should be greater than or equal to 1".into());
    }
    if body["temperature"].as_f64().is_some_and(|t| !(0.0..=1.0).contains(&t)) {
        return not("temperature: range: 0..1".into());
    }
    thinking(body)?;
    system(&body["system"])?;
    tools(body)?;
    messages(body)
}

fn thinking(body: &Value) -> Checked {
    let thinking = &body["thinking"];
    if thinking["type"] != "enabled" {
        return Ok(());
    }
    let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
    if budget < 1024 {
        return not("thinking.enabled.budget_tokens: Input should be greater than or equal to \
                    1024"
            .into());
    }
    if body["max_tokens"].as_u64().is_some_and(|max| max <= budget) {
        return not("`max_tokens` must be greater than `thinking.budget_tokens`.".into());
    }
    if body["temperature"].as_f64().is_some_and(|t| t < 1.0) {
        return not("`temperature` may only be set to 1 when thinking is enabled.".into());
    }
    Ok(())
}

fn system(system: &Value) -> Checked {
    match system {
        Value::Null | Value::String(_) => Ok(()),
        Value::Array(blocks) => {
            let mut blocks = blocks.iter().enumerate();
            let wrong = blocks.find(|(_, block)| block["type"] != "text" || is_empty(block));
            match wrong {
                Some((index, _)) => {
                    not(format!("system.{index}: text content blocks must be non-empty"))
                }
                None => Ok(()),
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            not("system: Input should be a valid string".into())
        }
    }
}

fn tools(body: &Value) -> Checked {
    let tools = entries(&body["tools"]);
    if !body["tool_choice"].is_null() {
        let kind = body["tool_choice"]["type"].as_str().unwrap_or_default();
        if !["auto", "any", "tool", "none"].contains(&kind) {
            return not("tool_choice: Input tag does not match any of the expected tags: 'any', \
                        'auto', 'none', 'tool'"
                .into());
        }
        if tools.is_empty() {
            return not(
                "tool_choice: tool_choice may only be specified while providing tools".into()
            );
        }
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let at = format!("tools.{index}.custom");
        let name = tool["name"].as_str().unwrap_or_default();
        if !plain_name(name, 128) {
            return not(format!(
                "{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            ));
        }
        if names.contains(&name) {
            return not("tools: Tool names must be unique.".into());
        }
        names.push(name);
        let schema = &tool["input_schema"];
        if !schema.is_object() {
            return not(format!("{at}.input_schema: Field required"));
        }
        if schema["type"] != "object" {
            return not(format!("{at}.input_schema.type: Input should be 'object'"));
        }
        if ["oneOf", "allOf", "anyOf"].iter().any(|word| schema.get(word).is_some()) {
            return not(format!(
                "{at}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the \
                 top level"
            ));
        }
    }
    Ok(())
}

/// Turns of one role, with the index of the first: messages of one role in a row are one turn.
fn messages(body: &Value) -> Checked {
    let Some(messages) = body["messages"].as_array() else {
        return not("messages: Input should be a valid list".into());
    };
    let Some(first) = messages.first() else {
        return not("messages: at least one message is required".into());
    };
    let mut calls: Vec<&str> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut previous = "";
    for (index, message) in messages.iter().enumerate() {
        let role = role(message, index)?;
        if first["role"] != "user" {
            return not("messages: first message must use the \"user\" role".into());
        }
        content(message, index, index + 1 == messages.len())?;
        if role == "user" {
            if previous == "assistant" {
                open = calls.clone();
            }
            results(message, index, &calls, &mut open)?;
            let next = messages.get(index + 1).map(|m| &m["role"]);
            if next.is_none_or(|role| role != "user") {
                unanswered(&open, index.saturating_sub(1))?;
                calls.clear();
            }
        } else {
            if previous == "user" {
                calls.clear();
            }
            calls.extend(uses(message, index)?);
            if thinks(body) && index + 2 == messages.len() {
                starts_with_thinking(message, index)?;
            }
        }
        previous = role;
    }
    if previous == "assistant" { unanswered(&calls, messages.len() - 1) } else { Ok(()) }
}

fn role(message: &Value, index: usize) -> Result<&str, ErrorReply> {
    match message["role"].as_str() {
        Some(role @ ("user" | "assistant")) => Ok(role),
        Some("system") => Err(invalid(
            "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` \
             parameter, not \"system\" as an input message role.",
        )),
        _ => Err(invalid(&format!("messages.{index}.role: Input should be 'user' or 'assistant'"))),
    }
}

fn is_empty(block: &Value) -> bool {
    block["text"].as_str().is_none_or(str::is_empty)
}

fn content(message: &Value, index: usize, last: bool) -> Checked {
    let prefill = last && message["role"] == "assistant";
    let empty = || {
        not(format!(
            "messages.{index}: all messages must have non-empty content except for the optional \
             final assistant message"
        ))
    };
    let blocks = match &message["content"] {
        Value::String(text) if text.is_empty() && !prefill => return empty(),
        Value::String(text) if prefill && text.ends_with(char::is_whitespace) => {
            return not(
                "messages: final assistant content cannot end with trailing whitespace".into()
            );
        }
        Value::String(_) => return Ok(()),
        Value::Array(blocks) if blocks.is_empty() && !prefill => return empty(),
        Value::Array(blocks) => blocks,
        _ => return not(format!("messages.{index}.content: Input should be a valid string")),
    };
    for (at, block) in blocks.iter().enumerate() {
        match block["type"].as_str() {
            Some("text") if is_empty(block) => {
                return not("messages: text content blocks must be non-empty".into());
            }
            Some("thinking") => signed(block, index, at)?,
            Some(_) => {}
            None => return not(format!("messages.{index}.content.{at}.type: Field required")),
        }
    }
    Ok(())
}

/// Thinking comes back as it was given, with its signature.
fn signed(block: &Value, index: usize, at: usize) -> Checked {
    let at = format!("messages.{index}.content.{at}");
    let Some(signature) = block["signature"].as_str() else {
        return not(format!("{at}.thinking.signature: Field required"));
    };
    if block["thinking"].as_str().map(self::signature).as_deref() == Some(signature) {
        return Ok(());
    }
    not(format!("{at}: Invalid `signature` in `thinking` block"))
}

fn thinks(body: &Value) -> bool {
    body["thinking"]["type"] == "enabled"
}

/// While a turn with calls goes on, its thinking must be there.
fn starts_with_thinking(message: &Value, index: usize) -> Checked {
    let blocks = entries(&message["content"]);
    let kind = |block: &Value| block["type"].as_str().unwrap_or_default().to_owned();
    let first = blocks.first().map(kind).unwrap_or_default();
    let calls = blocks.iter().any(|block| block["type"] == "tool_use");
    if !calls || first == "thinking" || first == "redacted_thinking" {
        return Ok(());
    }
    not(format!(
        "messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found \
         `{first}`. When `thinking` is enabled, a final `assistant` message must start with a \
         thinking block."
    ))
}

/// The ids of the calls of an assistant message.
fn uses(message: &Value, index: usize) -> Result<Vec<&str>, ErrorReply> {
    let mut ids = Vec::new();
    for (at, block) in entries(&message["content"]).iter().enumerate() {
        if block["type"] != "tool_use" {
            continue;
        }
        let at = format!("messages.{index}.content.{at}.tool_use");
        let id = block["id"].as_str().unwrap_or_default();
        if !plain_name(id, usize::MAX) {
            let message = format!("{at}.id: String should match pattern '^[a-zA-Z0-9_-]+$'");
            return Err(invalid(&message));
        }
        if block["name"].as_str().is_none_or(str::is_empty) {
            return Err(invalid(&format!("{at}.name: Field required")));
        }
        if !block["input"].is_object() {
            return Err(invalid(&format!("{at}.input: Input should be a valid dictionary")));
        }
        if ids.contains(&id) {
            return Err(invalid("messages: `tool_use` ids must be unique"));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// The results of a user message: first of all its blocks, each for one call.
fn results<'b>(
    message: &Value,
    index: usize,
    calls: &[&'b str],
    open: &mut Vec<&'b str>,
) -> Checked {
    let mut other = false;
    for (at, block) in entries(&message["content"]).iter().enumerate() {
        if block["type"] != "tool_result" {
            other = true;
            continue;
        }
        let id = block["tool_use_id"].as_str().unwrap_or_default();
        if !calls.contains(&id) {
            return not(format!(
                "messages.{index}.content.{at}: unexpected `tool_use_id` found in `tool_result` \
                 blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` \
                 block in the previous message."
            ));
        }
        let Some(found) = open.iter().position(|call| *call == id) else {
            return not(format!(
                "messages.{index}.content.{at}: each tool_use must have a single result. Found \
                 multiple `tool_result` blocks with id: {id}"
            ));
        };
        if other {
            return not(format!(
                "messages.{index}: `tool_result` blocks must come before other content: {id}"
            ));
        }
        open.remove(found);
    }
    Ok(())
}

fn unanswered(open: &[&str], index: usize) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    not(format!(
        "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately \
         after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the \
         next message.",
        open.join(", ")
    ))
}
