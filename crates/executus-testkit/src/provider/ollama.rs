//! The words of Ollama.

use serde_json::{Value, json};

use super::answer::{Arguments, Reply, Text, Trouble};
use super::dialect::{ErrorReply, Turn};
use super::openai::seconds;
use super::piece::{Piece, Pieces};

/// Any time will do; a fixed one keeps answers the same.
const CREATED: &str = "2025-06-15T15:06:40.123456Z";

pub(super) fn whole(reply: &Reply, turn: &Turn) -> Result<Value, ErrorReply> {
    if let Some(message) = unparsable(reply) {
        return Err(self::reply(500, &message));
    }
    let content = reply.text.as_ref().map(Text::whole).unwrap_or_default();
    let mut message = json!({ "role": "assistant", "content": content });
    if let Some(thinking) = &reply.thinking {
        message["thinking"] = json!(thinking);
    }
    if !reply.calls.is_empty() {
        message["tool_calls"] = calls(reply).collect();
    }
    Ok(finished(reply, turn, &message))
}

pub(super) fn pieces(reply: Reply, turn: Turn) -> Pieces {
    let thinking: Vec<Piece> = reply
        .thinking_pieces()
        .iter()
        .map(|part| json!({ "role": "assistant", "content": "", "thinking": part }))
        .map(|message| Piece::content(line(&reply, &turn, &message)))
        .collect();
    // A call comes whole, each in a line of its own.
    let mut rest: Vec<Piece> = calls(&reply)
        .map(|call| json!({ "role": "assistant", "content": "", "tool_calls": [call] }))
        .map(|message| Piece::content(line(&reply, &turn, &message)))
        .collect();
    rest.push(Piece::end(match unparsable(&reply) {
        Some(message) => error_piece(&message),
        None => {
            let empty = json!({ "role": "assistant", "content": "" });
            format!("{}\n", finished(&reply, &turn, &empty))
        }
    }));
    let text = reply.text_pieces();
    let text = text.map(move |part| {
        Piece::content(line(&reply, &turn, &json!({ "role": "assistant", "content": part })))
    });
    Box::new(thinking.into_iter().chain(text).chain(rest))
}

fn calls(reply: &Reply) -> impl Iterator<Item = Value> {
    reply.calls.iter().enumerate().filter_map(|(index, call)| match &call.arguments {
        Arguments::Json(arguments) => Some(json!({
            "function": { "index": index, "name": call.name, "arguments": arguments },
        })),
        Arguments::Broken(_) => None,
    })
}

/// What Ollama says of a call that its model wrote badly.
fn unparsable(reply: &Reply) -> Option<String> {
    reply.calls.iter().find_map(|call| match &call.arguments {
        Arguments::Json(_) => None,
        Arguments::Broken(raw) => {
            Some(format!("error parsing tool call: raw='{raw}', err=unexpected end of JSON input"))
        }
    })
}

fn line(reply: &Reply, turn: &Turn, message: &Value) -> String {
    let line = json!({
        "model": reply.model.as_deref().unwrap_or(&turn.model),
        "created_at": CREATED,
        "message": message,
        "done": false,
    });
    format!("{line}\n")
}

fn finished(reply: &Reply, turn: &Turn, message: &Value) -> Value {
    let mut last = json!({
        "model": reply.model.as_deref().unwrap_or(&turn.model),
        "created_at": CREATED,
        "message": message,
        "done": true,
        "done_reason": reply.finish.as_deref().unwrap_or("stop"),
        "total_duration": 5_191_566_416_u64,
        "load_duration": 2_154_458_u64,
        "prompt_eval_duration": 383_809_000_u64,
        "eval_duration": 4_799_921_000_u64,
    });
    if let Some(used) = reply.used {
        last["prompt_eval_count"] = json!(used.input);
        last["eval_count"] = json!(used.output);
    }
    last
}

pub(super) fn error_piece(message: &str) -> String {
    format!("{}\n", json!({ "error": message }))
}

pub(super) fn error(trouble: &Trouble, turn: &Turn) -> ErrorReply {
    match trouble {
        Trouble::Status(status, message) => reply(*status, message),
        Trouble::RateLimited(wait) => {
            let mut error = reply(429, "too many requests");
            error.headers.extend(wait.map(|wait| ("retry-after", seconds(wait))));
            error
        }
        Trouble::Overloaded => {
            reply(503, "server busy, please try again.  maximum pending requests exceeded")
        }
        // The error of the runner within, as a string, which is how Ollama passes it on.
        Trouble::ContextOverflow => {
            let inner = json!({ "error": {
                "code": 400,
                "message": "request (5230 tokens) exceeds the available context size (4096 \
                            tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5230,
                "n_ctx": 4096,
            } });
            reply(400, &inner.to_string())
        }
        Trouble::Unauthorized => reply(401, "unauthorized"),
        Trouble::UnknownModel => reply(404, &format!("model '{}' not found", turn.model)),
    }
}

pub(super) fn reply(status: u16, message: &str) -> ErrorReply {
    let body = json!({ "error": message });
    ErrorReply { status, headers: Vec::new(), body, message: message.to_owned() }
}
