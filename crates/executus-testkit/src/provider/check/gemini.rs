//! What Gemini refuses: the request and its contents. Tools are looked at in [`schema`].

mod schema;

use serde_json::Value;

use super::{bare_path, entries, filled};
use crate::provider::dialect::ErrorReply;
use crate::provider::gemini::{invalid, model, reply, signs};
use crate::provider::http::SeenRequest;

/// The fields of the request; like all of Gemini's they are also taken in snake case.
const KNOWN: &[&str] = &[
    "cachedContent",
    "contents",
    "generationConfig",
    "labels",
    "model",
    "safetySettings",
    "serviceTier",
    "store",
    "systemInstruction",
    "toolConfig",
    "tools",
];
const CONFIG: &[&str] = &[
    "candidateCount",
    "enableEnhancedCivicAnswers",
    "frequencyPenalty",
    "imageConfig",
    "logprobs",
    "maxOutputTokens",
    "mediaResolution",
    "presencePenalty",
    "responseFormat",
    "responseJsonSchema",
    "responseLogprobs",
    "responseMimeType",
    "responseModalities",
    "responseSchema",
    "seed",
    "speechConfig",
    "stopSequences",
    "temperature",
    "thinkingConfig",
    "topK",
    "topP",
];
const CONTENT: &[&str] = &["parts", "role"];
const PART: &[&str] = &[
    "codeExecutionResult",
    "executableCode",
    "fileData",
    "functionCall",
    "functionResponse",
    "inlineData",
    "mediaResolution",
    "partMetadata",
    "text",
    "thought",
    "thoughtSignature",
    "toolCall",
    "toolResponse",
    "videoMetadata",
];
/// The fields of a part of which it must have one.
const DATA: &[&str] = &[
    "codeExecutionResult",
    "executableCode",
    "fileData",
    "functionCall",
    "functionResponse",
    "inlineData",
    "text",
    "toolCall",
    "toolResponse",
];
const CALL: &[&str] = &["args", "id", "name"];
const RESPONSE: &[&str] = &["id", "name", "parts", "response", "scheduling", "willContinue"];

type Checked = Result<(), ErrorReply>;

/// The first thing that is wrong with the request.
pub(super) fn check(request: &SeenRequest) -> Checked {
    let in_query = request.path.split(['?', '&']).any(|p| p.starts_with("key=") && p.len() > 4);
    if filled(request, "x-goog-api-key").is_none() && !in_query {
        let message = "Method doesn't allow unregistered callers (callers without established \
                       identity). Please use API Key or other form of API consumer identity to \
                       call this API.";
        return Err(reply(403, "PERMISSION_DENIED", message, None));
    }
    let rest = bare_path(request).strip_prefix("/v1beta/models/").unwrap_or_default();
    let named = rest.split_once(':').filter(|(name, _)| !name.is_empty());
    let sse = request.path.contains("alt=sse");
    match named.map(|(_, method)| method) {
        Some("generateContent") if request.method == "POST" => {}
        // Without it the answer is one long array of JSON, which this server does not write.
        Some("streamGenerateContent") if request.method == "POST" && sse => {}
        _ => return Err(reply(404, "NOT_FOUND", "Requested entity was not found.", None)),
    }
    let body = &request.body;
    if !body.is_object() {
        return Err(invalid("", "Invalid JSON payload received. Unexpected token."));
    }
    known(body, KNOWN, "")?;
    known(&get(body, "generationConfig"), CONFIG, "generation_config")?;
    schema::tools(&get(body, "tools"))?;
    let system = get(body, "systemInstruction");
    if !system.is_null() {
        parts(&system, "system_instruction")?;
    }
    contents(&get(body, "contents"), signs(model(&request.path).unwrap_or_default()))
}

/// A field by its name in camel case or, as protobuf's JSON allows, in snake case.
fn get(value: &Value, name: &str) -> Value {
    let found = value.get(name).or_else(|| value.get(snake(name)));
    found.cloned().unwrap_or_default()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Refuses fields that the message type does not have.
fn known(value: &Value, names: &[&str], at: &str) -> Checked {
    let mut fields = value.as_object().into_iter().flat_map(|fields| fields.keys());
    let unknown = fields.find(|f| !names.iter().any(|n| n == f || snake(n) == **f));
    let Some(field) = unknown else { return Ok(()) };
    let place = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
    let message = format!(
        "Invalid JSON payload received. Unknown name \"{field}\"{place}: Cannot find field."
    );
    Err(invalid(at, &message))
}

/// What a turn of the conversation is, for the rules of what may follow what.
#[derive(PartialEq)]
enum Turn {
    User,
    Model,
    Calls(Vec<String>),
    Responses,
}

fn contents(contents: &Value, signed: bool) -> Checked {
    let contents = entries(contents);
    if contents.is_empty() {
        let message = "* GenerateContentRequest.contents: contents is not specified\n";
        return Err(invalid("contents", message));
    }
    let mut before: Option<Turn> = None;
    let asked =
        contents.iter().rposition(|content| responses(content).is_empty() && is_user(content));
    for (index, content) in contents.iter().enumerate() {
        let at = format!("contents[{index}]");
        known(content, CONTENT, &at)?;
        let role = content["role"].as_str().unwrap_or("user");
        if !["user", "model", "function"].contains(&role) {
            return Err(invalid(&at, "Please use a valid role: user, model."));
        }
        if index == 0 && role != "user" {
            let message = "Please ensure that the conversation starts with a user turn.";
            return Err(invalid(&at, message));
        }
        parts(content, &at)?;
        // Only the calls of the turn that still goes on must be signed.
        if signed && asked.is_none_or(|asked| index > asked) {
            signature(content, &at)?;
        }
        let turn = turn(content);
        follows(before.as_ref(), &turn, content, &at)?;
        before = Some(turn);
    }
    match before {
        Some(Turn::Calls(_)) => Err(unequal("contents")),
        _ => Ok(()),
    }
}

fn is_user(content: &Value) -> bool {
    content["role"].as_str().unwrap_or("user") == "user"
}

fn calls(content: &Value) -> Vec<Value> {
    let calls = entries(&content["parts"]).iter().map(|part| get(part, "functionCall"));
    calls.filter(|call| !call.is_null()).collect()
}

fn responses(content: &Value) -> Vec<Value> {
    let responses = entries(&content["parts"]).iter().map(|part| get(part, "functionResponse"));
    responses.filter(|response| !response.is_null()).collect()
}

fn turn(content: &Value) -> Turn {
    let calls: Vec<String> = calls(content).iter().map(name).collect();
    match (calls.is_empty(), responses(content).is_empty(), is_user(content)) {
        (false, _, _) => Turn::Calls(calls),
        (true, false, _) => Turn::Responses,
        (true, true, true) => Turn::User,
        (true, true, false) => Turn::Model,
    }
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap_or_default().to_owned()
}

fn follows(before: Option<&Turn>, turn: &Turn, content: &Value, at: &str) -> Checked {
    match (before, turn) {
        (Some(Turn::Calls(called)), Turn::Responses) => {
            let mut called = called.clone();
            let mut answered: Vec<String> = responses(content).iter().map(name).collect();
            if called.len() != answered.len() {
                return Err(unequal(at));
            }
            called.sort_unstable();
            answered.sort_unstable();
            if called == answered {
                return Ok(());
            }
            let message = "Please ensure that the names of the function responses are those of \
                           the function calls of the function call turn.";
            Err(invalid(at, message))
        }
        (_, Turn::Responses) => {
            let message = "Please ensure that function response turn comes immediately after a \
                           function call turn.";
            Err(invalid(at, message))
        }
        (Some(Turn::Calls(_)), _) => Err(unequal(at)),
        (Some(Turn::User | Turn::Responses), Turn::Calls(_)) => Ok(()),
        (_, Turn::Calls(_)) => {
            let message = "Please ensure that function call turn comes immediately after a user \
                           turn or after a function response turn.";
            Err(invalid(at, message))
        }
        (_, Turn::User | Turn::Model) => Ok(()),
    }
}

fn unequal(at: &str) -> ErrorReply {
    let message = "Please ensure that the number of function response parts is equal to the \
                   number of function call parts of the function call turn.";
    invalid(at, message)
}

fn parts(content: &Value, at: &str) -> Checked {
    let parts = entries(&content["parts"]);
    if parts.is_empty() {
        let message =
            format!("* GenerateContentRequest.{at}.parts: contents.parts must not be empty.\n");
        return Err(invalid(&format!("{at}.parts"), &message));
    }
    for (index, part) in parts.iter().enumerate() {
        let at = format!("{at}.parts[{index}]");
        known(part, PART, &at)?;
        if DATA.iter().filter(|name| !get(part, name).is_null()).count() != 1 {
            let message =
                format!("{at}.data: required oneof field 'data' must have one initialized field");
            return Err(invalid(&at, &message));
        }
        let call = get(part, "functionCall");
        known(&call, CALL, &format!("{at}.function_call"))?;
        object(&call, "args", &format!("{at}.function_call"))?;
        let response = get(part, "functionResponse");
        known(&response, RESPONSE, &format!("{at}.function_response"))?;
        object(&response, "response", &format!("{at}.function_response"))?;
        for (value, field) in [(&call, "function_call"), (&response, "function_response")] {
            if value.is_object() && name(value).is_empty() {
                let at = format!("{at}.{field}.name");
                let message = format!("* GenerateContentRequest.{at}: Name cannot be empty.\n");
                return Err(invalid(&at, &message));
            }
        }
    }
    Ok(())
}

/// A field that is a `Struct`: an object and nothing else. Responses must have it.
fn object(value: &Value, field: &str, at: &str) -> Checked {
    let struct_ = &value[field];
    let missing = struct_.is_null() && (field == "args" || value.is_null());
    if missing || struct_.is_object() {
        return Ok(());
    }
    let message = format!(
        "Invalid value at '{at}.{field}' (type.googleapis.com/google.protobuf.Struct), {struct_}"
    );
    Err(invalid(&format!("{at}.{field}"), &message))
}

/// The first call of a step must carry the signature it came with.
fn signature(content: &Value, at: &str) -> Checked {
    let parts = entries(&content["parts"]).iter().enumerate();
    let mut calls = parts.filter(|(_, part)| !get(part, "functionCall").is_null());
    let Some((index, part)) = calls.next() else { return Ok(()) };
    if get(part, "thoughtSignature").as_str().is_some_and(|signature| !signature.is_empty()) {
        return Ok(());
    }
    let message = format!(
        "Function call is missing a thought_signature in functionCall parts. This is required for \
         tools to work correctly, and missing thought_signature may lead to degraded model \
         performance. Additional data, function call `default_api:{}` , position {}.",
        name(&get(part, "functionCall")),
        index + 1
    );
    Err(invalid(at, &message))
}
