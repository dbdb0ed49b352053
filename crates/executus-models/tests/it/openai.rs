//! What is special to OpenAI's chat completions, and to servers that are nearly compatible.

use std::sync::Arc;

use executus_core::{Effect, ErrorKind, RunStatus, Tool, Toolbox};
use executus_models::{ChatModel, ModelName, Provider};
use executus_testkit::provider::{Answer, Dialect};
use executus_testkit::scripted::{Do, ScriptedTool};
use serde_json::{Value, json};

use crate::support::{Ended, KEY, Scene, request};

fn scene(script: impl IntoIterator<Item = Answer>) -> Scene {
    Scene::new(Dialect::OpenAi, script)
}

/// A stream of these events, texts as they stand.
fn events(events: &[Value]) -> Answer {
    let event = |event: &Value| match event.as_str() {
        Some(text) => format!("data: {text}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    Answer::raw(200, "text/event-stream", events.iter().map(event).collect::<String>())
}

fn choice(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }] })
}

fn call(fragment: &Value) -> Value {
    choice(&json!({ "tool_calls": [fragment] }), None)
}

async fn run(stream: bool, script: impl IntoIterator<Item = Answer>) -> (Scene, Ended) {
    let scene = scene(script);
    let ended = scene.run(request(scene.model(stream))).await;
    (scene, ended)
}

fn results(ended: &Ended) -> Vec<String> {
    let results = ended.facts.iter().filter_map(|fact| match fact {
        executus_core::Fact::Acted(acted) => Some(format!("{:?}", acted.outcome)),
        _ => None,
    });
    results.collect()
}

#[tokio::test]
async fn a_request_says_who_asks_and_what() {
    for stream in [true, false] {
        let scene = scene([Answer::calls([("add", json!({"a": 1, "b": 2}))]), Answer::text("3")]);
        let model = scene.builder(stream).max_output_tokens(77).build().unwrap();
        scene.run(request(Arc::new(model))).await;
        scene.no_complaints();

        let asked = scene.server.requests();
        assert_eq!(asked[0].path, "/v1/chat/completions");
        assert_eq!(asked[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
        assert_eq!(asked[0].body["max_tokens"], 77, "the name that servers elsewhere know");
        assert_eq!(asked[0].body["stream"], stream);
        assert_eq!(asked[0].body["stream_options"].is_null(), !stream);
        assert_eq!(asked[0].body["messages"][0]["role"], "system");
        assert_eq!(asked[0].body["tools"][0]["function"]["parameters"]["type"], "object");
        let messages = asked[1].body["messages"].as_array().unwrap();
        assert_eq!(messages[2]["tool_calls"][0]["id"], messages[3]["tool_call_id"]);
        assert_eq!(messages[2]["content"], Value::Null);
        assert_eq!(messages[3]["content"], "3");
    }
}

/// Servers on this machine need no key; no header is sent in place of one.
#[tokio::test]
async fn without_a_key_nothing_is_signed() {
    let scene = scene([]);
    let name = ModelName::new(Provider::OpenAi, "test-model");
    let model = ChatModel::builder(name).base_url(&scene.server.base_url()).build().unwrap();
    let ended = scene.run(request(Arc::new(model))).await;
    assert_eq!(scene.server.requests()[0].header("authorization"), None);
    // The server of this test wants one, and says so.
    let (kind, message) = ended.error();
    assert_eq!(kind, ErrorKind::Model);
    assert!(message.contains("status 401"), "{message}");
}

#[tokio::test]
async fn a_run_without_tools_sends_none() {
    let scene = scene([Answer::text("hello")]);
    let ended = scene.run(request(scene.model(true)).tools(Toolbox::default())).await;
    scene.no_complaints();
    assert_eq!(ended.outcome.status, RunStatus::Ok);
    assert_eq!(scene.server.requests()[0].body.get("tools"), None);
}

/// What the model reads of a failed call says that it failed.
#[tokio::test]
async fn errors_of_tools_are_told_in_words() {
    let scene = scene([Answer::calls([("missing", json!({}))]), Answer::text("sorry")]);
    scene.run(request(scene.model(true))).await;
    scene.no_complaints();
    let told = &scene.server.requests()[1].body["messages"][3]["content"];
    assert!(told.as_str().unwrap().starts_with("error: there is no tool `missing`"), "{told}");
}

/// A name that the provider would refuse to read again, made up by its model.
#[tokio::test]
async fn a_name_that_a_model_came_up_with_does_not_spoil_the_next_request() {
    let made_up = [("functions.add", json!({})), ("", json!({})), ("\u{e4}dd it", json!({}))];
    let (scene, ended) = run(true, [Answer::calls(made_up), Answer::text("sorry")]).await;
    scene.no_complaints();
    assert_eq!(ended.output(), "sorry");
    let calls = &scene.server.requests()[1].body["messages"][2]["tool_calls"];
    assert_eq!(calls[0]["function"]["name"], "functions_add");
    let names: Vec<_> = ended.replies()[0].calls.iter().map(|call| call.name.clone()).collect();
    assert_eq!(&*names[0], "functions.add", "the record has what the model said");
}

/// "Any value" in a derived schema is `true`, which the provider refuses.
#[tokio::test]
async fn schemas_are_sent_without_booleans() {
    let scene = scene([Answer::text("hello")]);
    let schema = json!({ "type": "object", "properties": { "any": true } });
    let tool = ScriptedTool::new("any", Do::Answer("".into()))
        .with(|spec| spec.parameters(schema).effect(Effect::ReadOnly));
    let tools = Toolbox::new([Arc::new(tool) as Arc<dyn Tool>]).unwrap();
    scene.run(request(scene.model(true)).tools(tools)).await;
    scene.no_complaints();
    let sent = &scene.server.requests()[0].body["tools"][0]["function"]["parameters"];
    assert_eq!(sent["properties"], json!({ "any": {} }));
}

/// Calls whose fragments have no index, or the same one.
#[tokio::test]
async fn fragments_are_put_together_without_an_index() {
    for index in [Value::Null, json!(0)] {
        let begin = |id: &str| {
            let function = json!({ "name": "add", "arguments": "" });
            call(&json!({ "index": index, "id": id, "type": "function", "function": function }))
        };
        let more =
            |piece: &str| call(&json!({ "index": index, "function": { "arguments": piece } }));
        let sloppy = events(&[
            begin("one"),
            more("{\"a\": 1,"),
            more(" \"b\": 2}"),
            begin("two"),
            more("{\"a\": 3, \"b\": 4}"),
            choice(&json!({}), Some("tool_calls")),
            json!("[DONE]"),
        ]);
        let (scene, ended) = run(true, [sloppy, Answer::text("3 and 7")]).await;
        scene.no_complaints();
        assert_eq!(ended.output(), "3 and 7");
        let results = results(&ended);
        assert!(results[0].contains("\"3\"") && results[1].contains("\"7\""), "{results:?}");
    }
}

/// A stream that says `[DONE]` has ended, even without a reason; one that just ends has not.
#[tokio::test]
async fn the_end_must_be_said_one_way_or_the_other() {
    let text = choice(&json!({ "content": "all" }), None);
    let (_, ended) = run(true, [events(&[text.clone(), json!("[DONE]")])]).await;
    assert_eq!((ended.outcome.status, ended.output()), (RunStatus::Ok, "all"));
    let last = choice(&json!({ "content": "all" }), Some("stop"));
    let (_, ended) = run(true, [events(&[last])]).await;
    assert_eq!((ended.outcome.status, ended.output()), (RunStatus::Ok, "all"));
    for early in [events(&[text]), events(&[json!("[DONE]")]), events(&[])] {
        let (_, ended) = run(true, [early, Answer::text("good")]).await;
        assert_eq!(ended.output(), "good");
        assert!(ended.attempts()[0].error.contains("ended before it was complete"));
    }
}

/// Some servers answer at once, however they are asked.
#[tokio::test]
async fn an_answer_may_come_whole_where_a_stream_was_asked_for() {
    let body =
        json!({ "choices": [{ "message": { "content": "whole" }, "finish_reason": "stop" }] });
    let answer = Answer::raw(200, "application/json; charset=utf-8", body.to_string());
    let (_, ended) = run(true, [answer]).await;
    assert_eq!((ended.outcome.status, ended.output()), (RunStatus::Ok, "whole"));
}

/// A filter or a refusal leaves no answer to rely on: the text is kept, and the run is not `ok`.
#[tokio::test]
async fn a_withheld_answer_is_no_good_end() {
    for stream in [true, false] {
        let (_, ended) = run(stream, [Answer::text("How to").finish("content_filter")]).await;
        assert_eq!(ended.outcome.status, RunStatus::Error, "{:?}", ended.outcome);
        assert_eq!(ended.output(), "How to");
        let (_, message) = ended.error();
        assert!(message.contains("content_filter"), "{message}");
    }
    let refusal = choice(&json!({ "refusal": "I cannot do that." }), Some("stop"));
    let (_, ended) = run(true, [events(&[refusal, json!("[DONE]")])]).await;
    assert_eq!(ended.outcome.status, RunStatus::Error, "{:?}", ended.outcome);
    assert!(ended.error().1.contains("I cannot do that."), "{:?}", ended.error());
}

/// A good status with an error in the body is an error.
#[tokio::test]
async fn an_error_may_have_a_good_status() {
    let body = json!({ "error": { "message": "upstream is away", "code": 502 } });
    for stream in [true, false] {
        let error = Answer::raw(200, "application/json", body.to_string());
        let (_, ended) = run(stream, [error, Answer::text("good")]).await;
        assert_eq!(ended.output(), "good");
        let error = &ended.attempts()[0].error;
        assert!(error.contains("upstream is away") && error.contains("502"), "{error}");
    }
}

/// Errors in the words of other servers.
#[tokio::test]
async fn errors_of_compatible_servers_are_read() {
    for body in [
        json!({ "detail": "no such field" }),
        json!({ "object": "error", "message": "no such field", "type": "BadRequestError" }),
        json!([{ "error": { "code": 400, "message": "no such field" } }]),
        json!({ "error": "no such field" }),
    ] {
        let answer = Answer::raw(400, "application/json", body.to_string());
        let (scene, ended) = run(true, [answer]).await;
        let (kind, message) = ended.error();
        assert_eq!(kind, ErrorKind::Model);
        assert!(message.contains("no such field") && !message.contains('{'), "{message}");
        assert_eq!(scene.server.requests().len(), 1, "asking again does not help");
    }
}

/// A quota that is used up is a 429 that waiting does not help.
#[tokio::test]
async fn a_used_up_quota_is_not_asked_again() {
    let error = json!({ "error": {
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "type": "insufficient_quota",
        "param": null,
        "code": "insufficient_quota",
    } });
    let answer = Answer::raw(429, "application/json", error.to_string());
    let (scene, ended) = run(true, [answer]).await;
    assert!(ended.error().1.contains("exceeded your current quota"), "{:?}", ended.error());
    assert_eq!(scene.server.requests().len(), 1);
}
