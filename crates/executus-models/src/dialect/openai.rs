//! OpenAI's chat completions, and the many servers that speak them more or less.

use executus_core::ToolSpec;
use executus_core::secret::Secret;
use executus_http::{HttpError, Request};
use serde_json::{Value, json};

use super::{Dialect, Reader, text};
use crate::ask::Ask;
use crate::conversation::{Answered, Asked, Conversation, Message};
use crate::draft::{Draft, Finish, tokens};
use crate::failure::{Complaint, Failure};
use executus_http::events::Framing;

mod stream;
#[cfg(test)]
mod tests;

/// Chat completions: `POST {base}/chat/completions`.
#[derive(Debug)]
pub(crate) struct OpenAi;

impl Dialect for OpenAi {
    fn default_base(&self) -> &'static str {
        "https://api.openai.com/v1"
    }

    fn request(&self, ask: &Ask<'_>) -> (String, Value) {
        let conversation = ask.conversation;
        let messages = messages(conversation, assistant, result);
        let mut body = json!({ "model": ask.model, "messages": messages, "stream": ask.stream });
        if ask.stream {
            body["stream_options"] = json!({ "include_usage": true });
        }
        if !conversation.tools.is_empty() {
            body["tools"] = tools(&conversation.tools);
        }
        if let Some(most) = ask.max_output_tokens {
            // At home the older name is refused for models that think; elsewhere the newer one
            // may not be known.
            let name = if ask.at_home { "max_completion_tokens" } else { "max_tokens" };
            body[name] = json!(most);
        }
        ("/chat/completions".to_owned(), body)
    }

    fn sign(&self, request: Request, key: Option<&Secret>) -> Result<Request, HttpError> {
        bearer(request, key)
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(stream::Stream::default())
    }

    fn whole(&self, body: &Value, draft: &mut Draft) -> Result<(), Failure> {
        head(body, draft)?;
        let choice = &body["choices"][0];
        let message = &choice["message"];
        if !message.is_object() {
            return Err(Failure::malformed("it has no `choices` with a `message`"));
        }
        content(&message["content"], &mut |piece| {
            draft.push_text(piece);
        });
        for call in array(&message["tool_calls"]) {
            let place = draft.begin_call(text(call, "/id"), text(call, "/function/name"));
            draft.set_args(place, call["function"]["arguments"].clone());
        }
        let reason = choice["finish_reason"].as_str().unwrap_or("stop");
        draft.finish = Some(finish(reason, text(message, "/refusal"))?);
        Ok(())
    }

    fn complaint(&self, body: &Value) -> Complaint {
        complaint(body)
    }
}

/// The messages, in the form that Ollama has too but for calls and results.
pub(super) fn messages(
    conversation: &Conversation,
    assistant: fn(&str, &[Asked]) -> Value,
    result: fn(&Answered) -> Value,
) -> Vec<Value> {
    // The newer role `developer` is known at home only; `system` is known everywhere.
    let system = conversation.system.as_ref();
    let mut messages: Vec<Value> =
        system.map(|system| json!({ "role": "system", "content": system })).into_iter().collect();
    for message in &conversation.messages {
        match message {
            Message::User(text) => messages.push(json!({ "role": "user", "content": text })),
            Message::Assistant { text, calls } => messages.push(assistant(text, calls)),
            Message::Results(results) => messages.extend(results.iter().map(result)),
        }
    }
    messages
}

/// Signs with a key, where there is one: compatible servers on this machine want none.
pub(super) fn bearer(request: Request, key: Option<&Secret>) -> Result<Request, HttpError> {
    match key {
        Some(key) => {
            let value = Secret::new(format!("Bearer {}", key.expose()));
            request.secret_header("authorization", &value)
        }
        None => Ok(request),
    }
}

/// The tools, in the form that Ollama has too.
pub(super) fn tools(tools: &[ToolSpec]) -> Value {
    let tool = |tool: &ToolSpec| {
        let mut parameters = Value::clone(&tool.parameters);
        without_booleans(&mut parameters);
        json!({
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": parameters,
            },
        })
    };
    tools.iter().map(tool).collect()
}

/// Writes the schema `true` as `{}`, which means the same: it is what derived schemas have for
/// "any value", and servers refuse it.
fn without_booleans(schema: &mut Value) {
    let Value::Object(schema) = schema else {
        if *schema == Value::Bool(true) {
            *schema = json!({});
        }
        return;
    };
    for (name, value) in schema {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().for_each(without_booleans);
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(without_booleans);
            }
            ("items", schema) => without_booleans(schema),
            _ => {}
        }
    }
}

fn assistant(text: &str, calls: &[Asked]) -> Value {
    if calls.is_empty() {
        return json!({ "role": "assistant", "content": text });
    }
    let content = (!text.is_empty()).then_some(text);
    let call = |call: &Asked| {
        json!({
            "id": call.id,
            "type": "function",
            "function": { "name": call.name, "arguments": call.args.to_string() },
        })
    };
    let calls: Value = calls.iter().map(call).collect();
    json!({ "role": "assistant", "content": content, "tool_calls": calls })
}

fn result(result: &Answered) -> Value {
    json!({ "role": "tool", "tool_call_id": result.id, "content": told(result) })
}

/// A result in words: there is no field that says that it is an error.
pub(super) fn told(result: &Answered) -> String {
    let mark = if result.is_error { "error: " } else { "" };
    format!("{mark}{}", result.text)
}

/// What stands around the answer, streamed or whole: an error in its place, the model, the usage.
fn head(body: &Value, draft: &mut Draft) -> Result<(), Failure> {
    if !body.is_object() {
        return Err(Failure::malformed("a part of it is not a JSON object"));
    }
    let errors = [&body["error"], &body["choices"][0]["error"]];
    if let Some(error) = errors.into_iter().find(|error| !error.is_null()) {
        return Err(Failure::in_stream(complaint(error)));
    }
    if body["object"] == "error" {
        return Err(Failure::in_stream(complaint(body)));
    }
    let model = text(body, "/model");
    if draft.model.is_none() && !model.is_empty() {
        draft.model = Some(model.to_owned());
    }
    let usage = &body["usage"];
    if usage.is_object() {
        let of = |pointer: &str| usage.pointer(pointer).map_or(0, tokens);
        let (input, output) = (of("/prompt_tokens"), of("/completion_tokens"));
        let thinking = of("/completion_tokens_details/reasoning_tokens");
        // Some servers count the thinking beside the completion, not in it; the total tells.
        let beside = thinking > output || of("/total_tokens") >= input + output + thinking;
        draft.usage.input_tokens = input;
        draft.usage.output_tokens = if beside { output } else { output - thinking };
        draft.usage.thinking_tokens = thinking;
        draft.usage.cached_tokens = of("/prompt_tokens_details/cached_tokens").min(input);
    }
    Ok(())
}

/// The visible text of a `content`: a string, or an array of parts of which some are text.
fn content(content: &Value, each: &mut dyn FnMut(&str)) {
    if let Some(text) = content.as_str() {
        each(text);
    }
    for part in array(content) {
        if part["type"] == "text" {
            each(text(part, "/text"));
        }
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What the reason of an end means.
fn finish(reason: &str, refusal: &str) -> Result<Finish, Failure> {
    match reason {
        "length" | "max_tokens" | "model_length" => Ok(Finish::Length),
        // Words of compatible servers for an answer that they did not get to the end of.
        "error" | "abort" | "insufficient_system_resource" => Err(Failure::in_stream(Complaint {
            message: "the server gives this as the reason of the end".to_owned(),
            code: reason.to_owned(),
            ..Complaint::default()
        })),
        _ if !refusal.is_empty() => Ok(Finish::Withheld(refusal.to_owned())),
        "content_filter" => Ok(Finish::Withheld(reason.to_owned())),
        _ => Ok(Finish::Whole),
    }
}

/// What an error says: `{"error": {message, type, code}}` at home; elsewhere the error may be a
/// text, lie bare, be called `detail`, or stand in an array.
fn complaint(body: &Value) -> Complaint {
    let body = body.get(0).unwrap_or(body);
    let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
    let said =
        [error, &error["message"], &error["detail"]].into_iter().find_map(|said| match said {
            Value::String(text) => Some(text.clone()),
            // Which field of the request is wrong, and how.
            Value::Array(wrong) if !wrong.is_empty() => Some(said.to_string()),
            _ => None,
        });
    let code = match (&error["code"], &error["type"]) {
        (Value::String(code), _) if !code.is_empty() => code.clone(),
        (_, Value::String(kind)) => kind.clone(),
        (Value::Number(code), _) => code.to_string(),
        _ => String::new(),
    };
    Complaint { message: said.unwrap_or_default(), code, retry_after: None }
}
