//! What is taken out of results, and what is said before them.

use executus_core::ToolOutput;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::error::ConfigError;

/// How large the program of an expression may be.
const PROGRAM: usize = 1 << 20;

/// Something that is taken out of results.
#[derive(Debug, Clone)]
pub struct Removal {
    name: String,
    pattern: Regex,
}

impl Removal {
    /// What this expression matches becomes `[removed: NAME]`. Case does not matter.
    ///
    /// # Errors
    /// [`ConfigError::Expression`].
    pub fn new(name: &str, pattern: &str) -> Result<Self, ConfigError> {
        Ok(Self { name: name.to_owned(), pattern: expression("remove", pattern)? })
    }
}

/// Something that is said before a result in which an expression matches.
#[derive(Debug, Clone)]
pub struct Notice {
    text: String,
    pattern: Regex,
}

impl Notice {
    /// This text, before results in which this expression matches. Case does not matter.
    ///
    /// # Errors
    /// [`ConfigError::Expression`].
    pub fn new(text: &str, pattern: &str) -> Result<Self, ConfigError> {
        Ok(Self { text: text.to_owned(), pattern: expression("notice", pattern)? })
    }
}

/// What is done to the results of tools. Removals come first, notices see what is left.
#[derive(Debug, Clone, Default)]
pub struct ContentRules {
    /// What is taken out.
    pub removals: Vec<Removal>,
    /// What is said before.
    pub notices: Vec<Notice>,
}

impl ContentRules {
    /// Takes out the plainest attempts to give the agent orders, and says when a page wants a
    /// captcha or a password.
    ///
    /// # Errors
    /// [`ConfigError::Expression`], if an expression of this crate were wrong.
    pub fn usual() -> Result<Self, ConfigError> {
        let orders = r"\b(ignore|disregard|forget)\s+(all\s+|any\s+)?(of\s+)?(your\s+|the\s+)?(previous|prior|above|earlier)\s+(instructions|prompts|rules|messages)\b";
        let captcha = r"\b(re|h)?captcha\b|are you a robot|verify (that )?you are (a )?human|unusual traffic from your";
        let password = r"\b(sign|log) ?in to continue\b|please (sign|log) ?in\b";
        Ok(Self {
            removals: vec![Removal::new("orders to the agent", orders)?],
            notices: vec![
                Notice::new(
                    "This page asks for a captcha. Do not try to solve it: take another way, or \
                     say that a person is needed.",
                    captcha,
                )?,
                Notice::new(
                    "This page asks somebody to sign in. Do not guess names or passwords.",
                    password,
                )?,
            ],
        })
    }

    /// Takes out what has to be taken out; returns what is to be said before the text.
    pub(crate) fn apply(&self, output: &mut ToolOutput) -> Vec<&str> {
        for removal in &self.removals {
            let mark = format!("[removed: {}]", removal.name);
            let clean = |text: &mut String| {
                if removal.pattern.is_match(text) {
                    *text = removal.pattern.replace_all(text, regex::NoExpand(&mark)).into_owned();
                }
            };
            clean(&mut output.text);
            if let Some(data) = &mut output.data {
                each_text(data, &clean);
            }
        }
        let notices = self.notices.iter();
        let notices = notices.filter(|notice| notice.pattern.is_match(&output.text));
        notices.map(|notice| notice.text.as_str()).collect()
    }
}

fn each_text(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_text(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn expression(field: &'static str, pattern: &str) -> Result<Regex, ConfigError> {
    let mut builder = RegexBuilder::new(pattern);
    builder.case_insensitive(true).size_limit(PROGRAM).build().map_err(|error| {
        let (pattern, message) = (pattern.to_owned(), error.to_string());
        ConfigError::Expression { field, pattern, message }
    })
}
