//! The words of Gemini.

use serde_json::{Value, json};

use super::answer::{Arguments, Reply, Trouble, Used};
use super::dialect::{ErrorReply, Turn};
use super::piece::{Piece, Pieces};

const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The model a path names.
pub(super) fn model(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/models/")?;
    rest.split(':').next()
}

pub(super) fn whole(reply: &Reply, turn: &Turn) -> Value {
    let mut parts = Vec::new();
    if let Some(thinking) = &reply.thinking {
        parts.push(json!({ "text": thinking, "thought": true }));
    }
    if let Some(text) = &reply.text {
        parts.push(json!({ "text": text.whole() }));
    }
    parts.extend(calls(reply, turn));
    let mut candidate = json!({ "index": 0, "finishReason": finish(reply) });
    if parts.is_empty() {
        // A candidate that was broken off before its first part has no parts at all.
        candidate["content"] = json!({});
    } else {
        candidate["content"] = json!({ "role": "model", "parts": parts });
    }
    if let Some(message) = malformed(reply) {
        candidate["finishMessage"] = json!(message);
    }
    response(reply, turn, &candidate, reply.used)
}

pub(super) fn pieces(reply: Reply, turn: Turn) -> Pieces {
    // Every chunk has usage; until the last it tells only what is known, the prompt.
    let known = reply.used.map(|used| Used { input: used.input, ..Used::default() });
    let chunk = {
        let reply = Reply { text: None, ..reply.clone() };
        let turn = turn.clone();
        move |part: Value| {
            let content = json!({ "role": "model", "parts": [part] });
            let candidate = json!({ "index": 0, "content": content });
            Piece::content(event(&response(&reply, &turn, &candidate, known)))
        }
    };
    let thinking: Vec<Piece> = reply
        .thinking_pieces()
        .iter()
        .map(|part| chunk(json!({ "text": part, "thought": true })))
        .collect();
    let calls: Vec<Piece> = calls(&reply, &turn).into_iter().map(&chunk).collect();
    let mut candidate = json!({ "index": 0, "finishReason": finish(&reply) });
    if let Some(message) = malformed(&reply) {
        candidate["content"] = json!({});
        candidate["finishMessage"] = json!(message);
    } else {
        candidate["content"] = json!({ "role": "model", "parts": [{ "text": "" }] });
    }
    let end = Piece::end(event(&response(&reply, &turn, &candidate, reply.used)));
    let text = reply.text_pieces().map(move |part| chunk(json!({ "text": part })));
    Box::new(thinking.into_iter().chain(text).chain(calls).chain(std::iter::once(end)))
}

/// The parts of the calls; the first one is signed by models that think.
fn calls(reply: &Reply, turn: &Turn) -> Vec<Value> {
    let signed = reply.thinking.is_some() || signs(&turn.model);
    let whole = reply.calls.iter().filter_map(|call| match &call.arguments {
        Arguments::Json(arguments) => Some((&call.name, arguments)),
        Arguments::Broken(_) => None,
    });
    whole
        .enumerate()
        .map(|(index, (name, arguments))| {
            let mut part = json!({ "functionCall": { "name": name, "args": arguments } });
            if signed && index == 0 {
                part["thoughtSignature"] = json!(format!("c2lnbmF0dXJl{}", turn.number));
            }
            part
        })
        .collect()
}

/// Whether this model signs its calls and wants the signatures back.
pub(super) fn signs(model: &str) -> bool {
    model.starts_with("gemini-3")
}

fn malformed(reply: &Reply) -> Option<String> {
    reply.calls.iter().find_map(|call| match &call.arguments {
        Arguments::Json(_) => None,
        Arguments::Broken(raw) => {
            Some(format!("Malformed function call: call:default_api:{}{raw}", call.name))
        }
    })
}

fn finish(reply: &Reply) -> &str {
    let fitting = if malformed(reply).is_some() { "MALFORMED_FUNCTION_CALL" } else { "STOP" };
    reply.finish.as_deref().unwrap_or(fitting)
}

fn response(reply: &Reply, turn: &Turn, candidate: &Value, used: Option<Used>) -> Value {
    let mut response = json!({
        "candidates": [candidate],
        "modelVersion": reply.model.as_deref().unwrap_or(&turn.model),
        "responseId": format!("response-{}", turn.number),
    });
    if let Some(used) = used {
        response["usageMetadata"] = usage(used);
    }
    response
}

/// Gemini counts the thinking beside the candidates; a count of nothing is left out.
fn usage(used: Used) -> Value {
    let mut usage = json!({
        "promptTokenCount": used.input,
        "totalTokenCount": used.input + used.output,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": used.input }],
    });
    let counts = [
        ("candidatesTokenCount", used.output.saturating_sub(used.thinking)),
        ("thoughtsTokenCount", used.thinking),
        ("cachedContentTokenCount", used.cached),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        usage[name] = json!(count);
    }
    usage
}

/// Gemini ends the lines of its events with CR LF.
fn event(data: &Value) -> String {
    format!("data: {data}\r\n\r\n")
}

pub(super) fn error_piece(message: &str) -> String {
    event(&body(503, message, "UNAVAILABLE", None))
}

pub(super) fn error(trouble: &Trouble, turn: &Turn) -> ErrorReply {
    match trouble {
        Trouble::Status(status, message) => {
            let name = match status {
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                503 => "UNAVAILABLE",
                504 => "DEADLINE_EXCEEDED",
                500.. => "INTERNAL",
                _ => "INVALID_ARGUMENT",
            };
            reply(*status, name, message, None)
        }
        Trouble::RateLimited(wait) => {
            let message = "You exceeded your current quota, please check your plan and billing \
                           details.";
            let details = wait.map(|wait| {
                json!([{ "@type": RETRY_INFO, "retryDelay": format!("{}s", wait.as_secs_f64()) }])
            });
            reply(429, "RESOURCE_EXHAUSTED", message, details)
        }
        Trouble::Overloaded => {
            let message = "The model is overloaded. Please try again later.";
            reply(503, "UNAVAILABLE", message, None)
        }
        Trouble::ContextOverflow => reply(
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed \
             (1048576).",
            None,
        ),
        Trouble::Unauthorized => {
            let details = json!([{
                "@type": ERROR_INFO,
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": { "service": "generativelanguage.googleapis.com" },
            }]);
            let message = "API key not valid. Please pass a valid API key.";
            reply(400, "INVALID_ARGUMENT", message, Some(details))
        }
        Trouble::UnknownModel => {
            let message = format!(
                "models/{} is not found for API version v1beta, or is not supported for \
                 generateContent. Call ListModels to see the list of available models and their \
                 supported methods.",
                turn.model
            );
            reply(404, "NOT_FOUND", &message, None)
        }
    }
}

/// A 400 of what is wrong with the request, with the field it is about.
pub(super) fn invalid(field: &str, message: &str) -> ErrorReply {
    let violation = json!({ "field": field, "description": message });
    let details = json!([{ "@type": BAD_REQUEST, "fieldViolations": [violation] }]);
    reply(400, "INVALID_ARGUMENT", message, Some(details))
}

pub(super) fn reply(status: u16, name: &str, message: &str, details: Option<Value>) -> ErrorReply {
    ErrorReply {
        status,
        headers: Vec::new(),
        body: body(status, message, name, details),
        message: message.to_owned(),
    }
}

fn body(status: u16, message: &str, name: &str, details: Option<Value>) -> Value {
    let mut error = json!({ "code": status, "message": message, "status": name });
    if let Some(details) = details {
        error["details"] = details;
    }
    json!({ "error": error })
}
