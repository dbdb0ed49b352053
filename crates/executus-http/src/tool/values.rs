//! The values that one call puts into the places of its templates.

use std::borrow::Cow;
use std::collections::BTreeMap;

use executus_core::ToolError;
use executus_core::secret::{Secret, Secrets};
use executus_core::template::{Part, Template};
use executus_core::text::REDACTED;
use serde_json::{Map, Value};

use super::arguments::wrong;

/// A parameter of the run, for every call.
#[derive(Debug, Clone)]
pub(super) enum Bound {
    Text(String),
    Secret(Secret),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) args: &'a Map<String, Value>,
    pub(super) bound: &'a BTreeMap<String, Bound>,
    /// Sensitive parameters that an argument may hold.
    pub(super) secrets: &'a Secrets,
}

/// One of the values.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) is_argument: bool,
    pub(super) is_secret: bool,
}

impl Values<'_> {
    /// The value of a name: what the call passes, then what the run has.
    pub(super) fn get(&self, name: &str) -> Result<Held<'_>, ToolError> {
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
    pub(super) fn fill(&self, template: &Template) -> Result<(String, bool), ToolError> {
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

/// A value as text: a text as it is, anything else as JSON.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}
