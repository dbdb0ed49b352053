//! What a step's result must be: `verify`.

use regex::Regex;

use super::read::Surroundings;
use crate::reader::{Item, Reader, Section};
use crate::scope::Scope;
use crate::template::{Part, Template};

/// What a step's result must be.
#[derive(Debug, Clone)]
pub enum Verify {
    /// It contains this text.
    Contains(Template),
    /// It matches this regular expression somewhere.
    Matches(Pattern),
    /// It is this text.
    Equals(Template),
    /// It has something but white space.
    NotEmpty,
}

/// A regular expression that may bind parameters; a bound value matches itself.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(crate) template: Template,
    /// The expression of a template that binds nothing.
    pub(crate) fixed: Option<Regex>,
}

const VERIFY: &str = "exactly one of `contains`, `matches`, `equals` and `not_empty`";

pub(super) fn read_verify<'a>(
    reader: &mut Reader<'a>,
    item: &Item<'a>,
    around: &Surroundings<'_>,
    scope: &Scope,
) -> Option<Verify> {
    let table = item.table(reader, &format!("a table with {VERIFY}"))?;
    let known = ["contains", "matches", "equals", "not_empty"];
    let section = Section::strict(reader, "verify", item.at, table, &known);
    let entry = match section.entries() {
        [entry] => *entry,
        [] => {
            reader.problem(item.at, "`verify` says nothing", VERIFY);
            return None;
        }
        [_, second, ..] => {
            let message = format!("`verify` has `{}` as well", second.key);
            reader.problem(second.key_at, message, VERIFY);
            return None;
        }
    };
    if entry.key == "not_empty" {
        if entry.boolean(reader)? {
            return Some(Verify::NotEmpty);
        }
        reader.problem(entry.at, "`not_empty` is false", "`not_empty = true`, or no `verify`");
        return None;
    }
    let text = entry.text(reader, "a text")?;
    let template = scope.template(reader, text);
    let offsets = Template::parse_located(text.value).1;
    let secret = template.names().zip(offsets).find(|(name, _)| around.is_sensitive(name));
    if let Some((name, decoded)) = secret {
        let message = format!("nothing can be verified against the sensitive `{name}`");
        let expected = "a parameter that is not sensitive: results are kept without secrets";
        reader.bad_reference(text.offset(decoded), message, expected);
    }
    match entry.key {
        "contains" if template.is_empty() => {
            reader.problem(entry.at, "`contains` is empty", "the text to look for");
            None
        }
        "contains" => Some(Verify::Contains(template)),
        "equals" => Some(Verify::Equals(template)),
        "matches" => match Pattern::new(template) {
            Ok(pattern) => Some(Verify::Matches(pattern)),
            Err(error) => {
                let message = format!("`matches` is no regular expression: {}", reason(&error));
                reader.problem(entry.at, message, "a regular expression of the Rust crate `regex`");
                None
            }
        },
        _ => None,
    }
}

/// The last line of the error: those before it draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl Pattern {
    /// Checks the expression, with a letter in the place of each bound value.
    fn new(template: Template) -> Result<Self, regex::Error> {
        let trial = template.parts().iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Name(_) => "x",
        });
        let regex = Regex::new(&trial.collect::<String>())?;
        let fixed = template.is_plain().then_some(regex);
        Ok(Self { template, fixed })
    }

    /// The expression as the file has it.
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }
}
