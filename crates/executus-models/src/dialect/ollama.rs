//! Ollama's native API.
//!
//! A model here has the context that its server gives it, often a small one, and what does not fit
//! is left out of the prompt without a word. Nothing is sent about it: another size would load the
//! model anew, for every other client too.

use executus_core::secret::Secret;
use executus_http::{HttpError, Request};
use serde_json::{Value, json};

use super::openai::{bearer, messages, told, tools};
use super::{Dialect, Reader, text};
use crate::ask::Ask;
use crate::conversation::{Answered, Asked};
use crate::draft::{Draft, Finish, tokens};
use crate::failure::{Complaint, Failure};
use executus_http::events::Framing;

#[cfg(test)]
mod tests;

/// Ollama: `POST {base}/api/chat`.
#[derive(Debug)]
pub(crate) struct Ollama;

impl Dialect for Ollama {
    fn default_base(&self) -> &'static str {
        "http://127.0.0.1:11434"
    }

    fn request(&self, ask: &Ask<'_>) -> (String, Value) {
        let conversation = ask.conversation;
        let messages = messages(conversation, assistant, result);
        // Without a word about it, it streams.
        let mut body = json!({ "model": ask.model, "messages": messages, "stream": ask.stream });
        if !conversation.tools.is_empty() {
            body["tools"] = tools(&conversation.tools);
        }
        if let Some(most) = ask.max_output_tokens {
            body["options"] = json!({ "num_predict": most });
        }
        ("/api/chat".to_owned(), body)
    }

    fn sign(&self, request: Request, key: Option<&Secret>) -> Result<Request, HttpError> {
        bearer(request, key)
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Stream { over: false })
    }

    fn whole(&self, body: &Value, draft: &mut Draft) -> Result<(), Failure> {
        if body["message"].is_null() && body["error"].is_null() {
            return Err(Failure::malformed("it has no `message`"));
        }
        read(body, draft, &mut |_| {}).map(|_| ())
    }

    fn complaint(&self, body: &Value) -> Complaint {
        complaint(body)
    }
}

fn assistant(text: &str, calls: &[Asked]) -> Value {
    let mut message = json!({ "role": "assistant", "content": text });
    if !calls.is_empty() {
        let call =
            |call: &Asked| json!({ "function": { "name": call.name, "arguments": call.args } });
        message["tool_calls"] = calls.iter().map(call).collect();
    }
    message
}

/// It has no ids: results follow the calls in their order.
fn result(result: &Answered) -> Value {
    json!({ "role": "tool", "tool_name": result.name, "content": told(result) })
}

/// A stream of objects, each with a part of the message; the last says `done`.
#[derive(Debug)]
struct Stream {
    over: bool,
}

impl Reader for Stream {
    fn event(
        &mut self,
        data: &str,
        draft: &mut Draft,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        self.over = read(&super::json(data)?, draft, say)?;
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// Takes in one object, and says whether it is the last. A whole answer is a stream of one.
fn read(part: &Value, draft: &mut Draft, say: &mut dyn FnMut(&str)) -> Result<bool, Failure> {
    if !part.is_object() {
        return Err(Failure::malformed("a part of it is not a JSON object"));
    }
    if !part["error"].is_null() {
        return Err(Failure::in_stream(complaint(part)));
    }
    let model = text(part, "/model");
    if draft.model.is_none() && !model.is_empty() {
        draft.model = Some(model.to_owned());
    }
    // `message.thinking` is left out: it is not for the reader.
    let kept = draft.push_text(text(part, "/message/content"));
    if !kept.is_empty() {
        say(kept);
    }
    // Calls come whole, with an id in newer versions.
    for call in part["message"]["tool_calls"].as_array().into_iter().flatten() {
        let place = draft.begin_call(text(call, "/id"), text(call, "/function/name"));
        draft.set_args(place, call["function"]["arguments"].clone());
    }
    if part["done"] != true {
        return Ok(false);
    }
    // Thinking is part of the output and not told apart.
    draft.usage.input_tokens = tokens(&part["prompt_eval_count"]);
    draft.usage.output_tokens = tokens(&part["eval_count"]);
    draft.finish = Some(match text(part, "/done_reason") {
        "length" => Finish::Length,
        _ => Finish::Whole,
    });
    Ok(true)
}

/// What an error says: a text, which may be the error of the runner within, as JSON.
fn complaint(body: &Value) -> Complaint {
    let said = text(body, "/error");
    let within = serde_json::from_str(said).unwrap_or(Value::Null);
    let error = if within["error"].is_object() { &within["error"] } else { &body["error"] };
    let message = match text(error, "/message") {
        "" => said,
        message => message,
    };
    let code = text(error, "/type").to_owned();
    Complaint { message: message.to_owned(), code, retry_after: None }
}
