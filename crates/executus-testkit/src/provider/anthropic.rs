//! The words of Anthropic's messages.

use serde_json::{Value, json};

use super::answer::{Arguments, Call, Reply, Trouble, Used};
use super::dialect::{ErrorReply, Turn};
use super::openai::seconds;
use super::piece::{Piece, Pieces};

pub(super) fn whole(reply: &Reply, turn: &Turn) -> Value {
    let mut content = Vec::new();
    if let Some(thinking) = &reply.thinking {
        let signature = signature(thinking);
        content.push(json!({ "type": "thinking", "thinking": thinking, "signature": signature }));
    }
    if let Some(text) = &reply.text {
        content.push(json!({ "type": "text", "text": text.whole() }));
    }
    for (index, call) in reply.calls.iter().enumerate() {
        let input = match &call.arguments {
            Arguments::Json(value) => value.clone(),
            Arguments::Broken(raw) => json!(raw),
        };
        content.push(tool_use(turn, index, call, &input));
    }
    let mut message = message(reply, turn);
    message["content"] = json!(content);
    message["stop_reason"] = json!(finish(reply));
    if let Some(used) = reply.used {
        message["usage"] = usage(used, used.output);
    }
    message
}

pub(super) fn pieces(reply: Reply, turn: Turn) -> Pieces {
    let mut start = message(&reply, &turn);
    if let Some(used) = reply.used {
        // What is known at the start: the prompt, and a first token of the answer.
        start["usage"] = usage(used, used.output.min(1));
    }
    let mut open = vec![Piece::frame(event("message_start", json!({ "message": start })))];
    open.push(Piece::frame(event("ping", json!({}))));

    let mut block = 0;
    if let Some(thinking) = &reply.thinking {
        let empty = json!({ "type": "thinking", "thinking": "", "signature": "" });
        let parts = reply.thinking_pieces();
        let parts = parts.iter().map(|p| json!({ "type": "thinking_delta", "thinking": p }));
        let sign = json!({ "type": "signature_delta", "signature": signature(thinking) });
        open.extend(self::block(block, &empty, parts, Some(&sign)));
        block += 1;
    }
    let mut text: Pieces = Box::new(std::iter::empty());
    if reply.text.is_some() {
        let at = block;
        let empty = json!({ "type": "text", "text": "" });
        let delta = move |part: String| {
            Piece::content(delta(at, &json!({ "type": "text_delta", "text": part })))
        };
        text = Box::new(
            std::iter::once(block_start(at, &empty))
                .chain(reply.text_pieces().map(delta))
                .chain(std::iter::once(block_stop(at))),
        );
        block += 1;
    }
    let mut rest = Vec::new();
    for (index, call) in reply.calls.iter().enumerate() {
        let empty = tool_use(&turn, index, call, &json!({}));
        // The first fragment is always an empty one.
        let parts = std::iter::once(String::new()).chain(call.fragments());
        let parts = parts.map(|p| json!({ "type": "input_json_delta", "partial_json": p }));
        rest.extend(self::block(block + index, &empty, parts, None));
    }
    let mut end = json!({ "delta": { "stop_reason": finish(&reply), "stop_sequence": null } });
    if let Some(used) = reply.used {
        end["usage"] = json!({ "output_tokens": used.output });
    }
    rest.push(Piece::end(event("message_delta", end)));
    rest.push(Piece::end(event("message_stop", json!({}))));
    Box::new(open.into_iter().chain(text).chain(rest))
}

fn block(
    index: usize,
    empty: &Value,
    deltas: impl Iterator<Item = Value>,
    last: Option<&Value>,
) -> Vec<Piece> {
    let mut pieces = vec![block_start(index, empty)];
    pieces.extend(deltas.map(|d| Piece::content(delta(index, &d))));
    pieces.extend(last.map(|d| Piece::frame(delta(index, d))));
    pieces.push(block_stop(index));
    pieces
}

fn block_start(index: usize, empty: &Value) -> Piece {
    Piece::frame(event("content_block_start", json!({ "index": index, "content_block": empty })))
}

fn block_stop(index: usize) -> Piece {
    Piece::frame(event("content_block_stop", json!({ "index": index })))
}

fn delta(index: usize, delta: &Value) -> String {
    event("content_block_delta", json!({ "index": index, "delta": delta }))
}

fn event(name: &str, mut data: Value) -> String {
    data["type"] = json!(name);
    format!("event: {name}\ndata: {data}\n\n")
}

fn message(reply: &Reply, turn: &Turn) -> Value {
    json!({
        "id": format!("msg_{}", turn.number),
        "type": "message",
        "role": "assistant",
        "model": reply.model.as_deref().unwrap_or(&turn.model),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn tool_use(turn: &Turn, index: usize, call: &Call, input: &Value) -> Value {
    let id = format!("toolu_{}_{index}", turn.number);
    json!({ "type": "tool_use", "id": id, "name": call.name, "input": input })
}

fn finish(reply: &Reply) -> &str {
    let fitting = if reply.calls.is_empty() { "end_turn" } else { "tool_use" };
    reply.finish.as_deref().unwrap_or(fitting)
}

/// Anthropic counts the tokens from and to the cache beside the input, not in it.
fn usage(used: Used, output: u64) -> Value {
    json!({
        "input_tokens": used.input.saturating_sub(used.cached + used.cache_written),
        "cache_creation_input_tokens": used.cache_written,
        "cache_read_input_tokens": used.cached,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

/// What thinking is signed with: only thinking of this server comes back with a right one.
pub(super) fn signature(thinking: &str) -> String {
    let hash = thinking.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("sig{hash:016x}")
}

pub(super) fn error_piece(message: &str) -> String {
    event("error", body("overloaded_error", message))
}

pub(super) fn error(trouble: &Trouble, turn: &Turn) -> ErrorReply {
    match trouble {
        Trouble::Status(status, message) => {
            let kind = match status {
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                504 => "timeout_error",
                529 => "overloaded_error",
                500.. => "api_error",
                _ => "invalid_request_error",
            };
            reply(*status, kind, message)
        }
        Trouble::RateLimited(wait) => {
            let message = "This request would exceed your organization's rate limit of 50 \
                           requests per minute.";
            let mut error = reply(429, "rate_limit_error", message);
            error.headers.extend(wait.map(|wait| ("retry-after", seconds(wait))));
            error
        }
        Trouble::Overloaded => reply(529, "overloaded_error", "Overloaded"),
        Trouble::ContextOverflow => invalid("prompt is too long: 208310 tokens > 200000 maximum"),
        Trouble::Unauthorized => reply(401, "authentication_error", "invalid x-api-key"),
        Trouble::UnknownModel => reply(404, "not_found_error", &format!("model: {}", turn.model)),
    }
}

/// A 400 of what is wrong with the request.
pub(super) fn invalid(message: &str) -> ErrorReply {
    reply(400, "invalid_request_error", message)
}

pub(super) fn reply(status: u16, kind: &str, message: &str) -> ErrorReply {
    let (headers, body) = (Vec::new(), body(kind, message));
    ErrorReply { status, headers, body, message: message.to_owned() }
}

fn body(kind: &str, message: &str) -> Value {
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}
