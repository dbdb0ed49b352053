//! The words of OpenAI's chat completions.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Call, Reply, Trouble, Used};
use super::dialect::{ErrorReply, Turn};
use super::piece::{Piece, Pieces};

/// Any time will do; a fixed one keeps answers the same.
const CREATED: u64 = 1_750_000_000;

pub(super) fn whole(reply: &Reply, turn: &Turn) -> Value {
    let mut message = json!({
        "role": "assistant",
        "content": reply.text.as_ref().map(super::answer::Text::whole),
        "refusal": null,
        "annotations": [],
    });
    if let Some(thinking) = &reply.thinking {
        message["reasoning_content"] = json!(thinking);
    }
    if !reply.calls.is_empty() {
        let calls = reply.calls.iter().enumerate().map(|(index, call)| {
            json!({
                "id": id(turn, index),
                "type": "function",
                "function": { "name": call.name, "arguments": call.written() },
            })
        });
        message["tool_calls"] = calls.collect();
    }
    let mut body = json!({
        "id": format!("chatcmpl-{}", turn.number),
        "object": "chat.completion",
        "created": CREATED,
        "model": served(reply, turn),
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish(reply),
        }],
        "service_tier": "default",
        "system_fingerprint": "fp_executus",
    });
    if let Some(used) = reply.used {
        body["usage"] = usage(used);
    }
    body
}

pub(super) fn pieces(reply: Reply, turn: Turn) -> Pieces {
    let open = Piece::frame(delta(&reply, &turn, &json!({ "role": "assistant", "content": "" })));
    let calls: Vec<Piece> = reply
        .calls
        .iter()
        .enumerate()
        .flat_map(|(index, call)| call_pieces(&reply, &turn, index, call))
        .collect();
    let thinking: Vec<Piece> = reply
        .thinking_pieces()
        .iter()
        .map(|part| Piece::content(delta(&reply, &turn, &json!({ "reasoning_content": part }))))
        .collect();
    let mut end = vec![Piece::end(chunk(
        &reply,
        &turn,
        json!([{ "index": 0, "delta": {}, "logprobs": null, "finish_reason": finish(&reply) }]),
        json!(null),
    ))];
    if let (Some(used), true) = (reply.used, turn.usage_wanted) {
        end.push(Piece::end(chunk(&reply, &turn, json!([]), usage(used))));
    }
    end.push(Piece::end("data: [DONE]\n\n".to_owned()));
    let text = reply.text_pieces();
    let text =
        text.map(move |part| Piece::content(delta(&reply, &turn, &json!({ "content": part }))));
    Box::new(std::iter::once(open).chain(thinking).chain(text).chain(calls).chain(end))
}

/// The id and the name first, then the arguments in fragments.
fn call_pieces(reply: &Reply, turn: &Turn, index: usize, call: &Call) -> Vec<Piece> {
    let opening = json!({ "tool_calls": [{
        "index": index,
        "id": id(turn, index),
        "type": "function",
        "function": { "name": call.name, "arguments": "" },
    }] });
    let fragment = |part: String| json!({ "tool_calls": [{ "index": index, "function": { "arguments": part } }] });
    std::iter::once(opening)
        .chain(call.fragments().into_iter().map(fragment))
        .map(|change| Piece::content(delta(reply, turn, &change)))
        .collect()
}

fn delta(reply: &Reply, turn: &Turn, change: &Value) -> String {
    let choice = json!({ "index": 0, "delta": change, "logprobs": null, "finish_reason": null });
    chunk(reply, turn, json!([choice]), json!(null))
}

fn chunk(reply: &Reply, turn: &Turn, choices: Value, usage: Value) -> String {
    let mut chunk = json!({
        "id": format!("chatcmpl-{}", turn.number),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": served(reply, turn),
        "service_tier": "default",
        "system_fingerprint": "fp_executus",
        "choices": choices,
    });
    // Asked for, every chunk has the field, and all but the last have null.
    if turn.usage_wanted {
        chunk["usage"] = usage;
    }
    format!("data: {chunk}\n\n")
}

fn served<'a>(reply: &'a Reply, turn: &'a Turn) -> &'a str {
    reply.model.as_deref().unwrap_or(&turn.model)
}

fn id(turn: &Turn, index: usize) -> String {
    format!("call_{}_{index}", turn.number)
}

fn finish(reply: &Reply) -> &str {
    let fitting = if reply.calls.is_empty() { "stop" } else { "tool_calls" };
    reply.finish.as_deref().unwrap_or(fitting)
}

fn usage(used: Used) -> Value {
    json!({
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": { "cached_tokens": used.cached, "audio_tokens": 0 },
        "completion_tokens_details": {
            "reasoning_tokens": used.thinking,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

pub(super) fn error_piece(message: &str) -> String {
    let body = body(message, "server_error", None, None);
    format!("data: {body}\n\n")
}

pub(super) fn error(trouble: &Trouble, turn: &Turn) -> ErrorReply {
    match trouble {
        Trouble::Status(status, message) => {
            let kind = match status {
                401 => "authentication_error",
                403 => "permission_error",
                429 => "rate_limit_error",
                500.. => "server_error",
                _ => "invalid_request_error",
            };
            reply(*status, message, kind, None, None)
        }
        Trouble::RateLimited(wait) => {
            let message = "Rate limit reached for requests per min (RPM): Limit 3, Used 3.";
            let mut error = reply(429, message, "requests", None, Some("rate_limit_exceeded"));
            if let Some(wait) = wait {
                error.headers.push(("retry-after", seconds(*wait)));
                error.headers.push(("retry-after-ms", wait.as_millis().to_string()));
            }
            error
        }
        Trouble::Overloaded => {
            let message = "The engine is currently overloaded, please try again later";
            reply(503, message, "service_unavailable_error", None, None)
        }
        Trouble::ContextOverflow => invalid(
            "This model's maximum context length is 8192 tokens. However, your messages resulted \
             in 12210 tokens. Please reduce the length of the messages.",
            Some("messages"),
            Some("context_length_exceeded"),
        ),
        Trouble::Unauthorized => {
            let message = "Incorrect API key provided: sk-w****rong. You can find your API key at \
                           https://platform.openai.com/account/api-keys.";
            reply(401, message, "invalid_request_error", None, Some("invalid_api_key"))
        }
        Trouble::UnknownModel => {
            let message = format!(
                "The model `{}` does not exist or you do not have access to it.",
                turn.model
            );
            reply(404, &message, "invalid_request_error", None, Some("model_not_found"))
        }
    }
}

/// Whole seconds, rounded up: waiting less would be asking too early.
pub(super) fn seconds(wait: Duration) -> String {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).to_string()
}

/// A 400 of what is wrong with the request.
pub(super) fn invalid(message: &str, param: Option<&str>, code: Option<&str>) -> ErrorReply {
    reply(400, message, "invalid_request_error", param, code)
}

pub(super) fn reply(
    status: u16,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> ErrorReply {
    ErrorReply {
        status,
        headers: Vec::new(),
        body: body(message, kind, param, code),
        message: message.to_owned(),
    }
}

fn body(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}
