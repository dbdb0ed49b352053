//! Messages of Anthropic.

use executus_testkit::provider::{Answer, Dialect, ProviderServer, Used};
use serde_json::{Value, json};

use crate::client::{Client, Got, joined};

const USED: Used = Used { input: 100, output: 20, thinking: 8, cached: 64, cache_written: 16 };
const HEADERS: &[(&str, &str)] = &[("x-api-key", "k"), ("anthropic-version", "2023-06-01")];

fn server(answer: Answer) -> ProviderServer {
    ProviderServer::start(Dialect::Anthropic, [answer.repeated()])
}

fn ask(server: &ProviderServer, body: &Value) -> Got {
    let mut client = Client::new(server);
    client.send("/v1/messages", HEADERS, body);
    client.answer()
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "messages": [{ "role": "user", "content": "Hi" }],
    });
    body[name] = value;
    body
}

fn request(stream: bool) -> Value {
    with("stream", json!(stream))
}

fn answer() -> Answer {
    Answer::calls([("f", json!({"a": "ü"})), ("g", json!({}))])
        .and_text("Grüße, Welt")
        .thinking("so it is")
        .usage(USED)
}

#[test]
fn answers_whole() {
    let server = server(answer().model("claude-sonnet-4-5-20250929"));
    assert_eq!(server.base_url(), format!("http://{}", server.address()));
    let body = ask(&server, &request(false)).json();
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(body["model"], "claude-sonnet-4-5-20250929");
    let content = &body["content"];
    assert_eq!(content[0]["thinking"], "so it is");
    assert!(content[0]["signature"].is_string());
    assert_eq!(content[1], json!({ "type": "text", "text": "Grüße, Welt" }));
    assert_eq!(content[2]["input"], json!({ "a": "ü" }));
    assert_eq!(content[3]["id"], "toolu_1_1");
    assert_eq!(body["stop_reason"], "tool_use");
    let usage = &body["usage"];
    assert_eq!(usage["input_tokens"], 20);
    assert_eq!(usage["cache_read_input_tokens"], 64);
    assert_eq!(usage["cache_creation_input_tokens"], 16);
    assert_eq!(usage["output_tokens"], 20);
}

#[test]
fn streams_named_events() {
    let got = ask(&server(answer()), &request(true));
    assert!(got.complete && got.longest <= 7);
    let events = got.events();
    let data = got.data();
    for ((name, _), data) in events.iter().zip(&data) {
        assert_eq!(data["type"], *name);
    }
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    assert_eq!(data[0]["message"]["usage"]["input_tokens"], 20);
    assert_eq!(joined(&data, "/delta/thinking"), "so it is");
    assert!(joined(&data, "/delta/signature").starts_with("sig"));
    assert_eq!(joined(&data, "/delta/text"), "Grüße, Welt");
    let of = |index: u64| -> Vec<Value> {
        data.iter().filter(|d| d["index"] == index).cloned().collect()
    };
    assert_eq!(joined(&of(2), "/delta/partial_json"), "{\"a\":\"ü\"}");
    assert_eq!(of(3)[0]["content_block"]["name"], "g");
    assert_eq!(joined(&of(3), "/delta/partial_json"), "{}");
    let last = &data[data.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    assert_eq!(last["usage"]["output_tokens"], 20);
}

#[test]
fn has_its_own_errors() {
    let wait = std::time::Duration::from_secs(1);
    let cases = [
        (Answer::rate_limited(Some(wait)), 429, "rate_limit_error"),
        (Answer::overloaded(), 529, "overloaded_error"),
        (Answer::context_overflow(), 400, "invalid_request_error"),
        (Answer::unauthorized(), 401, "authentication_error"),
        (Answer::unknown_model(), 404, "not_found_error"),
        (Answer::status(500, "boom"), 500, "api_error"),
    ];
    for (answer, status, kind) in cases {
        let got = ask(&server(answer), &request(true));
        let body = got.json();
        assert_eq!((got.status, &body["error"]["type"]), (status, &json!(kind)));
        assert_eq!(body["type"], "error");
        assert_eq!(got.head.contains("retry-after: 1\r\n"), status == 429);
    }
}

#[test]
fn errors_in_the_stream_are_events() {
    let got = ask(&server(answer().error_after_pieces(1, "Overloaded")), &request(true));
    let (name, data) = got.events().pop().unwrap();
    assert_eq!(name, "error");
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["error"], json!({ "type": "overloaded_error", "message": "Overloaded" }));
}

#[test]
fn arguments_can_be_broken() {
    let server = server(Answer::calls([("f", json!({}))]).broken_arguments("{\"a\": "));
    let data = ask(&server, &request(true)).data();
    assert_eq!(joined(&data, "/delta/partial_json"), "{\"a\": ");
    assert_eq!(ask(&server, &request(false)).json()["content"][0]["input"], "{\"a\": ");
}

#[test]
fn refuses_what_anthropic_refuses() {
    let say = |role: &str, content: Value| json!({ "role": role, "content": content });
    let user = say("user", json!("Hi"));
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "1" });
    let text = json!({ "type": "text", "text": "and" });
    let talk = |messages: Vec<Value>| with("messages", json!(messages));
    let calls = say("assistant", json!([text, call("t1"), call("t2")]));
    let thought = json!({ "type": "thinking", "thinking": "x", "signature": "made up" });
    let wrong = [
        (with("model", json!(null)), "model: Field required"),
        (with("max_tokens", json!(null)), "max_tokens: Field required"),
        (with("max_tokens", json!(0)), "max_tokens: Input should be greater"),
        (with("functions", json!([])), "functions: Extra inputs"),
        (with("temperature", json!(1.5)), "temperature"),
        (with("thinking", json!({ "type": "enabled", "budget_tokens": 10 })), "1024"),
        (with("tool_choice", json!({ "type": "auto" })), "while providing tools"),
        (with("tools", json!([{ "name": "f" }])), "input_schema: Field required"),
        (with("tools", json!([{ "name": "a b" }])), "should match pattern"),
        (talk(vec![]), "at least one message"),
        (talk(vec![say("system", json!("x"))]), "top-level `system`"),
        (talk(vec![say("assistant", json!("x"))]), "first message must use"),
        (talk(vec![say("user", json!(""))]), "non-empty content"),
        (talk(vec![say("user", json!([{ "type": "text", "text": "" }]))]), "must be non-empty"),
        (talk(vec![user.clone(), calls.clone()]), "immediately after: t1, t2"),
        (talk(vec![user.clone(), calls.clone(), user.clone()]), "messages.1: `tool_use` ids"),
        (
            talk(vec![user.clone(), calls.clone(), say("user", json!([result("t1")]))]),
            "immediately after: t2",
        ),
        (
            talk(vec![user.clone(), calls.clone(), say("user", json!([result("t9")]))]),
            "messages.2.content.0: unexpected `tool_use_id`",
        ),
        (
            talk(vec![
                user.clone(),
                calls.clone(),
                say("user", json!([result("t1"), text, result("t2")])),
            ]),
            "must come before other content",
        ),
        (
            talk(vec![
                user.clone(),
                calls.clone(),
                say("user", json!([result("t1"), result("t1")])),
            ]),
            "must have a single result",
        ),
        (
            talk(vec![user.clone(), say("assistant", json!([thought])), user.clone()]),
            "Invalid `signature`",
        ),
    ];
    let server = server(Answer::text("fine"));
    for (body, expected) in &wrong {
        let got = ask(&server, body);
        assert_eq!(got.status, 400, "{body}");
        let message = got.json()["error"]["message"].to_string();
        assert!(message.contains(expected), "{message} for {body}");
    }
    let right = talk(vec![
        user.clone(),
        calls,
        say("user", json!([result("t2"), result("t1"), text])),
        say("assistant", json!([call("t3")])),
        // Messages of one role in a row are one turn.
        say("user", json!([result("t3")])),
        user,
        say("assistant", json!("Prefilled:")),
    ]);
    let got = ask(&server, &right);
    assert_eq!(got.status, 200, "{}", got.body);

    let mut client = Client::new(&server);
    client.send("/v1/messages", &[], &request(false));
    assert_eq!(client.answer().status, 401);
    client.send("/v1/messages", &HEADERS[..1], &request(false));
    assert!(client.answer().body.contains("anthropic-version: header is required"));
    client.send("/messages", HEADERS, &request(false));
    assert_eq!(client.answer().status, 404);
}

#[test]
fn thinking_goes_back_as_it_came() {
    let server = server(Answer::calls([("f", json!({}))]).thinking("so it is"));
    let content = ask(&server, &request(false)).json()["content"].clone();
    let mut body = request(false);
    body["max_tokens"] = json!(4096);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2048 });
    let result = json!([{ "type": "tool_result", "tool_use_id": "toolu_1_0", "content": "1" }]);
    let talk = |assistant: Value| {
        json!([
            { "role": "user", "content": "Hi" },
            { "role": "assistant", "content": assistant },
            { "role": "user", "content": result },
        ])
    };
    body["messages"] = talk(content.clone());
    assert_eq!(ask(&server, &body).status, 200);
    body["messages"] = talk(json!([content[1]]));
    assert!(ask(&server, &body).body.contains("must start with a thinking block"));
}
