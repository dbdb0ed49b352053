//! Anthropic's messages.

use executus_core::Usage;
use executus_core::secret::Secret;
use executus_http::{HttpError, Request};
use serde_json::Value;

use super::{Dialect, Reader, json, text};
use crate::ask::Ask;
use crate::draft::{Draft, Finish, tokens};
use crate::failure::{Complaint, Failure};
use executus_http::events::Framing;

mod request;

/// The version of the interface, which every request names.
const VERSION: &str = "2023-06-01";

/// Anthropic's messages: `POST /v1/messages`.
#[derive(Debug)]
pub(crate) struct Anthropic;

impl Dialect for Anthropic {
    fn default_base(&self) -> &'static str {
        "https://api.anthropic.com"
    }

    fn request(&self, ask: &Ask<'_>) -> (String, Value) {
        ("/v1/messages".to_owned(), request::body(ask))
    }

    fn sign(&self, request: Request, key: Option<&Secret>) -> Result<Request, HttpError> {
        let request = request.header("anthropic-version", VERSION)?;
        match key {
            Some(key) => request.secret_header("x-api-key", key),
            None => Ok(request),
        }
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(Message::default())
    }

    fn whole(&self, body: &Value, draft: &mut Draft) -> Result<(), Failure> {
        if text(body, "/type") == "error" {
            return Err(Failure::in_stream(self.complaint(body)));
        }
        let Some(blocks) = body["content"].as_array() else {
            return Err(Failure::malformed("it is no message: it has no content"));
        };
        served_by(body, draft);
        Counts::default().take(&body["usage"], &mut draft.usage);
        for block in blocks {
            match text(block, "/type") {
                "text" => _ = draft.push_text(text(block, "/text")),
                "tool_use" => _ = begin_call(block, draft),
                // Thinking, and what later models say.
                _ => {}
            }
        }
        draft.finish = finish(body);
        Ok(())
    }

    fn complaint(&self, body: &Value) -> Complaint {
        complaint(body)
    }
}

/// One streamed message.
#[derive(Debug, Default)]
struct Message {
    /// The blocks that are calls: the block's index and the call's place.
    calls: Vec<(u64, usize)>,
    counts: Counts,
    over: bool,
}

impl Reader for Message {
    fn event(
        &mut self,
        data: &str,
        draft: &mut Draft,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        let event = json(data)?;
        match text(&event, "/type") {
            "message_start" => {
                served_by(&event["message"], draft);
                self.counts.take(&event["message"]["usage"], &mut draft.usage);
            }
            "content_block_start" => self.start(&event, draft, say),
            "content_block_delta" => self.delta(&event, draft, say),
            "message_delta" => {
                self.counts.take(&event["usage"], &mut draft.usage);
                if let Some(finish) = finish(&event["delta"]) {
                    draft.finish = Some(finish);
                }
            }
            "message_stop" => self.over = true,
            "error" => return Err(Failure::in_stream(complaint(&event))),
            // Pings, ends of blocks, and what comes to be.
            _ => {}
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

impl Message {
    fn start(&mut self, event: &Value, draft: &mut Draft, say: &mut dyn FnMut(&str)) {
        let block = &event["content_block"];
        match text(block, "/type") {
            "text" => speak(text(block, "/text"), draft, say),
            "tool_use" => {
                let index = event["index"].as_u64().unwrap_or_default();
                self.calls.push((index, begin_call(block, draft)));
            }
            _ => {}
        }
    }

    fn delta(&self, event: &Value, draft: &mut Draft, say: &mut dyn FnMut(&str)) {
        match text(event, "/delta/type") {
            "text_delta" => speak(text(event, "/delta/text"), draft, say),
            "input_json_delta" => {
                let index = event["index"].as_u64().unwrap_or_default();
                let call = self.calls.iter().rev().find(|(block, _)| *block == index);
                let piece = text(event, "/delta/partial_json");
                // The first piece of every call is empty, and must not undo a whole input.
                if let (Some((_, place)), false) = (call, piece.is_empty()) {
                    draft.push_args(*place, piece);
                }
            }
            // Thinking and its signature.
            _ => {}
        }
    }
}

fn speak(piece: &str, draft: &mut Draft, say: &mut dyn FnMut(&str)) {
    let kept = draft.push_text(piece);
    if !kept.is_empty() {
        say(kept);
    }
}

/// The call of a block. A stream opens it with an empty input.
fn begin_call(block: &Value, draft: &mut Draft) -> usize {
    let place = draft.begin_call(text(block, "/id"), text(block, "/name"));
    let input = &block["input"];
    if input.as_object().is_none_or(|input| !input.is_empty()) {
        draft.set_args(place, input.clone());
    }
    place
}

fn served_by(message: &Value, draft: &mut Draft) {
    if let Some(model) = message["model"].as_str() {
        draft.model = Some(model.to_owned());
    }
}

/// Why a message ended; `None` while it has not.
fn finish(message: &Value) -> Option<Finish> {
    match text(message, "/stop_reason") {
        "" => None,
        "end_turn" | "tool_use" | "stop_sequence" | "pause_turn" => Some(Finish::Whole),
        "max_tokens" | "model_context_window_exceeded" => Some(Finish::Length),
        // A refusal, or a reason that nobody here knows to be good.
        reason => match text(message, "/stop_details/explanation") {
            "" => Some(Finish::Withheld(reason.to_owned())),
            explanation => Some(Finish::Withheld(format!("{reason}: {explanation}"))),
        },
    }
}

/// The newest counts. Each report has the sums so far, but not always all of them.
#[derive(Debug, Default)]
struct Counts {
    fresh: u64,
    cache_read: u64,
    cache_written: u64,
    output: u64,
    thinking: u64,
}

impl Counts {
    fn take(&mut self, report: &Value, usage: &mut Usage) {
        let counts = [
            ("/input_tokens", &mut self.fresh),
            ("/cache_read_input_tokens", &mut self.cache_read),
            ("/cache_creation_input_tokens", &mut self.cache_written),
            ("/output_tokens", &mut self.output),
            ("/output_tokens_details/thinking_tokens", &mut self.thinking),
        ];
        for (pointer, count) in counts {
            if let Some(value) = report.pointer(pointer).filter(|value| !value.is_null()) {
                *count = tokens(value);
            }
        }
        // The input counts beside the caches, the output with the thinking.
        usage.input_tokens = self.fresh + self.cache_read + self.cache_written;
        usage.cached_tokens = self.cache_read;
        usage.output_tokens = self.output.saturating_sub(self.thinking);
        usage.thinking_tokens = self.thinking.min(self.output);
    }
}

fn complaint(body: &Value) -> Complaint {
    let error = &body["error"];
    let message = error["message"].as_str().or(error.as_str()).or(body["message"].as_str());
    Complaint {
        message: message.unwrap_or_default().to_owned(),
        code: text(error, "/type").to_owned(),
        retry_after: None,
    }
}
