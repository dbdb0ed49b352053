//! Gemini.

use executus_testkit::provider::{Answer, Dialect, ProviderServer, Used};
use serde_json::{Value, json};

use crate::client::{Client, Got, joined};

const USED: Used = Used { input: 100, output: 20, thinking: 8, cached: 64, cache_written: 0 };
const KEY: &[(&str, &str)] = &[("x-goog-api-key", "k")];
const WHOLE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const STREAM: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

fn server(answer: Answer) -> ProviderServer {
    ProviderServer::start(Dialect::Gemini, [answer.repeated()])
}

fn ask(server: &ProviderServer, path: &str, body: &Value) -> Got {
    let mut client = Client::new(server);
    client.send(path, KEY, body);
    client.answer()
}

fn request() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hi" }] }] })
}

fn answer() -> Answer {
    Answer::calls([("f", json!({"a": "ü"})), ("g", json!({}))])
        .and_text("Grüße, Welt")
        .thinking("so it is")
        .usage(USED)
}

#[test]
fn answers_whole() {
    let server = server(answer().model("gemini-2.5-flash-001"));
    assert_eq!(server.base_url(), format!("http://{}", server.address()));
    let body = ask(&server, WHOLE, &request()).json();
    let candidate = &body["candidates"][0];
    let parts = &candidate["content"]["parts"];
    assert_eq!(parts[0], json!({ "text": "so it is", "thought": true }));
    assert_eq!(parts[1], json!({ "text": "Grüße, Welt" }));
    assert_eq!(parts[2]["functionCall"], json!({ "name": "f", "args": { "a": "ü" } }));
    assert!(parts[2]["thoughtSignature"].is_string());
    assert_eq!(parts[3], json!({ "functionCall": { "name": "g", "args": {} } }));
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(body["modelVersion"], "gemini-2.5-flash-001");
    let usage = &body["usageMetadata"];
    assert_eq!(usage["promptTokenCount"], 100);
    assert_eq!(usage["candidatesTokenCount"], 12);
    assert_eq!(usage["thoughtsTokenCount"], 8);
    assert_eq!(usage["cachedContentTokenCount"], 64);
    assert_eq!(usage["totalTokenCount"], 120);
    assert!(!server.requests()[0].streaming);
}

#[test]
fn streams_until_the_body_ends() {
    let server = server(answer());
    let got = ask(&server, STREAM, &request());
    assert!(server.requests()[0].streaming);
    assert!(got.complete && got.longest <= 7);
    assert!(got.body.ends_with("\r\n\r\n") && !got.body.contains("[DONE]"));
    let data = got.data();
    let text = |thought: bool| {
        let of = |v: &&Value| v.pointer("/candidates/0/content/parts/0/thought").is_some();
        let of: Vec<Value> = data.iter().filter(|v| of(v) == thought).cloned().collect();
        joined(&of, "/candidates/0/content/parts/0/text")
    };
    assert_eq!(text(true), "so it is");
    assert_eq!(text(false), "Grüße, Welt");
    assert_eq!(joined(&data, "/candidates/0/content/parts/0/functionCall/name"), "fg");
    assert!(data.iter().all(|d| d["usageMetadata"]["promptTokenCount"] == 100));
    let last = data.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"]["candidatesTokenCount"], 12);
}

#[test]
fn has_its_own_errors() {
    let wait = std::time::Duration::from_millis(1500);
    let cases = [
        (Answer::rate_limited(Some(wait)), 429, "RESOURCE_EXHAUSTED"),
        (Answer::overloaded(), 503, "UNAVAILABLE"),
        (Answer::context_overflow(), 400, "INVALID_ARGUMENT"),
        (Answer::unauthorized(), 400, "INVALID_ARGUMENT"),
        (Answer::unknown_model(), 404, "NOT_FOUND"),
        (Answer::status(500, "boom"), 500, "INTERNAL"),
    ];
    for (answer, status, name) in cases {
        let got = ask(&server(answer), STREAM, &request());
        let error = &got.json()["error"];
        assert_eq!((got.status, &error["status"]), (status, &json!(name)));
        assert_eq!(error["code"], status);
        if status == 429 {
            assert_eq!(error["details"][0]["retryDelay"], "1.5s");
        }
    }
}

#[test]
fn broken_arguments_are_a_malformed_call() {
    let server = server(Answer::calls([("f", json!({}))]).broken_arguments("{\"a\": "));
    let whole = ask(&server, WHOLE, &request()).json();
    let streamed = ask(&server, STREAM, &request()).data().pop().unwrap();
    for body in [whole, streamed] {
        let candidate = &body["candidates"][0];
        assert_eq!(candidate["finishReason"], "MALFORMED_FUNCTION_CALL");
        assert_eq!(candidate["content"], json!({}));
    }
}

#[test]
fn errors_in_the_stream_are_chunks() {
    let got = ask(&server(answer().error_after_pieces(2, "gone")), STREAM, &request());
    assert_eq!(got.data().pop().unwrap()["error"]["message"], "gone");
}

fn talk(contents: Value) -> Value {
    json!({ "contents": contents })
}

fn with_parameters(parameters: Value) -> Value {
    let mut body = request();
    let declaration = json!({ "name": "f", "description": "d", "parameters": parameters });
    body["tools"] = json!([{ "functionDeclarations": [declaration] }]);
    body
}

#[test]
fn refuses_what_gemini_refuses() {
    let user = json!({ "role": "user", "parts": [{ "text": "Hi" }] });
    let part = |name: &str| json!({ "functionCall": { "name": name, "args": {} } });
    let calls = json!({ "role": "model", "parts": [part("f"), part("g")] });
    let response =
        |name: &str| json!({ "functionResponse": { "name": name, "response": { "r": 1 } } });
    let responses = |names: &[&str]| json!({ "role": "user", "parts": names.iter().map(|n| response(n)).collect::<Vec<_>>() });
    let said = json!({ "role": "model", "parts": [{ "text": "x" }] });
    let wrong = [
        (json!({}), "contents is not specified"),
        (talk(json!([])), "contents is not specified"),
        (json!({ "messages": [] }), "Unknown name \"messages\""),
        (talk(json!([{ "role": "user", "parts": [] }])), "must not be empty"),
        (talk(json!([{ "role": "user", "parts": [{}] }])), "must have one initialized field"),
        (talk(json!([{ "role": "assistant", "parts": [{ "text": "x" }] }])), "valid role"),
        (talk(json!([said])), "starts with a user turn"),
        (talk(json!([user, said, calls])), "function call turn comes immediately after"),
        (talk(json!([user, calls])), "number of function response parts"),
        (talk(json!([user, calls, user])), "number of function response parts"),
        (talk(json!([user, calls, responses(&["f"])])), "number of function response parts"),
        (talk(json!([user, calls, responses(&["f", "f"])])), "names of the function responses"),
        (talk(json!([user, responses(&["f"])])), "comes immediately after a function call turn"),
        (
            talk(json!([user, calls, { "role": "user", "parts": [
                { "functionResponse": { "name": "f", "response": "text" } }, response("g"),
            ] }])),
            "google.protobuf.Struct",
        ),
        (with_parameters(json!({ "type": "object" })), "should be non-empty for OBJECT type"),
        (
            with_parameters(json!({ "type": "object", "additionalProperties": false })),
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
        ),
        (
            with_parameters(json!({ "type": "object", "properties": {
                "a": { "type": ["string", "null"] } } })),
            "Proto field is not repeating",
        ),
        (
            with_parameters(json!({ "type": "object", "properties": {
                "a": { "type": "array" } } })),
            "items: missing field",
        ),
        (
            with_parameters(json!({ "type": "object", "properties": {
                "a": { "type": "string", "format": "uri" } } })),
            "only 'enum' and 'date-time'",
        ),
    ];
    let server = server(Answer::text("fine"));
    for (body, expected) in &wrong {
        let got = ask(&server, WHOLE, body);
        assert_eq!(got.status, 400, "{body}");
        let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(expected), "{message} for {body}");
    }
    let mut right = talk(json!([user, calls, responses(&["g", "f"]), said, user]));
    right["system_instruction"] = json!({ "parts": [{ "text": "Be kind." }] });
    right["generationConfig"] = json!({ "max_output_tokens": 10 });
    right["tools"] = json!([{ "functionDeclarations": [
        { "name": "f", "parametersJsonSchema": { "type": "object", "$schema": "x" } },
        { "name": "g", "parameters": { "type": "OBJECT", "properties": {
            "a": { "type": "array", "items": { "type": "string", "enum": ["x"] } },
        }, "required": ["a"] } },
    ] }]);
    let got = ask(&server, STREAM, &right);
    assert_eq!(got.status, 200, "{}", got.body);

    let mut client = Client::new(&server);
    client.send(WHOLE, &[], &request());
    assert_eq!(client.answer().status, 403);
    client.send("/v1beta/models/m:streamGenerateContent", KEY, &request());
    assert_eq!(client.answer().status, 404);
}

#[test]
fn the_third_generation_wants_its_signatures_back() {
    let path = "/v1beta/models/gemini-3-pro-preview:generateContent";
    let server = server(Answer::calls([("f", json!({})), ("g", json!({}))]));
    let content = ask(&server, path, &request()).json()["candidates"][0]["content"].clone();
    let response = |name: &str| json!({ "functionResponse": { "name": name, "response": {} } });
    let user = json!({ "role": "user", "parts": [{ "text": "Hi" }] });
    let responses = json!({ "role": "user", "parts": [response("f"), response("g")] });
    let body = talk(json!([user, content, responses]));
    assert_eq!(ask(&server, path, &body).status, 200);

    let mut unsigned = content;
    unsigned["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
    let got = ask(&server, path, &talk(json!([user, unsigned, responses])));
    assert!(got.body.contains("missing a thought_signature"), "{}", got.body);
    // Turns that are over need none.
    let over = talk(json!([user, unsigned, responses, user]));
    assert_eq!(ask(&server, path, &over).status, 200);
}
