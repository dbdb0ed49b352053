//! Chat completions of OpenAI.

use executus_testkit::provider::{Answer, Dialect, ProviderServer, Used};
use serde_json::{Value, json};

use crate::client::{Client, Got, joined};

const USED: Used = Used { input: 100, output: 20, thinking: 8, cached: 64, cache_written: 0 };

fn server(answer: Answer) -> ProviderServer {
    ProviderServer::start(Dialect::OpenAi, [answer.repeated()])
}

fn ask(server: &ProviderServer, body: &Value) -> Got {
    let mut client = Client::new(server);
    client.send("/v1/chat/completions", &[("Authorization", "Bearer k")], body);
    client.answer()
}

fn request(stream: bool) -> Value {
    json!({
        "model": "gpt-4o",
        "messages": [{ "role": "user", "content": "Hi" }],
        "stream": stream,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = request(false);
    body[name] = value;
    body
}

#[test]
fn answers_whole() {
    let answer = Answer::calls([("f", json!({"a": 1})), ("g", json!({}))])
        .and_text("Grüße, Welt")
        .usage(USED)
        .model("gpt-4o-2024-08-06");
    let server = server(answer);
    assert_eq!(server.base_url(), format!("http://{}/v1", server.address()));
    let got = ask(&server, &request(false));
    assert_eq!((got.status, got.complete), (200, true));
    let body = got.json();
    assert_eq!(body["model"], "gpt-4o-2024-08-06");
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["content"], "Grüße, Welt");
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(choice["message"]["tool_calls"][1]["id"], "call_1_1");
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(body["usage"]["prompt_tokens"], 100);
    assert_eq!(body["usage"]["prompt_tokens_details"]["cached_tokens"], 64);
    assert_eq!(body["usage"]["completion_tokens_details"]["reasoning_tokens"], 8);
}

#[test]
fn streams_in_small_slices() {
    let answer = Answer::calls([("search", json!({"for": "Zoë"}))])
        .and_text("a wörd and another")
        .thinking("well then")
        .usage(USED);
    let server = server(answer);
    let mut body = request(true);
    body["stream_options"] = json!({ "include_usage": true });
    let got = ask(&server, &body);
    assert!(got.head.contains("content-type: text/event-stream"), "{}", got.head);
    assert!(got.complete && got.longest <= 7);
    assert_eq!(got.events().last().unwrap().1, "[DONE]");
    let data = got.data();
    assert_eq!(joined(&data, "/choices/0/delta/content"), "a wörd and another");
    assert_eq!(joined(&data, "/choices/0/delta/reasoning_content"), "well then");
    assert_eq!(joined(&data, "/choices/0/delta/tool_calls/0/function/name"), "search");
    let arguments = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_eq!(joined(&data, arguments), "{\"for\":\"Zoë\"}");
    assert_eq!(joined(&data, "/choices/0/finish_reason"), "tool_calls");
    let last = data.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 20);
}

#[test]
fn streams_no_usage_unasked() {
    let got = ask(&server(Answer::text("x").finish("length")), &request(true));
    assert!(!got.body.contains("usage"));
    assert_eq!(joined(&got.data(), "/choices/0/finish_reason"), "length");
}

#[test]
fn has_its_own_errors() {
    let wait = std::time::Duration::from_millis(1500);
    let cases = [
        (Answer::rate_limited(Some(wait)), 429, "rate_limit_exceeded"),
        (Answer::context_overflow(), 400, "context_length_exceeded"),
        (Answer::unauthorized(), 401, "invalid_api_key"),
        (Answer::unknown_model(), 404, "model_not_found"),
    ];
    for (answer, status, code) in cases {
        let got = ask(&server(answer), &request(true));
        assert_eq!((got.status, &got.json()["error"]["code"]), (status, &json!(code)));
        assert_eq!(got.head.contains("retry-after: 2\r\n"), status == 429);
    }
    let got = ask(&server(Answer::status(500, "boom")), &request(false));
    assert_eq!((got.status, &got.json()["error"]["message"]), (500, &json!("boom")));
}

#[test]
fn arguments_can_be_broken() {
    let server = server(Answer::calls([("f", json!({}))]).broken_arguments("{\"a\": [1, "));
    let whole = ask(&server, &request(false)).json();
    let written = &whole["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
    assert_eq!(written, "{\"a\": [1, ");
    let data = ask(&server, &request(true)).data();
    let arguments = "/choices/0/delta/tool_calls/0/function/arguments";
    assert_eq!(joined(&data, arguments), "{\"a\": [1, ");
}

#[test]
fn refuses_what_openai_refuses() {
    let call = json!({ "role": "assistant", "content": null, "tool_calls": [
        { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } },
    ] });
    let user = json!({ "role": "user", "content": "Hi" });
    let result = |id: &str| json!({ "role": "tool", "tool_call_id": id, "content": "1" });
    let tool = |name: &str, parameters: Value| json!([{ "type": "function", "function": { "name": name, "parameters": parameters } }]);
    let wrong = [
        (json!({}), "model"),
        (with("model", json!("")), "model"),
        (with("messages", json!([])), "empty array"),
        (with("tools", json!([])), "empty array"),
        (with("tool_choice", json!("auto")), "only allowed when 'tools'"),
        (with("stream_options", json!({})), "only allowed when 'stream'"),
        (with("max_token", json!(1)), "Unknown parameter: 'max_token'"),
        (with("tools", tool("a b", json!(null))), "does not match pattern"),
        (with("tools", tool("f", json!({ "type": "string" }))), "got 'type: \"string\"'"),
        (
            with(
                "tools",
                tool(
                    "f",
                    json!({ "type": "object", "properties": {
                "a": { "type": "array" } } }),
                ),
            ),
            "missing items",
        ),
        (with("tools", tool("f", json!({ "type": "object" }))), "object schema missing properties"),
        (with("messages", json!([{ "role": "user", "content": null }])), "'content'"),
        (with("messages", json!([{ "role": "robot", "content": "x" }])), "'robot'"),
        (with("messages", json!([user, call])), "did not have response messages: c1"),
        (with("messages", json!([user, call, user])), "did not have response messages: c1"),
        (with("messages", json!([user, call, result("c2")])), "must be a response"),
        (with("messages", json!([user, result("c1")])), "must be a response"),
    ];
    let server = server(Answer::text("never"));
    for (body, expected) in &wrong {
        let got = ask(&server, body);
        assert_eq!(got.status, 400, "{body}");
        let message = got.json()["error"]["message"].to_string().replace('\\', "");
        assert!(message.contains(expected), "{message} for {body}");
    }
    assert_eq!(server.refusals().len(), wrong.len());
    let right = with("messages", json!([user, call, result("c1"), user]));
    assert_eq!(ask(&server, &right).status, 200);

    let mut client = Client::new(&server);
    client.send("/v1/chat/completions", &[], &request(false));
    assert_eq!(client.answer().status, 401);
    client.send("/chat/completions", &[("authorization", "Bearer k")], &request(false));
    assert_eq!(client.answer().status, 404);
}
