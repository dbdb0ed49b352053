//! What Anthropic is asked.

use executus_core::ToolSpec;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::conversation::{Answered, Asked};
use crate::dialect::turns::{Turn, Words, turns};

/// The body of a request.
///
/// What a run asks again with every step is marked for the cache, where it costs a tenth: the
/// instructions and tools, and the messages up to the last but one and the last of the user. The
/// last but one is where the request before this one ended: the API looks for it by itself, but
/// only 20 blocks back.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let conversation = ask.conversation;
    let words = Words {
        model: "assistant",
        text,
        calls: |calls: &[Asked]| calls.iter().map(call).collect(),
        result,
    };
    let mut turns = turns(&conversation.messages, &words);
    let mut tools: Vec<_> = conversation.tools.iter().map(tool).collect();
    let mut system: Vec<_> = conversation.system.iter().map(|system| text(system)).collect();

    cache(system.last_mut().or(tools.last_mut()));
    let users = turns.iter_mut().rev().filter(|(role, _)| *role == "user");
    for (_, content) in users.take(2) {
        cache(content.last_mut());
    }

    let message = |(role, content): Turn| json!({ "role": role, "content": content });
    let mut body = json!({
        "model": ask.model,
        "max_tokens": ask.max_output_tokens.unwrap_or_else(|| max_tokens(ask.model)),
        "messages": turns.into_iter().map(message).collect::<Vec<_>>(),
        "stream": ask.stream,
    });
    if !system.is_empty() {
        body["system"] = Value::Array(system);
    }
    if !tools.is_empty() {
        body["tools"] = Value::Array(tools);
    }
    body
}

/// How long an answer may get when nobody says: the API wants a number, and refuses one above what
/// the model can.
fn max_tokens(model: &str) -> u32 {
    // Some gateways put something before the name.
    let Some((_, version)) = model.split_once("claude-3-") else { return 32_000 };
    if version.starts_with(['5', '7']) { 8192 } else { 4096 }
}

fn cache(block: Option<&mut Value>) {
    if let Some(block) = block {
        block["cache_control"] = json!({ "type": "ephemeral" });
    }
}

fn tool(tool: &ToolSpec) -> Value {
    let mut schema = tool.parameters.as_object().cloned().unwrap_or_default();
    schema.entry("type").or_insert_with(|| json!("object"));
    let mut described = json!({ "name": tool.name, "input_schema": schema });
    if !tool.description.is_empty() {
        described["description"] = json!(tool.description);
    }
    described
}

fn text(said: &str) -> Value {
    json!({ "type": "text", "text": said })
}

fn call(call: &Asked) -> Value {
    json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.args })
}

fn result(result: &Answered) -> Value {
    let mut block = Map::new();
    block.insert("type".to_owned(), json!("tool_result"));
    block.insert("tool_use_id".to_owned(), json!(result.id));
    if !result.text.trim().is_empty() {
        block.insert("content".to_owned(), json!(result.text));
    } else if result.is_error {
        // An error must say something.
        block.insert("content".to_owned(), json!("it failed"));
    }
    if result.is_error {
        block.insert("is_error".to_owned(), json!(true));
    }
    Value::Object(block)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Conversation, Message};

    fn asked(id: &str, name: &str) -> Asked {
        Asked { id: id.to_owned(), name: name.into(), args: json!({"n": 1}), signature: None }
    }

    fn answered(id: &str, text: &str, is_error: bool) -> Answered {
        let (id, text) = (id.to_owned(), text.to_owned());
        Answered { id, name: "look".into(), text, is_error }
    }

    fn body_of(system: Option<&str>, messages: Vec<Message>, tools: Vec<ToolSpec>) -> Value {
        let system = system.map(str::to_owned);
        let conversation = Conversation { system, messages, tools };
        let ask = Ask {
            model: "claude",
            conversation: &conversation,
            stream: true,
            max_output_tokens: None,
            at_home: true,
        };
        body(&ask)
    }

    #[test]
    fn a_conversation_with_every_kind_of_message() {
        let messages = vec![
            Message::User("task".to_owned()),
            Message::User("[critic] mind the gap".to_owned()),
            Message::Assistant {
                text: " \n".to_owned(),
                calls: vec![asked("a", "look"), asked("b", "wait")],
            },
            Message::Results(vec![answered("a", "", false), answered("b", " ", true)]),
            Message::User("go on".to_owned()),
            Message::Assistant { text: "hm".to_owned(), calls: vec![asked("c", "look")] },
            Message::Results(vec![answered("c", "seen", false)]),
        ];
        let schema = json!({"properties": {"n": {"type": "integer"}}});
        let tools =
            vec![ToolSpec::new("look", "Looks.").parameters(schema), ToolSpec::new("wait", "")];
        let cached = json!({"type": "ephemeral"});
        let expected = json!({
            "model": "claude",
            "max_tokens": 32_000,
            "stream": true,
            "system": [{"type": "text", "text": "be kind", "cache_control": cached}],
            "tools": [
                {
                    "name": "look",
                    "description": "Looks.",
                    "input_schema": {
                        "type": "object",
                        "properties": {"n": {"type": "integer"}},
                    },
                },
                {"name": "wait", "input_schema": {"type": "object", "properties": {}}},
            ],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "task"},
                    {"type": "text", "text": "[critic] mind the gap"},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}},
                    {"type": "tool_use", "id": "b", "name": "wait", "input": {"n": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "b",
                        "content": "it failed",
                        "is_error": true,
                    },
                    {"type": "text", "text": "go on", "cache_control": cached},
                ]},
                {"role": "assistant", "content": [
                    {"type": "text", "text": "hm"},
                    {"type": "tool_use", "id": "c", "name": "look", "input": {"n": 1}},
                ]},
                {"role": "user", "content": [{
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "content": "seen",
                    "cache_control": cached,
                }]},
            ],
        });
        assert_eq!(body_of(Some("be kind"), messages, tools), expected);
    }

    #[test]
    fn each_model_is_asked_for_as_much_as_it_can() {
        for (model, most) in [
            ("claude-sonnet-4-5", 32_000),
            ("claude-opus-4-1-20250805", 32_000),
            ("claude-haiku-4-5", 32_000),
            ("another-one", 32_000),
            ("claude-3-7-sonnet-latest", 8192),
            ("claude-3-5-haiku-20241022", 8192),
            ("claude-3-haiku-20240307", 4096),
            ("claude-3-opus-latest", 4096),
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", 8192),
        ] {
            assert_eq!(max_tokens(model), most, "{model}");
        }
    }

    #[test]
    fn without_instructions_the_tools_are_cached() {
        let tools = vec![ToolSpec::new("look", "Looks."), ToolSpec::new("wait", "Waits.")];
        let body = body_of(None, vec![Message::User("task".to_owned())], tools);
        assert_eq!(body.get("system"), None);
        assert_eq!(body["tools"][0].get("cache_control"), None);
        assert_eq!(body["tools"][1]["cache_control"]["type"], "ephemeral");
        assert_eq!(body["messages"][0]["content"][0]["cache_control"]["type"], "ephemeral");
    }

    #[test]
    fn the_user_has_the_first_and_the_last_word() {
        let said = || Message::Assistant { text: "hm".to_owned(), calls: Vec::new() };
        for messages in [
            vec![Message::User(" ".to_owned())],
            vec![Message::User(String::new()), said(), Message::User(String::new()), said()],
            vec![Message::User("task".to_owned()), said()],
        ] {
            let shown = format!("{messages:?}");
            let body = body_of(None, messages, Vec::new());
            let turns = body["messages"].as_array().unwrap();
            for (at, turn) in turns.iter().enumerate() {
                let role = if at % 2 == 0 { "user" } else { "assistant" };
                assert_eq!(turn["role"], role, "{shown}: {body}");
                assert!(!turn["content"].as_array().unwrap().is_empty(), "{shown}: {body}");
            }
            assert_eq!(turns.len() % 2, 1, "{shown}: {body}");
        }
    }
}
