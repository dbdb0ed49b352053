//! The arguments of a delegation: their schema, and what a call may pass.

use executus_core::port::PaletteError;
use serde_json::{Map, Value, json};

use super::AgentEntry;

/// The longest text that may be put before a task, in bytes.
const MAX_PREFIX: usize = 8 << 10;

/// What a call passed.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) input: Value,
    pub(crate) tier: Option<String>,
    pub(crate) prompt_prefix: Option<String>,
    pub(crate) tools: Option<Vec<String>>,
}

impl Args {
    /// The JSON schema of what an agent takes.
    pub(crate) fn schema(entry: &AgentEntry) -> Value {
        let mut properties = Map::new();
        properties.insert("input".into(), Value::clone(&entry.input));
        if !entry.tiers.is_empty() {
            let described = "Which model the agent uses. Leave it out for its own.";
            properties.insert(
                "model_tier".into(),
                json!({"type": "string", "enum": entry.tiers, "description": described}),
            );
        }
        if entry.prompt_prefix {
            let described = "What the agent reads before its task: what matters here.";
            properties.insert(
                "prompt_prefix".into(),
                json!({"type": "string", "description": described}),
            );
        }
        let choices = entry.choices();
        if !choices.is_empty() {
            let described = "The tools that the agent may use. Leave it out for all of them.";
            let items = json!({"type": "string", "enum": choices});
            properties.insert(
                "tools".into(),
                json!({"type": "array", "items": items, "description": described}),
            );
        }
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        let needs = entry.input.get("required").and_then(Value::as_array);
        if needs.is_some_and(|needs| !needs.is_empty()) {
            schema["required"] = json!(["input"]);
        }
        schema
    }

    /// What a call passed to this agent.
    pub(crate) fn read(entry: &AgentEntry, args: &Value) -> Result<Self, PaletteError> {
        let empty = Map::new();
        let args = match args {
            Value::Null => &empty,
            Value::Object(args) => args,
            _ => return Err(wrong("expected an object")),
        };
        let choices = entry.choices();
        let offered = [
            ("input", true),
            ("model_tier", !entry.tiers.is_empty()),
            ("prompt_prefix", entry.prompt_prefix),
            ("tools", !choices.is_empty()),
        ];
        if let Some(name) = args.keys().find(|name| !offered.contains(&(name.as_str(), true))) {
            let names: Vec<_> =
                offered.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
            let there = names.join(", ");
            return Err(wrong(format!("there is no argument `{name}`; there are: {there}")));
        }
        let input = match args.get("input") {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(input @ Value::Object(_)) => input.clone(),
            Some(_) => return Err(wrong("`input` must be an object")),
        };
        let tier = text(args, "model_tier")?;
        if let Some(tier) = tier.as_deref()
            && !entry.tiers.iter().any(|known| **known == *tier)
        {
            let known = entry.tiers.join(", ");
            return Err(wrong(format!("there is no model tier `{tier}`; there are: {known}")));
        }
        let prompt_prefix = text(args, "prompt_prefix")?;
        if prompt_prefix.as_ref().is_some_and(|prefix| prefix.len() > MAX_PREFIX) {
            let limit = format!("`prompt_prefix` may have at most {MAX_PREFIX} bytes");
            return Err(wrong(limit));
        }
        let tools = match args.get("tools") {
            None | Some(Value::Null) => None,
            Some(Value::Array(tools)) => {
                Some(tools.iter().map(|tool| choice(tool, &choices)).collect::<Result<_, _>>()?)
            }
            Some(_) => return Err(wrong("`tools` must be a list of names")),
        };
        Ok(Self { input, tier, prompt_prefix, tools })
    }
}

fn wrong(message: impl Into<String>) -> PaletteError {
    PaletteError::Arguments { message: message.into() }
}

fn text(args: &Map<String, Value>, name: &str) -> Result<Option<String>, PaletteError> {
    match args.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(format!("`{name}` must be a text"))),
    }
}

fn choice(tool: &Value, choices: &[String]) -> Result<String, PaletteError> {
    match tool.as_str() {
        Some(name) if choices.iter().any(|choice| choice == name) => Ok(name.to_owned()),
        _ => {
            let known = choices.join(", ");
            Err(wrong(format!("the agent has no tool {tool}; it has: {known}")))
        }
    }
}
