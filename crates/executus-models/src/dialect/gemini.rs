//! Gemini.

use executus_core::Usage;
use executus_core::secret::Secret;
use executus_http::{HttpError, Request};
use serde_json::{Value, json};

use super::{Dialect, Reader, text};
use crate::ask::Ask;
use crate::draft::{Draft, Finish, tokens};
use crate::failure::{Complaint, Failure};
use crate::retry_after;
use executus_http::events::Framing;

mod request;

/// Gemini: `POST /v1beta/models/{model}:generateContent`, or `:streamGenerateContent?alt=sse`.
#[derive(Debug)]
pub(crate) struct Gemini;

impl Dialect for Gemini {
    fn default_base(&self) -> &'static str {
        "https://generativelanguage.googleapis.com"
    }

    fn request(&self, ask: &Ask<'_>) -> (String, Value) {
        (request::path(ask.model, ask.stream), request::body(ask))
    }

    fn sign(&self, request: Request, key: Option<&Secret>) -> Result<Request, HttpError> {
        match key {
            Some(key) => request.secret_header("x-goog-api-key", key),
            None => Ok(request),
        }
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Chunks::default())
    }

    fn whole(&self, body: &Value, draft: &mut Draft) -> Result<(), Failure> {
        // A stream that is not one of events is an array of chunks.
        let chunks = body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
        for part in chunks {
            chunk(part, draft, &mut |_| {})?;
        }
        let answers = |chunk: &Value| chunk["candidates"].is_array();
        if draft.finish.is_none() && !chunks.iter().any(answers) {
            return Err(Failure::malformed("it is no answer: it has no candidates"));
        }
        Ok(())
    }

    fn complaint(&self, body: &Value) -> Complaint {
        complaint(body)
    }
}

/// The chunks of one streamed answer. Each has the form of a whole one.
#[derive(Debug, Default)]
struct Chunks {
    over: bool,
}

impl Reader for Chunks {
    fn event(
        &mut self,
        data: &str,
        draft: &mut Draft,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        let event = super::json(data)?;
        chunk(&event, draft, say)?;
        // The last chunk has the reason of the end and the final counts. Nothing says that it is
        // the last: where the counts are missing they may come after it.
        self.over = draft.finish.is_some() && event["usageMetadata"].is_object();
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

fn chunk(chunk: &Value, draft: &mut Draft, say: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    if error_of(chunk).is_object() {
        return Err(Failure::in_stream(complaint(chunk)));
    }
    if let Some(model) = chunk["modelVersion"].as_str() {
        draft.model = Some(model.to_owned());
    }
    count(&chunk["usageMetadata"], &mut draft.usage);
    if draft.finish.is_some() {
        // What comes after the end is no part of the answer.
        return Ok(());
    }
    let candidate = &chunk["candidates"][0];
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if part["functionCall"].is_object() {
            call(part, draft);
        } else if part["thought"] != true {
            let kept = draft.push_text(text(part, "/text"));
            if !kept.is_empty() {
                say(kept);
            }
        }
    }
    draft.finish = finish(candidate)?;
    if candidate.is_null() {
        let blocked = text(chunk, "/promptFeedback/blockReason");
        let blocked = Some(blocked).filter(|reason| !reason.is_empty());
        draft.finish = blocked.map(|reason| Finish::Withheld(format!("the prompt: {reason}")));
    }
    Ok(())
}

fn call(part: &Value, draft: &mut Draft) {
    let call = &part["functionCall"];
    let place = draft.begin_call(text(call, "/id"), text(call, "/name"));
    // A call is always whole: without arguments it has none.
    let args = Some(&call["args"]).filter(|args| !args.is_null()).cloned();
    draft.set_args(place, args.unwrap_or_else(|| json!({})));
    if let Some(signature) = part["thoughtSignature"].as_str() {
        draft.sign_call(place, signature);
    }
}

/// Why a candidate ended; `None` while it has not.
fn finish(candidate: &Value) -> Result<Option<Finish>, Failure> {
    let message = text(candidate, "/finishMessage");
    let told = |reason: &str| match message {
        "" => reason.to_owned(),
        message => format!("{reason}: {message}"),
    };
    match text(candidate, "/finishReason") {
        "" | "FINISH_REASON_UNSPECIFIED" => Ok(None),
        "STOP" => Ok(Some(Finish::Whole)),
        "MAX_TOKENS" => Ok(Some(Finish::Length)),
        // The model wrote a call that is none. It may do better the next time.
        reason @ ("MALFORMED_FUNCTION_CALL"
        | "MALFORMED_RESPONSE"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS") => Err(Failure::malformed(told(reason))),
        reason @ "MISSING_THOUGHT_SIGNATURE" => Err(Failure::rejected(told(reason))),
        // A filter, or a reason that nobody here knows to be good.
        reason => Ok(Some(Finish::Withheld(told(reason)))),
    }
}

/// Takes over the newest counts. Each chunk has the sums so far, without those that are 0.
fn count(report: &Value, usage: &mut Usage) {
    let newest = |name: &str, count: &mut u64| {
        if !report[name].is_null() {
            *count = tokens(&report[name]);
        }
    };
    newest("promptTokenCount", &mut usage.input_tokens);
    newest("candidatesTokenCount", &mut usage.output_tokens);
    newest("thoughtsTokenCount", &mut usage.thinking_tokens);
    newest("cachedContentTokenCount", &mut usage.cached_tokens);
    // What tools of the provider's own put into the prompt counts beside it.
    if !report["promptTokenCount"].is_null() {
        usage.input_tokens += tokens(&report["toolUsePromptTokenCount"]);
    }
}

/// The error of a body, which may be an array with one object.
fn error_of(body: &Value) -> &Value {
    let body = if body.is_array() { &body[0] } else { body };
    &body["error"]
}

fn complaint(body: &Value) -> Complaint {
    let error = error_of(body);
    let message = error["message"].as_str().or(error.as_str()).unwrap_or_default();
    let details = error["details"].as_array().into_iter().flatten();
    let delay = details.filter_map(|detail| detail["retryDelay"].as_str()).next();
    Complaint {
        message: message.to_owned(),
        code: text(error, "/status").to_owned(),
        retry_after: delay.and_then(retry_after::of_body),
    }
}
