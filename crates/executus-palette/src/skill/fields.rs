//! The fields of a skill's front matter, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::allowed;
use super::yaml::{self, Node, Placed, Wrong};
use crate::error::SkillProblem;

const MAX_NAME: usize = 64;
const MAX_DESCRIPTION: usize = 1024;
const MAX_COMPATIBILITY: usize = 500;

/// What the front matter says.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) name: Placed<Arc<str>>,
    pub(super) description: Arc<str>,
    pub(super) license: Option<String>,
    pub(super) compatibility: Option<String>,
    pub(super) allowed_tools: Vec<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// The front matter of a text, and the instructions after it.
pub(super) fn read(text: &str) -> Result<(Front, String), Wrong> {
    // A byte order mark says nothing in UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let missing =
        |line, message: &str| (line, SkillProblem::FrontMatter { message: message.to_owned() });
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if first.trim_end() != "---" {
        return Err(missing(1, "the first line is not `---`"));
    }
    let mut end = first.len();
    let mut count = 1;
    for line in lines {
        count += 1;
        if line.trim_end() == "---" {
            let yaml = text.get(first.len()..end).unwrap_or_default();
            let body = text.get(end + line.len()..).unwrap_or_default().trim();
            let front = fields(yaml)?;
            if body.is_empty() {
                return Err((count, SkillProblem::NoInstructions));
            }
            return Ok((front, body.to_owned()));
        }
        end += line.len();
    }
    Err(missing(1, "the front matter has no end"))
}

fn fields(text: &str) -> Result<Front, Wrong> {
    let mut seen = BTreeMap::new();
    let (mut name, mut description, mut license, mut compatibility) = (None, None, None, None);
    let (mut allowed_tools, mut metadata) = (Vec::new(), BTreeMap::new());
    for (key, value) in yaml::read(text, 1)? {
        if let Some(first) = seen.insert(key.value.clone(), key.line) {
            return Err((key.line, SkillProblem::Repeated { field: key.value, first }));
        }
        match key.value.as_str() {
            "name" => name = Some(named(text_of("name", value)?)?),
            "description" => {
                let text = text_of("description", value)?;
                description = Some(bounded("description", text, MAX_DESCRIPTION)?);
            }
            "license" => license = Some(text_of("license", value)?.value),
            "compatibility" => {
                let text = text_of("compatibility", value)?;
                compatibility = Some(bounded("compatibility", text, MAX_COMPATIBILITY)?);
            }
            "allowed-tools" => allowed_tools = tools(value)?,
            "metadata" => metadata = pairs(value)?,
            _ => return Err((key.line, SkillProblem::UnknownField { field: key.value })),
        }
    }
    // What is missing stands nowhere: it is told where the front matter begins.
    let missing = |field| (1, SkillProblem::Missing { field });
    Ok(Front {
        name: name.ok_or(missing("name"))?,
        description: description.ok_or(missing("description"))?.into(),
        license,
        compatibility,
        allowed_tools,
        metadata,
    })
}

fn unfit(field: &str, found: &Placed<Node>, expected: &'static str) -> Wrong {
    let found_word = found.value.word().to_owned();
    let problem = SkillProblem::Unfit { field: field.to_owned(), found: found_word, expected };
    (found.line, problem)
}

/// A text that says something.
fn text_of(field: &str, value: Placed<Node>) -> Result<Placed<String>, Wrong> {
    match value {
        Placed { line, value: Node::Text(text) } if !text.trim().is_empty() => {
            Ok(Placed { line, value: text.trim().to_owned() })
        }
        Placed { line, value: Node::Text(_) } => {
            Err(unfit(field, &Placed { line, value: Node::Null }, "a text"))
        }
        other => Err(unfit(field, &other, "a text")),
    }
}

fn bounded(field: &'static str, text: Placed<String>, limit: usize) -> Result<String, Wrong> {
    let chars = text.value.chars().count();
    if chars > limit {
        return Err((text.line, SkillProblem::TooLong { field, chars, limit }));
    }
    Ok(text.value)
}

fn named(name: Placed<String>) -> Result<Placed<Arc<str>>, Wrong> {
    let Placed { line, value } = name;
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let parts = value.split('-').all(|part| !part.is_empty() && part.bytes().all(is_allowed));
    if !parts || value.len() > MAX_NAME {
        return Err((line, SkillProblem::Name { name: value }));
    }
    Ok(Placed { line, value: value.into() })
}

/// Tools in one text, or one in each item of a list.
fn tools(value: Placed<Node>) -> Result<Vec<String>, Wrong> {
    match value.value {
        Node::Text(text) => Ok(allowed::words(&text)),
        Node::List(items) => {
            Ok(items.into_iter().map(|item| item.value.trim().to_owned()).collect())
        }
        Node::Null => Ok(Vec::new()),
        Node::Map(_) => Err(unfit("allowed-tools", &value, "tools between blanks, or a list")),
    }
}

fn pairs(value: Placed<Node>) -> Result<BTreeMap<String, String>, Wrong> {
    let line = value.line;
    match value.value {
        Node::Null => Ok(BTreeMap::new()),
        Node::Map(pairs) => {
            let mut map = BTreeMap::new();
            for (key, value) in pairs {
                if map.insert(key.value.clone(), value.value).is_some() {
                    let field = format!("metadata.{}", key.value);
                    return Err((key.line, SkillProblem::Repeated { field, first: line }));
                }
            }
            Ok(map)
        }
        Node::Text(_) | Node::List(_) => Err(unfit("metadata", &value, "a mapping of texts")),
    }
}
