//! What is made of streams from good and sloppy servers.

use executus_core::{Call, ModelError, Reply};
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::dialect::openai::OpenAi;
use crate::dialect::openai::tests::whole;
use crate::draft::Draft;
use crate::failure::Failure;

/// Reads a stream of these events, up to its end or the first error.
fn stream(events: &[Value]) -> (Result<Reply, Failure>, String) {
    let mut draft = Draft::new(1000);
    let mut reader = OpenAi.reader();
    let mut said = String::new();
    for event in events {
        assert!(!reader.is_over(), "nothing is read after the end");
        // Texts are events as they stand.
        let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        if let Err(failure) = reader.event(&data, &mut draft, &mut |piece| said.push_str(piece)) {
            return (Err(failure), said);
        }
    }
    (draft.finish("openai", "asked"), said)
}

fn read(events: &[Value]) -> Reply {
    stream(events).0.unwrap()
}

fn delta(delta: Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn content(text: &str) -> Value {
    delta(json!({ "content": text }))
}

fn calls(fragments: Value) -> Value {
    delta(json!({ "tool_calls": fragments }))
}

fn end(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

/// The calls of a stream of these fragments.
fn made(fragments: &[Value]) -> Vec<(String, String, Value)> {
    let mut events: Vec<_> = fragments.iter().map(|one| calls(json!([one]))).collect();
    events.push(end("tool_calls"));
    let call = |call: Call| {
        assert_eq!(call.broken, None);
        (call.id.to_string(), call.name.to_string(), call.args)
    };
    read(&events).calls.into_iter().map(call).collect()
}

fn call(id: &str, name: &str, args: Value) -> (String, String, Value) {
    (id.to_owned(), name.to_owned(), args)
}

#[test]
fn text_comes_in_pieces() {
    let (reply, said) = stream(&[
        delta(json!({ "role": "assistant", "content": "" })),
        delta(json!({ "reasoning_content": "hm" })),
        content("It "),
        delta(json!({ "content": null })),
        content("rains."),
        end("stop"),
        json!("[DONE]"),
    ]);
    let reply = reply.unwrap();
    assert_eq!((&*reply.text, &*said), ("It rains.", "It rains."));
    assert_eq!(reply.cut, None);
    assert!(reply.calls.is_empty());
}

#[test]
fn what_is_said_is_what_is_kept() {
    let (reply, said) = stream(&[content(&"x".repeat(990)), content(&"y".repeat(20))]);
    let reply = reply.unwrap();
    assert_eq!(reply.text.len(), 1000);
    assert_eq!(reply.text, said);
    assert!(reply.cut.is_some());
}

#[test]
fn content_may_be_parts() {
    let parts = json!([
        { "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] },
        { "type": "text", "text": "It " },
        { "type": "text", "text": "rains." },
        { "type": "text" },
        7,
    ]);
    let (reply, said) = stream(&[delta(json!({ "content": parts })), end("stop")]);
    assert_eq!((&*reply.unwrap().text, &*said), ("It rains.", "It rains."));
    let choice = json!({ "message": { "content": parts }, "finish_reason": "stop" });
    assert_eq!(whole(&json!({ "choices": [choice] })).unwrap().text, "It rains.");
}

#[test]
fn calls_come_in_fragments() {
    let fragments = [
        json!({ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } }),
        json!({ "index": 0, "function": { "arguments": "{\"x\"" } }),
        json!({ "index": 1, "id": "b", "type": "function", "function": { "name": "g", "arguments": "{" } }),
        json!({ "index": 0, "function": { "arguments": ":1}" } }),
        json!({ "index": 1, "function": { "arguments": "\"y\":2}" } }),
        json!({ "index": 2, "id": "c", "type": "function", "function": { "name": "f", "arguments": "" } }),
    ];
    let expected = [
        call("a", "f", json!({ "x": 1 })),
        call("b", "g", json!({ "y": 2 })),
        call("c", "f", json!({})),
    ];
    assert_eq!(made(&fragments), expected);
    let at_once = [calls(Value::from(fragments.to_vec())), end("tool_calls")];
    assert_eq!(read(&at_once).calls.len(), 3);
}

#[test]
fn every_fragment_may_repeat_its_id_and_name() {
    for index in [json!(0), Value::Null] {
        let fragment = |id: &str, arguments: &str| json!({ "index": index, "id": id, "function": { "name": "f", "arguments": arguments } });
        let fragments = [
            fragment("a", "{\"x\":"),
            fragment("b", "{\"x\":"),
            fragment("b", "2}"),
            fragment("a", "1}"),
        ];
        let expected = [call("a", "f", json!({ "x": 1 })), call("b", "f", json!({ "x": 2 }))];
        assert_eq!(made(&fragments), expected, "index {index}");
    }
}

#[test]
fn an_index_may_be_missing_or_always_the_same() {
    for index in [json!(0), Value::Null] {
        let fragments = [
            json!({ "index": index, "id": "a", "function": { "name": "f", "arguments": "" } }),
            json!({ "index": index, "function": { "arguments": "{\"x\":" } }),
            json!({ "index": index, "function": { "arguments": "1}" } }),
            json!({ "index": index, "id": "b", "function": { "name": "f", "arguments": "{" } }),
            json!({ "index": index, "id": "", "function": { "name": null, "arguments": "}" } }),
        ];
        let expected = [call("a", "f", json!({ "x": 1 })), call("b", "f", json!({}))];
        assert_eq!(made(&fragments), expected, "index {index}");
    }
}

#[test]
fn calls_without_ids_are_told_apart_by_their_start() {
    for index in [json!(0), Value::Null] {
        let whole = |name: &str, arguments: Value| json!({ "index": index, "function": { "name": name, "arguments": arguments } });
        let fragments = [
            whole("f", json!("{\"x\":1}")),
            whole("f", json!("{\"x\":2}")),
            whole("g", json!("")),
            whole("g", json!("{\"x\":")),
            json!({ "function": { "arguments": "{}}" } }),
            whole("h", json!({ "x": 4 })),
            whole("h", json!({ "x": 5 })),
        ];
        let expected = [
            call("", "f", json!({ "x": 1 })),
            call("", "f", json!({ "x": 2 })),
            call("", "g", json!({ "x": {} })),
            call("", "h", json!({ "x": 4 })),
            call("", "h", json!({ "x": 5 })),
        ];
        assert_eq!(made(&fragments), expected, "index {index}");
    }
}

#[test]
fn ids_and_names_may_come_late() {
    let fragments = [
        json!({ "index": 0, "function": { "arguments": "{\"x\":" } }),
        json!({ "index": 0, "id": "a", "function": { "name": "f", "arguments": "1}" } }),
    ];
    assert_eq!(made(&fragments), [call("a", "f", json!({ "x": 1 }))]);
}

#[test]
fn very_long_ids_are_one_call_too() {
    let id = "x".repeat(5000);
    let fragments = [
        json!({ "index": 0, "id": id, "function": { "name": id, "arguments": "{" } }),
        json!({ "index": 0, "id": id, "function": { "name": id, "arguments": "}" } }),
    ];
    assert_eq!(made(&fragments).len(), 1);
}

/// One event can hold very many; the search for what each continues stays short.
#[test]
fn calls_without_end_are_cut() {
    let fragment = |n: u32| json!({ "id": n.to_string(), "function": { "name": "f" } });
    let reply = read(&[calls((0..50_000).map(fragment).collect()), end("tool_calls")]);
    assert!(reply.cut.unwrap().contains("calls"));
    assert!(reply.calls.len() < 5000);
}

#[test]
fn broken_arguments_are_told() {
    let fragment =
        json!([{ "index": 0, "id": "a", "function": { "name": "f", "arguments": "{\"x\"" } }]);
    let reply = read(&[calls(fragment), end("tool_calls")]);
    assert!(reply.calls[0].broken.is_some());
    assert_eq!(reply.calls[0].args, json!({}));
}

#[test]
fn usage_comes_after_the_end() {
    let usage = json!({
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": { "cached_tokens": 64 },
        "completion_tokens_details": { "reasoning_tokens": 30 },
    });
    for choices in [json!([]), Value::Null] {
        let reply = read(&[
            json!({ "model": "gpt-1", "choices": [], "usage": null }),
            content("hi"),
            end("stop"),
            json!({ "model": "gpt-1", "choices": choices, "usage": usage }),
            json!("[DONE]"),
        ]);
        let used = reply.usage;
        assert_eq!((used.input_tokens, used.cached_tokens), (100, 64));
        assert_eq!((used.output_tokens, used.thinking_tokens), (20, 30));
        assert_eq!(reply.model.as_deref(), Some("openai:gpt-1"));
    }
}

#[test]
fn odd_numbers_of_tokens_are_tamed() {
    let used = |usage: Value| read(&[json!({ "choices": [], "usage": usage }), end("stop")]).usage;
    let beside = used(json!({
        "prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 90,
        "completion_tokens_details": { "reasoning_tokens": 30 },
    }));
    assert_eq!((beside.output_tokens, beside.thinking_tokens), (50, 30));
    let more = used(json!({
        "prompt_tokens": 10, "completion_tokens": 5,
        "prompt_tokens_details": { "cached_tokens": 20 },
        "completion_tokens_details": { "reasoning_tokens": 30 },
    }));
    assert_eq!((more.output_tokens, more.thinking_tokens, more.cached_tokens), (5, 30, 10));
    let odd = used(json!({
        "prompt_tokens": -1, "completion_tokens": "many",
        "prompt_tokens_details": null, "completion_tokens_details": [],
    }));
    assert_eq!(odd, executus_core::Usage::default());
}

#[test]
fn reasons_of_the_end() {
    let cut = |reason: &str| read(&[content("hi"), end(reason)]).cut;
    for whole in ["stop", "tool_calls", "function_call", "eos", "new_word"] {
        assert_eq!(cut(whole), None, "{whole}");
    }
    assert!(cut("length").unwrap().contains("limit"));
    assert!(cut("content_filter").unwrap().contains("content_filter"));
    for failed in ["error", "abort", "insufficient_system_resource"] {
        let failure = stream(&[content("hi"), end(failed)]).0.unwrap_err();
        assert!(matches!(failure.error, ModelError::Unavailable { .. }), "{failure:?}");
        assert!(failure.again);
    }
}

#[test]
fn a_refusal_is_told() {
    let refusal = |piece: &str| delta(json!({ "refusal": piece }));
    let (reply, said) = stream(&[refusal("I cannot "), refusal("do that."), end("stop")]);
    let reply = reply.unwrap();
    assert!(reply.cut.unwrap().contains("I cannot do that."));
    assert_eq!((&*reply.text, &*said), ("", ""));
    let many: Vec<_> = std::iter::repeat_n(refusal(&"no".repeat(500)), 100).collect();
    let long = read(&[&many[..], &[end("stop")]].concat());
    assert!(long.cut.unwrap().len() < 500);
    let message = json!({ "content": null, "refusal": "I cannot do that." });
    let body = json!({ "choices": [{ "message": message, "finish_reason": "stop" }] });
    assert!(whole(&body).unwrap().cut.unwrap().contains("I cannot do that."));
}

#[test]
fn an_end_must_be_said() {
    let truncated = |events: &[Value]| match stream(events).0 {
        Err(failure) => assert_eq!(failure.error, Failure::truncated().error),
        Ok(reply) => panic!("{reply:?}"),
    };
    truncated(&[]);
    truncated(&[content("nearly all")]);
    truncated(&[json!("[DONE]")]);
    truncated(&[json!({ "choices": [] }), json!("[DONE]")]);
    assert_eq!(read(&[content("all"), json!("[DONE]")]).cut, None, "said, if not why");
    assert_eq!(read(&[content("all"), end("stop")]).cut, None, "said, if not at the very end");
}

#[test]
fn an_error_may_come_in_the_stream() {
    let inside = json!({ "message": "The server had an error", "type": "server_error" });
    let choice = json!({ "delta": { "content": "" }, "finish_reason": "error", "error": inside });
    for event in [
        json!({ "error": inside }),
        json!({ "error": "The server had an error" }),
        json!({ "error": inside, "choices": [{ "delta": {}, "finish_reason": "error" }] }),
        json!({ "choices": [choice] }),
        json!({ "object": "error", "message": "The server had an error", "code": 500 }),
    ] {
        let failure = stream(&[content("hi"), event.clone()]).0.unwrap_err();
        assert!(matches!(failure.error, ModelError::Unavailable { .. }), "{failure:?}");
        assert!(failure.error.to_string().contains("The server had an error"), "{failure:?}");
        let failure = whole(&event).unwrap_err();
        assert!(failure.error.to_string().contains("The server had an error"), "{failure:?}");
    }
    let limited = json!({ "error": { "message": "slow down", "code": "rate_limit_exceeded" } });
    let failure = stream(&[limited]).0.unwrap_err();
    assert!(matches!(failure.error, ModelError::RateLimited { .. }));
}

#[test]
fn what_cannot_be_read_is_malformed() {
    for event in [
        json!("{"),
        json!("no JSON"),
        json!([1]),
        json!(7),
        json!({ "choices": "none" }),
        json!({ "choices": { "0": {} } }),
        json!({ "choices": ["text"] }),
    ] {
        let failure = stream(std::slice::from_ref(&event)).0.unwrap_err();
        assert!(matches!(failure.error, ModelError::Malformed { .. }), "{event}: {failure:?}");
    }
    for body in [
        Value::Null,
        json!([1]),
        json!("text"),
        json!({}),
        json!({ "choices": [] }),
        json!({ "choices": [{}] }),
        json!({ "choices": [{ "message": "text" }] }),
    ] {
        let failure = whole(&body).unwrap_err();
        assert!(matches!(failure.error, ModelError::Malformed { .. }), "{body}: {failure:?}");
    }
}

#[test]
fn fields_of_any_form_are_skipped() {
    let odd = [json!(null), json!(7), json!("x"), json!([7]), json!({ "x": [] })];
    for odd in &odd {
        read(&[json!({ "id": odd, "model": odd, "usage": odd, "new": odd }), end("stop")]);
        read(&[
            delta(json!({ "role": odd, "refusal": 7, "tool_calls": {}, "new": odd })),
            end("stop"),
        ]);
        let function = json!({ "name": odd, "arguments": odd });
        read(&[
            calls(json!([odd, { "index": odd, "id": odd, "function": function }])),
            end("stop"),
        ]);
        read(&[
            calls(json!([{ "function": odd }])),
            json!({ "choices": [{ "delta": odd }] }),
            end("stop"),
        ]);
    }
}
