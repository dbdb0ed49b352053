//! Whether a step's result is what it must be.

use std::borrow::Cow;

use executus_core::ToolError;
use executus_core::text::bounded_to;
use executus_core::transcript::{Acted, CallOutcome};
use regex::Regex;

use crate::progress::Known;
use crate::step::{StepDef, StepKind, Verify};
use crate::template::{Part, Template};

/// The longest part of an expected text that an error shows, in bytes.
const SHOWN_BYTES: usize = 200;

/// The text of a call that succeeded and passed its verification.
pub(crate) fn judge<'a>(
    step: &StepDef,
    acted: &'a Acted,
    known: &Known<'_>,
) -> Result<&'a str, String> {
    let text = match &acted.outcome {
        CallOutcome::Output(output) => output.text.as_str(),
        CallOutcome::Failed(error) => return Err(told(step, error)),
        CallOutcome::Unknown => {
            return Err("the outcome is unknown: the call was cut off".into());
        }
    };
    let refusal = step.verify.as_ref().map(|verify| refusal(verify, text, known)).transpose()?;
    refusal.flatten().map_or(Ok(text), |refusal| Err(format!("the result {refusal}")))
}

/// How a call failed. What a model could not read is no slip in the arguments of a tool.
fn told(step: &StepDef, error: &ToolError) -> String {
    match (&step.kind, error) {
        (StepKind::Extract { .. }, ToolError::Arguments { message }) => message.clone(),
        _ => error.to_string(),
    }
}

/// What the text does not do, although it must.
fn refusal(verify: &Verify, text: &str, known: &Known<'_>) -> Result<Option<String>, String> {
    Ok(match verify {
        Verify::Contains(template) => {
            let part = known.render(template);
            (!text.contains(&part)).then(|| format!("does not contain {}", quoted(part)))
        }
        Verify::Equals(template) => {
            let whole = known.render(template);
            (text != whole).then(|| format!("is not {}", quoted(whole)))
        }
        Verify::NotEmpty => text.trim().is_empty().then(|| "is empty".into()),
        Verify::Matches(pattern) => {
            let matches = match &pattern.fixed {
                Some(regex) => regex.is_match(text),
                None => bound(&pattern.template, known)?.is_match(text),
            };
            (!matches).then(|| format!("does not match {}", quoted(pattern.template.to_string())))
        }
    })
}

/// The expression with its values bound: each value matches itself.
fn bound(template: &Template, known: &Known<'_>) -> Result<Regex, String> {
    let expression = template.parts().iter().map(|part| match part {
        Part::Text(text) => Cow::from(text),
        Part::Name(name) => regex::escape(&known.show(name).unwrap_or_default()).into(),
    });
    Regex::new(&expression.collect::<String>())
        .map_err(|error| format!("the bound expression of `matches` cannot be used: {error}"))
}

fn quoted(text: String) -> String {
    format!("\"{}\"", bounded_to(text, SHOWN_BYTES))
}

/// What must hold, in words: `the result contains "x"`.
pub(crate) fn requirement(verify: &Verify, known: &Known<'_>) -> String {
    match verify {
        Verify::Contains(template) => format!("the result contains \"{}\"", known.render(template)),
        Verify::Equals(template) => format!("the result is \"{}\"", known.render(template)),
        Verify::NotEmpty => "the result is not empty".into(),
        Verify::Matches(pattern) => {
            format!("the result matches the regular expression \"{}\"", pattern.template)
        }
    }
}
