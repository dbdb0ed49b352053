//! Ollama: what is asked, and what is made of its answers.

use executus_core::{ModelError, Reply, ToolSpec};
use serde_json::{Value, json};

use super::{Ollama, complaint};
use crate::ask::Ask;
use crate::conversation::{Answered, Asked, Conversation, Message};
use crate::dialect::Dialect;
use crate::draft::Draft;
use crate::failure::Failure;

/// Reads a stream of these lines, up to its end or the first error.
fn stream(lines: &[Value]) -> (Result<Reply, Failure>, String) {
    let mut draft = Draft::new(1000);
    let mut reader = Ollama.reader();
    let mut said = String::new();
    for line in lines {
        assert!(!reader.is_over(), "nothing is read after the end");
        // Texts are lines as they stand.
        let data = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
        if let Err(failure) = reader.event(&data, &mut draft, &mut |piece| said.push_str(piece)) {
            return (Err(failure), said);
        }
    }
    (draft.finish("ollama", "asked"), said)
}

fn whole(body: &Value) -> Result<Reply, Failure> {
    let mut draft = Draft::new(1000);
    Ollama.whole(body, &mut draft)?;
    draft.finish("ollama", "asked")
}

fn content(text: &str) -> Value {
    json!({ "model": "qwen3:8b", "message": { "role": "assistant", "content": text }, "done": false })
}

fn end(reason: &str) -> Value {
    json!({
        "model": "qwen3:8b",
        "message": { "role": "assistant", "content": "" },
        "done": true,
        "done_reason": reason,
        "prompt_eval_count": 11,
        "eval_count": 7,
    })
}

#[test]
fn a_request_is_the_conversation() {
    let asked =
        Asked { id: "a".into(), name: "f".into(), args: json!({ "x": 1 }), signature: None };
    let answered = |text: &str, is_error| Answered {
        id: "a".into(),
        name: "f".into(),
        text: text.into(),
        is_error,
    };
    let conversation = Conversation {
        system: Some("be kind".into()),
        messages: vec![
            Message::User("the task".into()),
            Message::Assistant { text: String::new(), calls: vec![asked] },
            Message::Results(vec![answered("it rains", false), answered("too wet", true)]),
            Message::Assistant { text: "Done?".into(), calls: vec![] },
        ],
        tools: vec![ToolSpec::new("f", "does it")],
    };
    let ask = Ask {
        model: "qwen3",
        conversation: &conversation,
        stream: true,
        max_output_tokens: Some(9),
        at_home: true,
    };
    let (path, body) = Ollama.request(&ask);
    assert_eq!(path, "/api/chat");
    let call = json!({ "function": { "name": "f", "arguments": { "x": 1 } } });
    let function = json!({
        "name": "f",
        "description": "does it",
        "parameters": { "type": "object", "properties": {} },
    });
    let expected = json!({
        "model": "qwen3",
        "stream": true,
        "messages": [
            { "role": "system", "content": "be kind" },
            { "role": "user", "content": "the task" },
            { "role": "assistant", "content": "", "tool_calls": [call] },
            { "role": "tool", "tool_name": "f", "content": "it rains" },
            { "role": "tool", "tool_name": "f", "content": "error: too wet" },
            { "role": "assistant", "content": "Done?" },
        ],
        "tools": [{ "type": "function", "function": function }],
        "options": { "num_predict": 9 },
    });
    assert_eq!(body, expected);

    let messages = vec![Message::User("the task".into())];
    let conversation = Conversation { system: None, messages, tools: vec![] };
    let ask = Ask { conversation: &conversation, stream: false, max_output_tokens: None, ..ask };
    let messages = json!([{ "role": "user", "content": "the task" }]);
    let expected = json!({ "model": "qwen3", "stream": false, "messages": messages });
    assert_eq!(Ollama.request(&ask).1, expected);
}

#[test]
fn text_comes_in_lines_and_thinking_is_left_out() {
    let thinking = json!({ "message": { "content": "", "thinking": "hm" }, "done": false });
    let (reply, said) = stream(&[thinking, content("It "), content("rains."), end("stop")]);
    let reply = reply.unwrap();
    assert_eq!((&*reply.text, &*said), ("It rains.", "It rains."));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (11, 7));
    assert_eq!(reply.model.as_deref(), Some("ollama:qwen3:8b"));
    assert_eq!(reply.cut, None);
}

#[test]
fn calls_come_whole() {
    let calls = |calls: Value| json!({ "message": { "content": "", "tool_calls": calls } });
    let (reply, _) = stream(&[
        calls(json!([{ "function": { "index": 0, "name": "f", "arguments": { "x": 1 } } }])),
        calls(json!([
            { "id": "call_9", "function": { "index": 1, "name": "f", "arguments": { "x": 2 } } },
            { "function": { "name": "g", "arguments": null } },
            { "function": { "name": "h", "arguments": "{\"x\"" } },
        ])),
        end("stop"),
    ]);
    let calls = reply.unwrap().calls;
    let seen: Vec<_> = calls.iter().map(|call| (&*call.id, &*call.name, &call.args)).collect();
    let (one, two, none) = (json!({ "x": 1 }), json!({ "x": 2 }), json!({}));
    assert_eq!(seen, [("", "f", &one), ("call_9", "f", &two), ("", "g", &none), ("", "h", &none)]);
    assert!(calls[..3].iter().all(|call| call.broken.is_none()));
    assert!(calls[3].broken.is_some());
}

#[test]
fn reasons_of_the_end() {
    let cut = |reason: &str| stream(&[content("hi"), end(reason)]).0.unwrap().cut;
    for whole in ["stop", "load", "unload", "", "new_word"] {
        assert_eq!(cut(whole), None, "{whole}");
    }
    assert!(cut("length").unwrap().contains("limit"));
    assert_eq!(stream(&[json!({ "done": true })]).0.unwrap().cut, None, "older ones say no reason");
}

#[test]
fn an_end_must_be_said() {
    for lines in [&[][..], &[content("nearly all")]] {
        let failure = stream(lines).0.unwrap_err();
        assert_eq!(failure.error, Failure::truncated().error);
    }
    let failure = whole(&content("nearly all")).unwrap_err();
    assert_eq!(failure.error, Failure::truncated().error);
}

#[test]
fn a_prompt_from_the_cache_is_not_counted() {
    let last = json!({ "message": { "content": "hi" }, "done": true, "eval_count": 3 });
    let usage = stream(&[last]).0.unwrap().usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (0, 3));
}

#[test]
fn an_error_may_come_in_the_stream() {
    let error = json!({ "error": "an error was encountered while running the model" });
    let failure = stream(&[content("hi"), error.clone()]).0.unwrap_err();
    assert!(matches!(failure.error, ModelError::Unavailable { .. }), "{failure:?}");
    assert!(failure.again);
    let failure = whole(&error).unwrap_err();
    assert!(failure.error.to_string().contains("while running the model"), "{failure:?}");
}

#[test]
fn what_cannot_be_read_is_malformed() {
    for line in [json!("{"), json!("<html>"), json!([1]), json!(7)] {
        let failure = stream(std::slice::from_ref(&line)).0.unwrap_err();
        assert!(matches!(failure.error, ModelError::Malformed { .. }), "{line}: {failure:?}");
    }
    for body in [Value::Null, json!([1]), json!({}), json!("text"), json!({ "done": true })] {
        let failure = whole(&body).unwrap_err();
        assert!(matches!(failure.error, ModelError::Malformed { .. }), "{body}: {failure:?}");
    }
}

#[test]
fn fields_of_any_form_are_skipped() {
    for odd in [json!(null), json!(7), json!("x"), json!([7]), json!({ "x": [] })] {
        let calls = json!([odd, { "id": odd, "function": odd }]);
        let call = json!([{ "function": { "name": odd, "arguments": odd } }]);
        let lines = [
            json!({ "model": odd, "message": odd, "done": odd, "new": odd }),
            json!({ "message": { "tool_calls": odd, "thinking": odd } }),
            json!({ "message": { "tool_calls": calls } }),
            json!({ "message": { "tool_calls": call } }),
            json!({ "done": true, "done_reason": odd, "eval_count": odd }),
        ];
        stream(&lines).0.unwrap();
    }
}

#[test]
fn complaints_may_hold_those_of_the_runner_within() {
    let inner = json!({ "error": {
        "code": 400,
        "message": "request (5230 tokens) exceeds the available context size (4096 tokens)",
        "type": "exceed_context_size_error",
    } });
    let read = complaint(&json!({ "error": inner.to_string() }));
    assert!(read.message.starts_with("request (5230 tokens)"), "{read:?}");
    assert_eq!(read.code, "exceed_context_size_error");
    let failure = Failure::of_status(400, read, None);
    assert!(matches!(failure.error, ModelError::ContextOverflow { .. }), "{failure:?}");

    for (body, message) in [
        (json!({ "error": "model 'x' not found" }), "model 'x' not found"),
        (json!({ "error": "{broken" }), "{broken"),
        (json!({ "error": { "message": "no" } }), "no"),
        (json!({ "error": 7 }), ""),
        (json!({}), ""),
        (Value::Null, ""),
    ] {
        assert_eq!(complaint(&body).message, message, "{body}");
    }
}
