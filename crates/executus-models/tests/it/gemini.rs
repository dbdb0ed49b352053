//! What is special to Gemini.

use std::sync::Arc;
use std::time::Duration;

use executus_core::{ErrorKind, RunStatus, Usage};
use executus_models::{ChatModel, ChatModelBuilder, ModelName, Provider};
use executus_testkit::provider::{Answer, Dialect};
use serde_json::{Value, json};

use crate::support::{KEY, Scene, request};

fn scene(script: impl IntoIterator<Item = Answer>) -> Scene {
    Scene::new(Dialect::Gemini, script)
}

/// A model with another name than that of the other tests.
fn named(scene: &Scene, name: &str) -> ChatModelBuilder {
    ChatModel::builder(ModelName::new(Provider::Gemini, name))
        .base_url(&scene.server.base_url())
        .key(executus_core::secret::Secret::new(KEY))
}

/// These chunks as a stream, as they are.
fn chunks(chunks: &[Value]) -> Answer {
    let event = |chunk: &Value| format!("data: {chunk}\r\n\r\n");
    Answer::raw(200, "text/event-stream", chunks.iter().map(event).collect::<String>())
}

fn chunk(parts: &Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}}]})
}

fn last(reason: &str) -> Value {
    json!({"candidates": [{"content": {}, "finishReason": reason}], "modelVersion": "gemini-x"})
}

#[tokio::test]
async fn a_request_says_who_asks_and_what() {
    for (stream, path) in [
        (true, "/v1beta/models/test-model:streamGenerateContent?alt=sse"),
        (false, "/v1beta/models/test-model:generateContent"),
    ] {
        let call = Answer::calls([("add", json!({"a": 1, "b": 2})), ("look", json!({}))]);
        let scene = scene([call, Answer::text("3")]);
        let model = scene.builder(stream).max_output_tokens(77).build().unwrap();
        scene.run(request(Arc::new(model))).await;
        scene.no_complaints();

        let asked = scene.server.requests();
        assert_eq!(asked[0].path, path, "the key is not in the address");
        assert_eq!(asked[0].header("x-goog-api-key"), Some(KEY));
        let body = &asked[0].body;
        assert_eq!(body["generationConfig"]["maxOutputTokens"], 77);
        assert_eq!(body["systemInstruction"]["parts"][0]["text"], "You add.");
        let functions = &body["tools"][0]["functionDeclarations"];
        assert_eq!(functions[0]["parametersJsonSchema"]["properties"]["a"]["type"], "integer");
        assert_eq!(functions[1].get("parametersJsonSchema"), None, "it has no parameters");

        let contents = &asked[1].body["contents"];
        let responses = &contents[2]["parts"];
        assert_eq!(responses[0]["functionResponse"]["response"], json!({"result": "3"}));
        assert_eq!(responses[1]["functionResponse"]["name"], "look");
        for place in [0, 1] {
            let called = &contents[1]["parts"][place]["functionCall"];
            assert_eq!(called["id"], responses[place]["functionResponse"]["id"]);
        }
    }
}

/// Models that sign their calls refuse them without the signature.
#[tokio::test]
async fn signatures_go_back_with_their_calls() {
    for stream in [true, false] {
        let call = || Answer::calls([("look", json!({})), ("add", json!({"a": 1, "b": 2}))]);
        let scene = scene([call(), call(), Answer::text("done")]);
        let model = named(&scene, "gemini-3-pro-preview").stream(stream).build().unwrap();
        let ended = scene.run(request(Arc::new(model))).await;
        scene.no_complaints();
        assert_eq!(ended.output(), "done");

        let contents = scene.server.requests()[2].body["contents"].clone();
        for (at, signature) in [(1, "c2lnbmF0dXJl1"), (3, "c2lnbmF0dXJl2")] {
            let parts = &contents[at]["parts"];
            assert_eq!(parts[0]["thoughtSignature"], signature);
            assert_eq!(parts[1].get("thoughtSignature"), None, "as it came");
        }
    }
}

/// Calls that came without one get the documented stand-in.
#[tokio::test]
async fn calls_without_a_signature_are_taken() {
    let call = json!([{"functionCall": {"name": "look", "args": {}}}]);
    let scene = scene([chunks(&[chunk(&call), last("STOP")]), Answer::text("done")]);
    let model = named(&scene, "gemini-3-pro-preview").build().unwrap();
    let ended = scene.run(request(Arc::new(model))).await;
    scene.no_complaints();
    assert_eq!(ended.output(), "done");
    let part = scene.server.requests()[1].body["contents"][1]["parts"][0].clone();
    assert_eq!(part["thoughtSignature"], "skip_thought_signature_validator");
}

#[tokio::test]
async fn each_reason_of_the_end_has_its_meaning() {
    for stream in [true, false] {
        for (reason, words) in [
            ("MAX_TOKENS", "limit of output"),
            ("SAFETY", "withheld the rest (SAFETY)"),
            ("RECITATION", "withheld the rest (RECITATION)"),
            ("A_NEW_REASON", "withheld the rest (A_NEW_REASON)"),
        ] {
            let scene = scene([Answer::text("done").finish(reason)]);
            let ended = scene.run(request(scene.model(stream))).await;
            let (kind, message) = ended.error();
            assert_eq!(kind, ErrorKind::Model, "{reason}");
            assert!(message.contains(words), "{reason}: {message}");
            assert_eq!(ended.output(), "done", "{reason}: what was said is kept");
        }
        for reason in ["MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"] {
            let scene = scene([Answer::text("x").finish(reason), Answer::text("good")]);
            let ended = scene.run(request(scene.model(stream))).await;
            assert_eq!(ended.output(), "good", "{reason}: {:?}", ended.outcome);
            assert!(ended.attempts()[0].error.contains(reason), "{:?}", ended.attempts());
        }
    }
}

/// A call that the provider could not read is asked for again, and what it cost is counted.
#[tokio::test]
async fn a_malformed_call_is_asked_for_again() {
    for stream in [true, false] {
        let broken = Answer::calls([("add", json!({}))]).broken_arguments("{a:");
        let scene = scene([broken, Answer::text("good")]);
        let ended = scene.run(request(scene.model(stream))).await;
        assert_eq!(ended.output(), "good", "{:?}", ended.outcome);
        let attempt = &ended.attempts()[0];
        assert!(attempt.error.contains("MALFORMED_FUNCTION_CALL"), "{attempt:?}");
        assert_eq!((attempt.usage.input_tokens, attempt.usage.output_tokens), (10, 5));
    }
}

#[tokio::test]
async fn a_prompt_that_is_blocked_is_withheld() {
    let blocked = json!({
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8},
    });
    for (stream, answer) in [
        (true, chunks(std::slice::from_ref(&blocked))),
        (false, Answer::raw(200, "application/json", blocked.to_string())),
    ] {
        let scene = scene([answer]);
        let ended = scene.run(request(scene.model(stream))).await;
        let (kind, message) = ended.error();
        assert_eq!(kind, ErrorKind::Model);
        assert!(message.contains("the prompt: PROHIBITED_CONTENT"), "{message}");
        assert_eq!(ended.outcome.stats.tally.input_tokens, 8);
    }
}

/// Each chunk has the sums so far; those that one leaves out stay.
#[tokio::test]
async fn the_newest_counts_win() {
    let mut first = chunk(&json!([{"text": "hm", "thought": true}, {"text": "do"}]));
    first["usageMetadata"] = json!({
        "promptTokenCount": 20, "cachedContentTokenCount": 15, "thoughtsTokenCount": 5,
    });
    let mut end = last("STOP");
    end["candidates"][0]["content"] = json!({"parts": [{"text": "ne"}]});
    end["usageMetadata"] = json!({
        "promptTokenCount": 20,
        "toolUsePromptTokenCount": 3,
        "thoughtsTokenCount": 9,
        "candidatesTokenCount": 2,
    });
    let scene = scene([chunks(&[first, end])]);
    let ended = scene.run(request(scene.model(true))).await;
    assert_eq!(ended.output(), "done");
    let expected = Usage {
        input_tokens: 23,
        output_tokens: 2,
        thinking_tokens: 9,
        cached_tokens: 15,
        cost_micros: 0,
    };
    assert_eq!(ended.replies()[0].usage, expected);
    assert_eq!(ended.replies()[0].model.as_deref(), Some("gemini:gemini-x"));
}

/// What comes behind the end is no part of the answer, but for counts that were missing.
#[tokio::test]
async fn only_counts_come_after_the_end() {
    let text = |text: &str| chunk(&json!([{"text": text}]));
    let counts = json!({"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1}});
    let told = [text("done"), last("STOP"), text(" and more"), counts, json!("what?")];
    let scene = scene([chunks(&told)]);
    let ended = scene.run(request(scene.model(true))).await;
    assert_eq!(ended.output(), "done");
    assert_eq!(ended.outcome.stats.tally.input_tokens, 7);
}

/// Newer models name their calls, and read the same names again. Parts of kinds to come are left.
#[tokio::test]
async fn ids_are_kept_and_other_parts_left() {
    let parts = json!([
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"functionCall": {"id": "call-7", "name": "add", "args": {"a": 1, "b": 2}}},
        {"functionCall": {"id": "call-8", "name": "look"}},
        {"somethingNew": {}},
    ]);
    let scene = scene([chunks(&[chunk(&parts), last("STOP")]), Answer::text("done")]);
    let ended = scene.run(request(scene.model(true))).await;
    scene.no_complaints();
    assert_eq!(ended.outcome.status, RunStatus::Ok, "{:?}", ended.outcome);
    let contents = scene.server.requests()[1].body["contents"].clone();
    assert_eq!(contents[1]["parts"][0]["functionCall"]["id"], "call-7");
    assert_eq!(contents[2]["parts"][0]["functionResponse"]["id"], "call-7");
    assert_eq!(contents[2]["parts"][1]["functionResponse"]["id"], "call-8");
    assert_eq!(ended.replies()[0].calls[1].args, json!({}));
}

/// Without events a stream is one array of chunks, and so is its error.
#[tokio::test]
async fn an_array_is_read_too() {
    let told =
        json!([chunk(&json!([{"text": "do"}])), chunk(&json!([{"text": "ne"}])), last("STOP")]);
    let error = json!([{"error": {
        "code": 429,
        "message": "Slow down",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {"@type": "type.googleapis.com/google.rpc.Help"},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.250s"},
        ],
    }}]);
    let scene = scene([
        Answer::raw(429, "application/json", error.to_string()),
        Answer::raw(200, "application/json", told.to_string()),
    ]);
    let began = tokio::time::Instant::now();
    let ended = scene.run(request(scene.model(true))).await;
    assert_eq!(ended.output(), "done", "{:?}", ended.outcome);
    assert!(began.elapsed() >= Duration::from_millis(250), "it came back too early");
    let told = &ended.attempts()[0].error;
    assert!(told.contains("RESOURCE_EXHAUSTED") && told.contains("Slow down"), "{told}");
}

/// An error in the stream is told with the provider's name of it.
#[tokio::test]
async fn errors_of_a_stream_have_kinds() {
    for (status, message, expected, words) in [
        ("UNAVAILABLE", "overloaded", ErrorKind::Model, "not available"),
        ("RESOURCE_EXHAUSTED", "slow down", ErrorKind::Model, "rate of requests"),
        (
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            ErrorKind::ContextOverflow,
            "does not fit",
        ),
    ] {
        let error = json!({"error": {"code": 503, "message": message, "status": status}});
        let scene = scene([chunks(&[chunk(&json!([{"text": "do"}])), error])]);
        let model = scene.builder(true).retries(0).build().unwrap();
        let ended = scene.run(request(Arc::new(model))).await;
        let (found, told) = ended.error();
        assert_eq!(found, expected, "{told}");
        assert!(told.contains(words) && told.contains(status), "{told}");
    }
}
