//! What is special to Anthropic's messages.

use std::sync::Arc;

use executus_core::{ErrorKind, RunStatus, Usage};
use executus_testkit::provider::{Answer, Dialect, Used};
use serde_json::{Value, json};

use crate::support::{KEY, Scene, request};

fn scene(script: impl IntoIterator<Item = Answer>) -> Scene {
    Scene::new(Dialect::Anthropic, script)
}

/// A stream of these events, as they are.
fn events(events: &[Value]) -> Answer {
    let event = |event: &Value| {
        format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
    };
    Answer::raw(200, "text/event-stream", events.iter().map(event).collect::<String>())
}

fn start() -> Value {
    json!({"type": "message_start", "message": {
        "model": "claude-x", "content": [], "usage": {"input_tokens": 25, "output_tokens": 1},
    }})
}

fn text(text: &str) -> [Value; 3] {
    [
        json!({
            "type": "content_block_start", "index": 0,
            "content_block": {"type": "text", "text": ""},
        }),
        json!({
            "type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": text},
        }),
        json!({"type": "content_block_stop", "index": 0}),
    ]
}

fn end(reason: &str) -> Value {
    json!({
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": {"output_tokens": 15},
    })
}

#[tokio::test]
async fn a_request_says_who_asks_and_what() {
    for stream in [true, false] {
        let call = Answer::calls([("add", json!({"a": 1, "b": 2}))]);
        let scene = scene([call, Answer::text("3")]);
        let model = scene.builder(stream).max_output_tokens(77).build().unwrap();
        scene.run(request(Arc::new(model))).await;
        scene.no_complaints();

        let asked = scene.server.requests();
        assert_eq!(asked[0].path, "/v1/messages");
        assert_eq!(asked[0].header("x-api-key"), Some(KEY));
        assert_eq!(asked[0].header("anthropic-version"), Some("2023-06-01"));
        assert_eq!(asked[0].header("authorization"), None);
        assert_eq!(asked[0].body["max_tokens"], 77);
        assert_eq!(asked[0].body["stream"], stream);
        assert_eq!(asked[0].body["system"][0]["text"], "You add.");
        assert_eq!(asked[0].body["tools"][0]["input_schema"]["type"], "object");
    }
}

/// The ids are those that the provider gave, and the cache is told where the request before ended.
#[tokio::test]
async fn calls_come_back_with_their_ids_and_marks_for_the_cache() {
    let call = || Answer::calls([("add", json!({"a": 1, "b": 2})), ("look", json!({}))]);
    let scene = scene([call(), call(), Answer::text("3")]);
    scene.run(request(scene.model(true))).await;
    scene.no_complaints();

    let asked = scene.server.requests();
    let messages = &asked[1].body["messages"];
    assert_eq!(messages[1]["content"][0]["id"], "toolu_1_0");
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "toolu_1_0");
    assert_eq!(messages[2]["content"][1]["tool_use_id"], "toolu_1_1");

    let marked = |request: &Value| {
        let messages = request["messages"].as_array().unwrap().iter().enumerate();
        let marked = messages.filter(|(_, message)| message.to_string().contains("cache_control"));
        marked.map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(marked(&asked[0].body), [0]);
    assert_eq!(marked(&asked[1].body), [0, 2]);
    assert_eq!(marked(&asked[2].body), [2, 4]);
    for request in &asked {
        // The API takes 4.
        assert!(request.body.to_string().matches("cache_control").count() <= 4);
        assert_eq!(request.body["system"][0]["cache_control"], json!({"type": "ephemeral"}));
    }
}

#[tokio::test]
async fn each_reason_of_the_end_has_its_meaning() {
    for stream in [true, false] {
        for reason in ["end_turn", "stop_sequence", "pause_turn"] {
            let scene = scene([Answer::text("done").finish(reason)]);
            let ended = scene.run(request(scene.model(stream))).await;
            assert_eq!(ended.outcome.status, RunStatus::Ok, "{reason}: {:?}", ended.outcome);
        }
        for (reason, words) in [
            ("max_tokens", "limit of output"),
            ("model_context_window_exceeded", "limit of output"),
            ("refusal", "withheld the rest (refusal)"),
            ("a_new_reason", "withheld the rest (a_new_reason)"),
        ] {
            let scene = scene([Answer::text("done").finish(reason)]);
            let ended = scene.run(request(scene.model(stream))).await;
            let (kind, message) = ended.error();
            assert_eq!(kind, ErrorKind::Model, "{reason}");
            assert!(message.contains(words), "{reason}: {message}");
            assert_eq!(ended.output(), "done", "{reason}: what was said is kept");
        }
    }
}

/// The input counts beside what was read from the cache and written to it.
#[tokio::test]
async fn the_input_counts_with_the_caches() {
    for stream in [true, false] {
        let used = Used { input: 1000, output: 50, cached: 400, cache_written: 500, thinking: 0 };
        let scene = scene([Answer::text("done").usage(used)]);
        let ended = scene.run(request(scene.model(stream))).await;
        let usage = ended.replies()[0].usage;
        assert_eq!((usage.input_tokens, usage.cached_tokens), (1000, 400));
        assert_eq!(usage.output_tokens, 50);
    }
}

/// The counts of the last event are sums: they replace what was said before, where they say it.
#[tokio::test]
async fn the_newest_counts_win() {
    let mut told = vec![start()];
    told[0]["message"]["usage"]["cache_read_input_tokens"] = json!(5);
    told.extend(text("done"));
    told.push(json!({
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {
            "input_tokens": 30,
            "cache_read_input_tokens": null,
            "output_tokens": 100,
            "output_tokens_details": {"thinking_tokens": 60},
        },
    }));
    told.push(json!({"type": "message_stop"}));
    let scene = scene([events(&told)]);
    let ended = scene.run(request(scene.model(true))).await;
    let expected = Usage {
        input_tokens: 35,
        cached_tokens: 5,
        output_tokens: 40,
        thinking_tokens: 60,
        cost_micros: 0,
    };
    assert_eq!(ended.replies()[0].usage, expected);
    assert_eq!(ended.replies()[0].model.as_deref(), Some("anthropic:claude-x"));
}

/// The reason of the end makes an answer whole, with or without the event after it.
#[tokio::test]
async fn the_last_event_may_be_missing() {
    let mut told = vec![start()];
    told.extend(text("done"));
    let unfinished = events(&told);
    told.push(end("end_turn"));
    let scene = scene([unfinished, events(&told)]);
    let ended = scene.run(request(scene.model(true))).await;
    assert_eq!(ended.output(), "done");
    assert_eq!(ended.attempts().len(), 1, "without the reason it is no answer");
    assert!(ended.attempts()[0].error.contains("before it was complete"));
}

/// Blocks may be mixed, and a call may come in pieces, with its whole input, or with none.
#[tokio::test]
async fn blocks_are_told_apart_by_their_index() {
    let call = |index: u32, input: Value| {
        json!({"type": "content_block_start", "index": index, "content_block": {
            "type": "tool_use", "id": format!("toolu_{index}"), "name": "add", "input": input,
        }})
    };
    let piece = |index: u32, piece: &str| {
        json!({"type": "content_block_delta", "index": index, "delta": {
            "type": "input_json_delta", "partial_json": piece,
        }})
    };
    let mut told = vec![start(), json!({"type": "ping"}), json!({"type": "an_event_to_come"})];
    told.extend(text("hm"));
    told.extend([
        call(1, json!({})),
        call(2, json!({})),
        piece(1, ""),
        piece(1, "{\"a\": 1,"),
        piece(2, "{\"a\": 3}"),
        piece(1, " \"b\": 2}"),
        json!({"type": "content_block_start", "index": 3, "content_block": {
            "type": "server_tool_use", "id": "srv", "name": "web_search", "input": {},
        }}),
        piece(3, "{\"query\": 1}"),
        call(4, json!({"a": 5})),
        piece(4, ""),
        call(5, json!({})),
        end("tool_use"),
        json!({"type": "message_stop"}),
    ]);
    let scene = scene([events(&told), Answer::text("done")]);
    let ended = scene.run(request(scene.model(true))).await;
    assert_eq!(ended.outcome.status, RunStatus::Ok, "{:?}", ended.outcome);
    scene.no_complaints();
    let reply = &ended.replies()[0];
    assert_eq!(reply.text, "hm");
    let calls: Vec<_> = reply.calls.iter().map(|call| (&*call.id, call.args.clone())).collect();
    let expected = [
        ("toolu_1", json!({"a": 1, "b": 2})),
        ("toolu_2", json!({"a": 3})),
        ("toolu_4", json!({"a": 5})),
        ("toolu_5", json!({})),
    ];
    assert_eq!(calls, expected);
}

/// Thinking goes before the text and is none of it; the next request does without it.
#[tokio::test]
async fn thinking_is_no_text() {
    for stream in [true, false] {
        let call = Answer::calls([("look", json!({}))]).thinking("what is there to see?");
        let scene = scene([call, Answer::text("done").thinking("ah, well")]);
        let ended = scene.run(request(scene.model(stream))).await;
        scene.no_complaints();
        assert_eq!(ended.output(), "done");
        assert_eq!(ended.replies()[0].text, "");
        let asked = scene.server.requests()[1].body.to_string();
        assert!(!asked.contains("what is there to see?"), "{asked}");
    }
}

/// An error in the stream is told with the provider's name of it.
#[tokio::test]
async fn errors_of_a_stream_have_kinds() {
    for (kind, message, expected, words) in [
        ("overloaded_error", "Overloaded", ErrorKind::Model, "not available"),
        ("rate_limit_error", "Slow down", ErrorKind::Model, "rate of requests"),
        (
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            ErrorKind::ContextOverflow,
            "does not fit",
        ),
    ] {
        let error = json!({"type": "error", "error": {"type": kind, "message": message}});
        let scene = scene([events(&[start(), error])]);
        let model = scene.builder(true).retries(0).build().unwrap();
        let ended = scene.run(request(Arc::new(model))).await;
        let (found, told) = ended.error();
        assert_eq!(found, expected, "{told}");
        assert!(told.contains(words) && told.contains(kind), "{told}");
        // What the stream had reported before it broke off is counted.
        assert_eq!(ended.attempts()[0].usage.input_tokens, 25);
    }
}
