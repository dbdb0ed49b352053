//! What is special to Ollama.

use std::sync::Arc;

use executus_core::{ErrorKind, RunStatus};
use executus_models::{ChatModel, ModelName, Provider};
use executus_testkit::provider::{Answer, Dialect};
use serde_json::{Value, json};

use crate::support::{Ended, KEY, Scene, request};

fn scene(script: impl IntoIterator<Item = Answer>) -> Scene {
    Scene::new(Dialect::Ollama, script)
}

/// A stream of these lines, as they are.
fn lines(lines: &[Value]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Answer::raw(200, "application/x-ndjson", lines)
}

async fn run(stream: bool, script: impl IntoIterator<Item = Answer>) -> (Scene, Ended) {
    let scene = scene(script);
    let ended = scene.run(request(scene.model(stream))).await;
    (scene, ended)
}

#[tokio::test]
async fn a_request_says_what_is_asked() {
    for stream in [true, false] {
        let calls = [("add", json!({"a": 1, "b": 2})), ("add", json!({"a": 3, "b": 4}))];
        let scene = scene([Answer::calls(calls), Answer::text("3 and 7")]);
        let model = scene.builder(stream).max_output_tokens(77).build().unwrap();
        let ended = scene.run(request(Arc::new(model))).await;
        scene.no_complaints();
        assert_eq!(ended.output(), "3 and 7");

        let asked = scene.server.requests();
        assert_eq!(asked[0].path, "/api/chat");
        assert_eq!(asked[0].body["options"], json!({ "num_predict": 77 }));
        assert_eq!(asked[0].body["stream"], stream);
        assert_eq!(asked[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
        let messages = asked[1].body["messages"].as_array().unwrap();
        let arguments = &messages[2]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(arguments, &json!({"a": 1, "b": 2}), "an object, not a text");
        let results: Vec<_> = messages[3..]
            .iter()
            .map(|result| (&result["role"], &result["tool_name"], &result["content"]))
            .map(|(role, name, text)| [role, name, text].map(|value| value.as_str().unwrap()))
            .collect();
        assert_eq!(results, [["tool", "add", "3"], ["tool", "add", "7"]]);
    }
}

/// On this machine it needs no key, and none is sent.
#[tokio::test]
async fn it_needs_no_key() {
    let scene = scene([Answer::text("hello")]);
    let name = ModelName::new(Provider::Ollama, "test-model");
    let model = ChatModel::builder(name).base_url(&scene.server.base_url()).build().unwrap();
    let ended = scene.run(request(Arc::new(model))).await;
    scene.no_complaints();
    assert_eq!(ended.outcome.status, RunStatus::Ok);
    assert_eq!(scene.server.requests()[0].header("authorization"), None);
    assert_eq!(scene.server.requests()[0].body.get("options"), None);
}

/// Calls have no ids of their own, or the same ones in every step: the run's stay apart.
#[tokio::test]
async fn calls_without_ids_are_answered_in_order() {
    let call = |name: &str| json!({ "function": { "name": name, "arguments": {} } });
    let calls = |calls: Value| {
        let message = json!({ "role": "assistant", "content": "", "tool_calls": calls });
        json!({ "model": "m", "message": message, "done": false })
    };
    let end = json!({ "message": { "content": "" }, "done": true, "done_reason": "stop" });
    let step = || lines(&[calls(json!([call("look"), call("add")])), end.clone()]);
    let (scene, ended) = run(true, [step(), step(), Answer::text("done")]).await;
    scene.no_complaints();
    assert_eq!(ended.output(), "done");
    assert_eq!(ended.outcome.stats.tally.tool_calls, 4);
    let messages = scene.server.requests()[2].body["messages"].clone();
    let names: Vec<_> =
        (0..8).filter_map(|at| messages[at]["tool_name"].as_str().map(str::to_owned)).collect();
    assert_eq!(names, ["look", "add", "look", "add"]);
}

/// A prompt that it has in its cache is not counted, and thinking is no part of the text.
#[tokio::test]
async fn thinking_and_missing_counts_are_skipped() {
    let answer = lines(&[
        json!({ "message": { "content": "", "thinking": "hm" }, "done": false }),
        json!({ "message": { "content": "done" }, "done": false }),
        json!({ "message": { "content": "" }, "done": true, "eval_count": 9 }),
    ]);
    let (_, ended) = run(true, [answer]).await;
    assert_eq!((ended.outcome.status, ended.output()), (RunStatus::Ok, "done"));
    let usage = ended.replies()[0].usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (0, 9));
}

/// A call that its model wrote badly is an error of the server; the model may do better.
#[tokio::test]
async fn a_call_that_it_cannot_parse_is_asked_for_again() {
    for stream in [true, false] {
        let broken = Answer::calls([("add", json!({}))]).broken_arguments("{\"a\"");
        let (_, ended) = run(stream, [broken, Answer::text("good")]).await;
        assert_eq!(ended.output(), "good");
        let attempts = ended.attempts();
        assert!(attempts[0].error.contains("error parsing tool call"), "{attempts:?}");
    }
}

/// The runner's own error, which it passes on as a text, is read like any other.
#[tokio::test]
async fn an_error_within_an_error_is_read() {
    for stream in [true, false] {
        let (scene, ended) = run(stream, [Answer::context_overflow()]).await;
        let (kind, message) = ended.error();
        assert_eq!(kind, ErrorKind::ContextOverflow);
        assert!(message.contains("(4096 tokens)") && !message.contains('{'), "{message}");
        assert_eq!(scene.server.requests().len(), 1);
    }
}
