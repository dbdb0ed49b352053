//! Answers that are well-formed JSON and make no sense: every part of a good answer in turn is
//! something else, or missing. A run may end in any way but a panic.

use std::sync::Arc;

use executus_core::{Brief, Executor, Model, RunRequest, RunStatus};
use executus_models::{ChatModel, ModelName};
use executus_testkit::provider::{Answer, Dialect, ProviderServer};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::{KEY, limits, provider, tools};

#[tokio::test]
async fn anthropic_says_nonsense() {
    let message = json!({
        "type": "message", "model": "m", "stop_reason": "tool_use",
        "content": [
            {"type": "text", "text": "hm"},
            {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}},
        ],
        "usage": {
            "input_tokens": 1, "cache_read_input_tokens": 1, "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 1},
        },
    });
    let events = json!([
        {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_start", "index": 1, "content_block": {
            "type": "tool_use", "id": "a", "name": "look", "input": {},
        }},
        {"type": "content_block_delta", "index": 1, "delta": {
            "type": "input_json_delta", "partial_json": "{}",
        }},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "refusal", "stop_details": {"explanation": "no"}},
            "usage": {"output_tokens": 2, "output_tokens_details": {"thinking_tokens": 1}},
        },
        {"type": "message_stop"},
    ]);
    let error = json!({"type": "error", "error": {"type": "api_error", "message": "no"}});
    survives(Dialect::Anthropic, &message, &events, &error).await;
}

#[tokio::test]
async fn gemini_says_nonsense() {
    let whole = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"text": "do"},
                {
                    "functionCall": {"id": "a", "name": "look", "args": {"n": 1}},
                    "thoughtSignature": "c2ln",
                },
            ]},
            "finishReason": "STOP",
            "finishMessage": "ok",
        }],
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {
            "promptTokenCount": 1, "candidatesTokenCount": 1, "thoughtsTokenCount": 1,
            "cachedContentTokenCount": 1, "toolUsePromptTokenCount": 1,
        },
        "modelVersion": "m",
    });
    let error = json!({"error": {
        "code": 400, "message": "no", "status": "INVALID_ARGUMENT",
        "details": [{"retryDelay": "1s"}],
    }});
    survives(Dialect::Gemini, &whole, &json!([whole]), &error).await;
}

#[tokio::test]
async fn openai_says_nonsense() {
    let call = json!({"id": "a", "function": {"name": "look", "arguments": "{}"}});
    let usage = json!({
        "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    });
    let whole = json!({
        "model": "m", "usage": usage,
        "choices": [{
            "message": {"content": [{"type": "text", "text": "hm"}], "tool_calls": [call]},
            "finish_reason": "tool_calls",
        }],
    });
    let chunk = |delta| json!({"model": "m", "choices": [{"index": 0, "delta": delta}]});
    let more = json!({"index": 0, "function": {"arguments": "{}"}});
    let events = json!([
        chunk(json!({"role": "assistant", "content": "a", "refusal": "no"})),
        chunk(json!({"content": [{"type": "text", "text": "b"}]})),
        chunk(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look"}}]})),
        chunk(json!({"tool_calls": [more]})),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": usage},
        "[DONE]",
    ]);
    let error = json!({"object": "error", "detail": [{"msg": "no"}], "error": {
        "code": "c", "message": "no", "type": "t",
    }});
    survives(Dialect::OpenAi, &whole, &events, &error).await;
}

#[tokio::test]
async fn ollama_says_nonsense() {
    let call = json!({"id": "a", "function": {"name": "look", "arguments": {"n": 1}}});
    let part = json!({
        "model": "m", "done": false,
        "message": {"content": "a", "thinking": "hm", "tool_calls": [call]},
    });
    let last = json!({
        "model": "m", "message": {"content": "hm", "tool_calls": [call]},
        "done": true, "done_reason": "stop", "prompt_eval_count": 1, "eval_count": 1,
    });
    let inner = json!({"error": {"code": 400, "message": "no", "type": "t"}});
    let error = json!({"error": inner, "other": inner.to_string(), "more": [inner]});
    survives(Dialect::Ollama, &last, &json!([part, last]), &error).await;
}

/// Asks for every variation of a whole answer, of the events of a stream and of an error.
async fn survives(dialect: Dialect, whole: &Value, events: &Value, error: &Value) {
    let json = |body: &Value| Answer::raw(200, "application/json", body.to_string());
    let stream = |events: &Value| {
        let events = events.as_array().into_iter().flatten();
        let lines = dialect == Dialect::Ollama;
        let body = events.map(|event| match event.as_str() {
            _ if lines => format!("{event}\n"),
            Some("[DONE]") => "data: [DONE]\n\n".to_owned(),
            Some(_) | None => format!("data: {event}\n\n"),
        });
        let kind = if lines { "application/x-ndjson" } else { "text/event-stream" };
        Answer::raw(200, kind, body.collect::<String>())
    };
    let refusal = |body: &Value| Answer::raw(400, "application/json", body.to_string());
    ask_all(dialect, false, variations(whole).iter().map(json).collect()).await;
    ask_all(dialect, true, variations(events).iter().map(stream).collect()).await;
    ask_all(dialect, false, variations(error).iter().map(refusal).collect()).await;
}

async fn ask_all(dialect: Dialect, stream: bool, answers: Vec<Answer>) {
    assert!(answers.len() > 30, "there is enough to vary");
    let next = Arc::new(Mutex::new(None));
    let first = Arc::clone(&next);
    let server = ProviderServer::answering(dialect, move |_| {
        // What follows upon it is good.
        first.lock().take().unwrap_or_else(|| Answer::text("good"))
    });
    let model = ChatModel::builder(ModelName::new(provider(dialect), "test-model"))
        .base_url(&server.base_url())
        .key(executus_core::secret::Secret::new(KEY))
        .stream(stream)
        .retries(0)
        .build()
        .unwrap();
    let (model, executor) = (Arc::new(model), Executor::builder().build());
    for answer in answers {
        let shown = format!("{dialect:?}, {answer:?}");
        *next.lock() = Some(answer);
        let request = RunRequest::new(Arc::clone(&model) as Arc<dyn Model>)
            .brief(Brief::new("Make sense."))
            .tools(tools())
            .limits(limits(20));
        let outcome = executor.start(request).unwrap().settled().await.outcome;
        assert!(next.lock().is_none(), "{shown}: nobody asked");
        let told = format!("{outcome:?}");
        assert!(!told.contains("panic"), "{shown}: {told}");
        assert_ne!(outcome.status, RunStatus::Timeout, "{shown}: {told}");
        assert_eq!(server.refusals(), Vec::<String>::new(), "{shown}");
    }
}

/// The value with each of its parts in turn replaced or left out.
fn variations(value: &Value) -> Vec<Value> {
    let others =
        [json!(null), json!(-1.5), json!(u64::MAX), json!("x"), json!([]), json!([[]]), json!({})];
    let mut all = others.to_vec();
    match value {
        Value::Object(fields) => {
            for name in fields.keys() {
                let mut without = value.clone();
                without.as_object_mut().unwrap().remove(name);
                all.push(without);
                all.extend(variations(&value[name]).into_iter().map(|part| {
                    let mut other = value.clone();
                    other[name] = part;
                    other
                }));
            }
        }
        Value::Array(items) => {
            for at in 0..items.len() {
                let mut without = items.clone();
                without.remove(at);
                all.push(Value::Array(without));
                all.extend(variations(&items[at]).into_iter().map(|part| {
                    let mut other = items.clone();
                    other[at] = part;
                    Value::Array(other)
                }));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}
