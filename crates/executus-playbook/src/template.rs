//! Texts with `{name}` placeholders: parsed once, bound as often as needed, never scanned twice.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::name::{MAX_NAME_BYTES, is_name};

/// A text with placeholders.
///
/// `{name}` binds; `{{` and `}}` are literal braces; any other brace stays as it is. A bound value
/// is taken as it stands: braces in it mean nothing. Any text is a template.
///
/// `Display` gives a text that parses to the same template.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// The value that is bound to this name.
    Name(String),
}

/// A placeholder without a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{{{name}}}` is not bound")]
pub struct Unbound {
    /// The name.
    pub name: String,
}

impl Template {
    /// Reads a text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::parse_located(text).0
    }

    /// The template, and the byte offset of each of its placeholders.
    pub(crate) fn parse_located(text: &str) -> (Self, Vec<usize>) {
        let mut parts = Vec::new();
        let mut offsets = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else if let Some((name, after)) = placeholder(brace) {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                offsets.push(text.len() - brace.len());
                parts.push(Part::Name(name.to_owned()));
                rest = after;
            } else {
                let (single, after) = brace.split_at(1);
                plain.push_str(single);
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        (Self { parts }, offsets)
    }

    /// The parts, in order; neighbouring texts are one part.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names to bind, in order, repeated as they are in the text.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether there is nothing to bind.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.names().next().is_none()
    }

    /// Whether this is the empty text.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The text with every placeholder replaced by what `lookup` answers for its name.
    ///
    /// # Errors
    /// [`Unbound`] names the first placeholder that `lookup` does not know.
    pub fn render<'v>(
        &self,
        mut lookup: impl FnMut(&str) -> Option<Cow<'v, str>>,
    ) -> Result<String, Unbound> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Name(name) => match lookup(name) {
                    Some(value) => text.push_str(&value),
                    None => return Err(Unbound { name: name.clone() }),
                },
            }
        }
        Ok(text)
    }
}

/// The name of the placeholder that `text` begins with, and what follows it.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{')?;
    // Names are short: a text of many open braces is not searched to its end for each of them.
    let end = inner.bytes().take(MAX_NAME_BYTES + 1).position(|byte| byte == b'}')?;
    let (name, after) = inner.split_at(end);
    is_name(name).then_some((name, after.get(1..)?))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Name(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

impl From<&str> for Template {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> String {
        Template::parse(text)
            .render(|name| match name {
                "x" => Some("{y}".into()),
                "y" => Some("Y".into()),
                _ => None,
            })
            .unwrap_or_else(|unbound| unbound.to_string())
    }

    #[test]
    fn braces() {
        for (text, expected) in [
            ("", ""),
            ("no braces", "no braces"),
            ("{y}", "Y"),
            ("a{y}b{y}", "aYbY"),
            ("{x}", "{y}"),
            ("{{y}}", "{y}"),
            ("{{{y}}}", "{Y}"),
            ("{{{{", "{{"),
            ("{ y }", "{ y }"),
            ("{print $1}", "{print $1}"),
            (r#"{"a": 1}"#, r#"{"a": 1}"#),
            ("{y", "{y"),
            ("y}", "y}"),
            ("{{y", "{y"),
            ("{}", "{}"),
            ("a{2,3}", "a{2,3}"),
            ("{é}{y}", "{é}Y"),
            ("{z}", "`{z}` is not bound"),
        ] {
            assert_eq!(render(text), expected, "{text}");
        }
    }

    #[test]
    fn offsets_are_those_of_the_placeholders() {
        let (template, offsets) = Template::parse_located("é{a} {{b}} {c}");
        assert_eq!(template.names().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(offsets, [2, 12]);
    }
}
