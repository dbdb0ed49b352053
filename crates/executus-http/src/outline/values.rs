//! The values that one request puts into the places of its templates.

use std::borrow::Cow;
use std::collections::BTreeMap;

use executus_core::ToolError;
use executus_core::secret::{Secret, Secrets};
use executus_core::template::{Part, Template};
use executus_core::text::REDACTED;
use serde_json::{Map, Value};

/// A parameter of the run, for every call.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    Text(String),
    Secret(Secret),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) args: &'a Map<String, Value>,
    pub(crate) bound: &'a BTreeMap<String, Bound>,
    /// Sensitive parameters that an argument may hold.
    pub(crate) secrets: &'a Secrets,
}

/// One of the values.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) is_argument: bool,
    pub(crate) is_secret: bool,
}

impl Values<'_> {
    /// The value of a name: what the call passes, then what the run has.
    pub(crate) fn get(&self, name: &str) -> Result<Held<'_>, ToolError> {
        if let Some(value) = self.args.get(name) {
            let text = text(value);
            let is_secret = !self.secrets.is_empty()
                && self.secrets.redact(text.clone().into_owned()).contains(REDACTED);
            return Ok(Held { text, is_argument: true, is_secret });
        }
        let (text, is_secret) = match self.bound.get(name) {
            Some(Bound::Text(text)) => (text.as_str(), false),
            Some(Bound::Secret(secret)) => (secret.expose(), true),
            None => return Err(wrong(format!("`{name}` is missing"))),
        };
        Ok(Held { text: text.into(), is_argument: false, is_secret })
    }

    /// A header field's value, and whether it holds a secret.
    pub(crate) fn fill(&self, template: &Template) -> Result<(String, bool), ToolError> {
        let mut filled = String::new();
        let mut secret = false;
        for part in template.parts() {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Place(name) => {
                    let held = self.get(name)?;
                    filled.push_str(&held.text);
                    secret |= held.is_secret;
                }
            }
        }
        Ok((filled, secret))
    }
}

pub(crate) fn wrong(message: String) -> ToolError {
    ToolError::arguments(message)
}

/// A value as text: a text as it is, anything else as JSON.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}
