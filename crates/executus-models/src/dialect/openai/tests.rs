//! Chat completions: what is asked, and what is made of answers that come whole.

use std::sync::Arc;

use executus_core::{Reply, ToolSpec};
use serde_json::{Value, json};

use super::{OpenAi, complaint};
use crate::ask::Ask;
use crate::conversation::{Answered, Asked, Conversation, Message};
use crate::dialect::Dialect;
use crate::draft::Draft;
use crate::failure::Failure;

pub(super) fn whole(body: &Value) -> Result<Reply, Failure> {
    let mut draft = Draft::new(1000);
    OpenAi.whole(body, &mut draft)?;
    draft.finish("openai", "asked")
}

fn conversation() -> Conversation {
    let asked = |id: &str| Asked {
        id: id.into(),
        name: "f".into(),
        args: json!({ "a": 1 }),
        signature: Some("not for this provider".into()),
    };
    let answered = |id: &str, is_error| Answered {
        id: id.into(),
        name: "f".into(),
        text: "it rains".into(),
        is_error,
    };
    let schema = json!({
        "type": "object",
        "properties": { "any": true, "list": { "type": "array", "items": true } },
        "additionalProperties": true,
        "required": ["any"],
    });
    Conversation {
        system: Some("be kind".into()),
        messages: vec![
            Message::User("the task".into()),
            Message::Assistant { text: String::new(), calls: vec![asked("a"), asked("b")] },
            Message::Results(vec![answered("a", false), answered("b", true)]),
            Message::Assistant { text: "I see.".into(), calls: vec![asked("c")] },
            Message::Results(vec![answered("c", false)]),
            Message::Assistant { text: "Done?".into(), calls: vec![] },
            Message::User("[critic] hurry".into()),
        ],
        tools: vec![ToolSpec::new("f", "does it").parameters(schema)],
    }
}

fn ask(conversation: &Conversation) -> Ask<'_> {
    Ask { model: "gpt", conversation, stream: true, max_output_tokens: None, at_home: true }
}

#[test]
fn a_request_is_the_conversation() {
    let conversation = conversation();
    let (path, body) = OpenAi.request(&ask(&conversation));
    assert_eq!(path, "/chat/completions");
    let called = |id: &str| {
        let function = json!({ "name": "f", "arguments": "{\"a\":1}" });
        json!({ "id": id, "type": "function", "function": function })
    };
    let parameters = json!({
        "type": "object",
        "properties": { "any": {}, "list": { "type": "array", "items": {} } },
        "additionalProperties": true,
        "required": ["any"],
    });
    let expected = json!({
        "model": "gpt",
        "stream": true,
        "stream_options": { "include_usage": true },
        "messages": [
            { "role": "system", "content": "be kind" },
            { "role": "user", "content": "the task" },
            { "role": "assistant", "content": null, "tool_calls": [called("a"), called("b")] },
            { "role": "tool", "tool_call_id": "a", "content": "it rains" },
            { "role": "tool", "tool_call_id": "b", "content": "error: it rains" },
            { "role": "assistant", "content": "I see.", "tool_calls": [called("c")] },
            { "role": "tool", "tool_call_id": "c", "content": "it rains" },
            { "role": "assistant", "content": "Done?" },
            { "role": "user", "content": "[critic] hurry" },
        ],
        "tools": [{
            "type": "function",
            "function": { "name": "f", "description": "does it", "parameters": parameters },
        }],
    });
    assert_eq!(body, expected);
}

#[test]
fn what_is_not_asked_for_is_left_out() {
    let conversation =
        Conversation { system: None, messages: vec![Message::User("hi".into())], tools: vec![] };
    let ask = Ask { stream: false, ..ask(&conversation) };
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let expected = json!({ "model": "gpt", "stream": false, "messages": messages });
    assert_eq!(OpenAi.request(&ask).1, expected);
}

#[test]
fn the_limit_of_output_has_two_names() {
    let conversation = conversation();
    for (at_home, name) in [(true, "max_completion_tokens"), (false, "max_tokens")] {
        let ask = Ask { at_home, max_output_tokens: Some(7), ..ask(&conversation) };
        let body = OpenAi.request(&ask).1;
        assert_eq!(body[name], 7);
        let named = body.as_object().unwrap().keys().filter(|key| key.starts_with("max"));
        assert_eq!(named.count(), 1);
    }
}

#[test]
fn an_answer_may_come_whole() {
    let function = json!({ "name": "f", "arguments": "{\"x\":1}" });
    let broken = json!({ "name": "g", "arguments": "{\"x\"" });
    let object = json!({ "name": "h", "arguments": { "x": 3 } });
    let calls = json!([
        { "id": "a", "type": "function", "function": function },
        { "id": "b", "type": "function", "function": broken },
        { "id": "c", "function": object },
    ]);
    let message = json!({ "role": "assistant", "content": "Looking.", "tool_calls": calls });
    let reply = whole(&json!({
        "model": "gpt-1",
        "error": null,
        "choices": [{ "index": 0, "message": message, "finish_reason": "tool_calls" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    }));
    let reply = reply.unwrap();
    assert_eq!(reply.text, "Looking.");
    assert_eq!((&*reply.calls[0].id, &*reply.calls[0].name), ("a", "f"));
    assert_eq!(reply.calls[0].args, json!({ "x": 1 }));
    assert!(reply.calls[1].broken.is_some());
    assert_eq!(reply.calls[2].args, json!({ "x": 3 }));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (3, 2));
    assert_eq!(reply.model, Some(Arc::from("openai:gpt-1")));
    let cut = json!({ "choices": [{ "message": { "content": "It" }, "finish_reason": "length" }] });
    assert!(whole(&cut).unwrap().cut.is_some());
}

#[test]
fn complaints_have_many_forms() {
    for (body, message, code) in [
        (json!({ "error": { "message": "no", "type": "t", "code": "c" } }), "no", "c"),
        (json!({ "error": { "message": "no", "type": "t", "code": null } }), "no", "t"),
        (json!({ "error": { "message": "no", "code": 502 } }), "no", "502"),
        (json!([{ "error": { "message": "no", "code": 400 } }]), "no", "400"),
        (json!({ "error": "no" }), "no", ""),
        (json!({ "error": null, "message": "no" }), "no", ""),
        (
            json!({ "object": "error", "message": "no", "type": "BadRequestError" }),
            "no",
            "BadRequestError",
        ),
        (json!({ "detail": "no" }), "no", ""),
        (json!({ "detail": [{ "loc": ["body"] }] }), "[{\"loc\":[\"body\"]}]", ""),
        (json!("no"), "no", ""),
        (Value::Null, "", ""),
        (json!({ "error": {} }), "", ""),
        (json!([]), "", ""),
        (json!(7), "", ""),
    ] {
        let complaint = complaint(&body);
        assert_eq!((&*complaint.message, &*complaint.code), (message, code), "{body}");
    }
}
