//! What Gemini is asked.

use executus_core::ToolSpec;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::conversation::{Answered, Asked};
use crate::dialect::turns::{Turn, Words, turns};

/// The documented stand-in for the signature of a call that another model made.
const UNSIGNED: &str = "skip_thought_signature_validator";
/// Families of models that do not ask for signatures.
const CARELESS: [&str; 3] = ["gemini-1", "gemini-2", "gemma"];

/// Where a model is asked.
pub(super) fn path(model: &str, stream: bool) -> String {
    // Tuned models have a collection of their own.
    let collection = if model.contains('/') { "" } else { "models/" };
    let mut path = format!("/v1beta/{collection}");
    for byte in model.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                path.push(byte.into());
            }
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path.push_str(if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" });
    path
}

/// The body of a request.
pub(super) fn body(ask: &Ask<'_>) -> Value {
    let conversation = ask.conversation;
    let model = ask.model.rsplit('/').next().unwrap_or_default();
    let wants_signatures = !CARELESS.iter().any(|family| model.starts_with(family));
    let words = Words {
        model: "model",
        text: |text| json!({ "text": text }),
        calls: |asked: &[Asked]| calls(asked, wants_signatures),
        result: response,
    };
    let turns = turns(&conversation.messages, &words).into_iter();
    let content = |(role, parts): Turn| json!({ "role": role, "parts": parts });
    let mut body = json!({ "contents": turns.map(content).collect::<Vec<_>>() });
    if let Some(system) = &conversation.system {
        body["systemInstruction"] = json!({ "parts": [{ "text": system }] });
    }
    if !conversation.tools.is_empty() {
        let functions: Vec<_> = conversation.tools.iter().map(function).collect();
        body["tools"] = json!([{ "functionDeclarations": functions }]);
    }
    if let Some(most) = ask.max_output_tokens {
        body["generationConfig"] = json!({ "maxOutputTokens": most });
    }
    body
}

fn function(tool: &ToolSpec) -> Value {
    let mut function = json!({ "name": tool.name, "description": tool.description });
    if !takes_nothing(&tool.parameters) {
        function["parametersJsonSchema"] = (*tool.parameters).clone();
    }
    function
}

/// Whether a schema allows no argument at all. It is left out: some models refuse an object
/// without properties.
fn takes_nothing(schema: &Value) -> bool {
    let is_empty = |value: &Value| match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    schema.as_object().is_none_or(|schema| {
        schema.iter().all(|(key, value)| match key.as_str() {
            "type" | "title" | "description" | "$schema" => true,
            "properties" | "required" => is_empty(value),
            "additionalProperties" => *value == false,
            _ => false,
        })
    })
}

/// The calls of one message, of which only the first has a signature.
fn calls(calls: &[Asked], wants_signatures: bool) -> Vec<Value> {
    let mut parts: Vec<_> = calls.iter().map(call).collect();
    let unsigned = calls.iter().all(|call| call.signature.is_none());
    if let Some(first) = parts.first_mut().filter(|_| wants_signatures && unsigned) {
        first["thoughtSignature"] = json!(UNSIGNED);
    }
    parts
}

fn call(call: &Asked) -> Value {
    let function = json!({ "id": call.id, "name": call.name, "args": call.args });
    let mut part = json!({ "functionCall": function });
    if let Some(signature) = &call.signature {
        part["thoughtSignature"] = json!(signature);
    }
    part
}

fn response(result: &Answered) -> Value {
    let key = if result.is_error { "error" } else { "result" };
    let said = Map::from_iter([(key.to_owned(), json!(result.text))]);
    let response = json!({ "id": result.id, "name": result.name, "response": said });
    json!({ "functionResponse": response })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::{Conversation, Message};

    fn asked(id: &str, name: &str, signature: Option<&str>) -> Asked {
        let signature = signature.map(Into::into);
        Asked { id: id.to_owned(), name: name.into(), args: json!({"n": 1}), signature }
    }

    fn answered(id: &str, name: &str, text: &str, is_error: bool) -> Answered {
        Answered { id: id.to_owned(), name: name.into(), text: text.to_owned(), is_error }
    }

    fn body_of(model: &str, messages: Vec<Message>, tools: Vec<ToolSpec>) -> Value {
        let system = Some("be kind".to_owned());
        let conversation = Conversation { system, messages, tools };
        let ask = Ask {
            model,
            conversation: &conversation,
            stream: true,
            max_output_tokens: Some(100),
            at_home: true,
        };
        body(&ask)
    }

    fn every_kind() -> Vec<Message> {
        vec![
            Message::User("task".to_owned()),
            Message::User("[critic] mind the gap".to_owned()),
            Message::Assistant {
                text: "hm".to_owned(),
                calls: vec![asked("a", "look", Some("sig")), asked("b", "look_up", None)],
            },
            Message::Results(vec![
                answered("a", "look", "", false),
                answered("b", "look_up", "no such tool", true),
            ]),
            Message::User("go on".to_owned()),
            Message::Assistant {
                text: " ".to_owned(),
                calls: vec![asked("c", "wait", None), asked("d", "wait", None)],
            },
            Message::Results(vec![
                answered("c", "wait", "ok", false),
                answered("d", "wait", "ok", false),
            ]),
        ]
    }

    #[test]
    fn a_conversation_with_every_kind_of_message() {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let look = ToolSpec::new("look", "Looks.").parameters(schema.clone());
        let tools = vec![look, ToolSpec::new("wait", "Waits.")];
        let call = |id: &str, name: &str| json!({"id": id, "name": name, "args": {"n": 1}});
        let expected = json!({
            "systemInstruction": {"parts": [{"text": "be kind"}]},
            "generationConfig": {"maxOutputTokens": 100},
            "tools": [{"functionDeclarations": [
                {"name": "look", "description": "Looks.", "parametersJsonSchema": schema},
                {"name": "wait", "description": "Waits."},
            ]}],
            "contents": [
                {"role": "user", "parts": [{"text": "task"}, {"text": "[critic] mind the gap"}]},
                {"role": "model", "parts": [
                    {"text": "hm"},
                    {"functionCall": call("a", "look"), "thoughtSignature": "sig"},
                    {"functionCall": call("b", "look_up")},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "a", "name": "look", "response": {"result": ""}}},
                    {"functionResponse": {
                        "id": "b",
                        "name": "look_up",
                        "response": {"error": "no such tool"},
                    }},
                    {"text": "go on"},
                ]},
                {"role": "model", "parts": [
                    {"functionCall": call("c", "wait"), "thoughtSignature": UNSIGNED},
                    {"functionCall": call("d", "wait")},
                ]},
                {"role": "user", "parts": [
                    {"functionResponse": {"id": "c", "name": "wait", "response": {"result": "ok"}}},
                    {"functionResponse": {"id": "d", "name": "wait", "response": {"result": "ok"}}},
                ]},
            ],
        });
        assert_eq!(body_of("gemini-3-pro", every_kind(), tools), expected);
    }

    /// A stand-in goes only to models that ask for signatures; a real one goes back in any case.
    #[test]
    fn older_models_get_no_stand_in() {
        for model in ["gemini-2.5-flash", "models/gemini-2.0-flash", "gemma-3-27b-it"] {
            let sent = body_of(model, every_kind(), Vec::new()).to_string();
            assert!(!sent.contains(UNSIGNED), "{model}: {sent}");
            assert!(sent.contains(r#""thoughtSignature":"sig""#), "{model}: {sent}");
        }
        for model in ["gemini-flash-latest", "models/gemini-3-pro"] {
            let sent = body_of(model, every_kind(), Vec::new()).to_string();
            assert_eq!(sent.matches(UNSIGNED).count(), 1, "{model}: {sent}");
        }
    }

    #[test]
    fn only_a_schema_that_allows_nothing_is_left_out() {
        for schema in [
            json!({"type": "object", "properties": {}}),
            json!({"type": "object", "properties": {}, "required": []}),
            json!({"$schema": "x", "title": "Nothing", "additionalProperties": false}),
            json!({}),
        ] {
            assert!(takes_nothing(&schema), "{schema}");
        }
        for schema in [
            json!({"type": "object", "properties": {"a": {}}}),
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"$ref": "#/$defs/Args", "$defs": {"Args": {"type": "object"}}}),
        ] {
            assert!(!takes_nothing(&schema), "{schema}");
        }
    }

    #[test]
    fn a_model_is_part_of_the_path_and_of_nothing_else() {
        for (model, expected) in [
            ("gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
            ("models/gemini-2.5-flash", "/v1beta/models/gemini-2.5-flash:generateContent"),
            ("tunedModels/mine", "/v1beta/tunedModels/mine:generateContent"),
            ("a?b#c%d:e", "/v1beta/models/a%3Fb%23c%25d%3Ae:generateContent"),
        ] {
            assert_eq!(path(model, false), expected);
        }
        let streamed = "/v1beta/models/m:streamGenerateContent?alt=sse";
        assert_eq!(path("m", true), streamed);
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
            let body = body_of("gemini-3-pro", messages, Vec::new());
            let turns = body["contents"].as_array().unwrap();
            for (at, turn) in turns.iter().enumerate() {
                let role = if at % 2 == 0 { "user" } else { "model" };
                assert_eq!(turn["role"], role, "{shown}: {body}");
                assert!(!turn["parts"].as_array().unwrap().is_empty(), "{shown}: {body}");
            }
            assert_eq!(turns.len() % 2, 1, "{shown}: {body}");
        }
    }
}
