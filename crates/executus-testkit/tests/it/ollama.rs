//! Ollama.

use executus_testkit::provider::{Answer, Dialect, ProviderServer, Used};
use serde_json::{Value, json};

use crate::client::{Client, Got, joined};

const USED: Used = Used { input: 100, output: 20, thinking: 0, cached: 0, cache_written: 0 };

fn server(answer: Answer) -> ProviderServer {
    ProviderServer::start(Dialect::Ollama, [answer.repeated()])
}

fn ask(server: &ProviderServer, body: &Value) -> Got {
    let mut client = Client::new(server);
    client.send("/api/chat", &[], body);
    client.answer()
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({ "model": "qwen3", "messages": [{ "role": "user", "content": "Hi" }] });
    body[name] = value;
    body
}

fn whole() -> Value {
    with("stream", json!(false))
}

fn streamed() -> Value {
    let mut body = whole();
    // It streams unless it is told not to.
    body.as_object_mut().unwrap().remove("stream");
    body
}

fn answer() -> Answer {
    Answer::calls([("f", json!({"a": "ü"})), ("g", json!({}))])
        .and_text("Grüße, Welt")
        .thinking("so it is")
        .usage(USED)
}

#[test]
fn answers_whole() {
    let server = server(answer().finish("length"));
    let got = ask(&server, &whole());
    assert!(got.head.contains("content-type: application/json"), "{}", got.head);
    let body = got.json();
    let message = &body["message"];
    assert_eq!(message["content"], "Grüße, Welt");
    assert_eq!(message["thinking"], "so it is");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], json!({ "a": "ü" }));
    assert_eq!(message["tool_calls"][1]["function"]["name"], "g");
    assert_eq!((&body["done"], &body["done_reason"]), (&json!(true), &json!("length")));
    assert_eq!((&body["prompt_eval_count"], &body["eval_count"]), (&json!(100), &json!(20)));
    assert_eq!(body["model"], "qwen3");
}

#[test]
fn streams_lines() {
    let got = ask(&server(answer()), &streamed());
    assert!(got.head.contains("content-type: application/x-ndjson"), "{}", got.head);
    assert!(got.complete && got.longest <= 7);
    let lines = got.lines();
    assert_eq!(joined(&lines, "/message/content"), "Grüße, Welt");
    assert_eq!(joined(&lines, "/message/thinking"), "so it is");
    assert_eq!(joined(&lines, "/message/tool_calls/0/function/name"), "fg");
    let (last, others) = lines.split_last().unwrap();
    assert!(others.iter().all(|line| line["done"] == false));
    assert_eq!((&last["done"], &last["eval_count"]), (&json!(true), &json!(20)));
}

#[test]
fn has_its_own_errors() {
    let cases = [
        (Answer::unknown_model(), 404, "model 'qwen3' not found"),
        (Answer::status(500, "boom"), 500, "boom"),
        (Answer::overloaded(), 503, "server busy"),
        (Answer::context_overflow(), 400, "exceeds the available context size"),
        (Answer::unauthorized(), 401, "unauthorized"),
        (Answer::rate_limited(None), 429, "too many requests"),
    ];
    for (answer, status, message) in cases {
        let got = ask(&server(answer), &streamed());
        assert_eq!(got.status, status);
        let body = got.json();
        assert!(body["error"].as_str().unwrap().contains(message), "{body}");
    }
}

#[test]
fn errors_in_the_stream_are_lines() {
    let got = ask(&server(answer().error_after_pieces(1, "runner died")), &streamed());
    assert_eq!(got.lines().pop().unwrap(), json!({ "error": "runner died" }));
    let server = server(Answer::calls([("f", json!({}))]).broken_arguments("{\"a\": "));
    let last = ask(&server, &streamed()).lines().pop().unwrap();
    assert!(last["error"].as_str().unwrap().contains("error parsing tool call"));
    assert_eq!(ask(&server, &whole()).status, 500);
}

#[test]
fn refuses_what_can_only_be_a_mistake() {
    let user = json!({ "role": "user", "content": "Hi" });
    let calls = |arguments: Value| {
        json!({ "role": "assistant", "content": "", "tool_calls": [
            { "function": { "name": "f", "arguments": arguments } } ] })
    };
    let call = calls(json!({}));
    let result = |name: &str| json!({ "role": "tool", "tool_name": name, "content": "1" });
    let wrong = [
        (with("model", json!("")), "model is required"),
        (with("messages", json!([])), "at least one message"),
        (with("options", json!([])), "cannot unmarshal array"),
        (with("messages", json!([{ "role": "user", "content": [] }])), "cannot unmarshal array"),
        (with("messages", json!([{ "role": "robot", "content": "" }])), "invalid role"),
        (with("messages", json!([user, calls(json!("{}"))])), "ToolCallFunctionArguments"),
        (with("messages", json!([user, call])), "calls without results before it: f"),
        (with("messages", json!([user, call, user])), "calls without results before it: f"),
        (with("messages", json!([user, call, result("g")])), "no call of g waits"),
        (with("messages", json!([user, call, { "role": "tool", "content": "1" }])), "no tool_name"),
        (with("tools", json!([{ "type": "function", "function": {} }])), "with a name"),
    ];
    let server = server(Answer::text("fine"));
    for (body, expected) in &wrong {
        let got = ask(&server, body);
        assert_eq!(got.status, 400, "{body}");
        assert!(got.body.contains(expected), "{} for {body}", got.body);
    }
    let right = with("messages", json!([user, call, result("f"), user]));
    assert_eq!(ask(&server, &right).status, 200);
    let mut client = Client::new(&server);
    client.send("/v1/chat", &[], &whole());
    assert_eq!(client.answer().status, 404);
}
