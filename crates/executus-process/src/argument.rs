//! One element of an argument vector, with places for values.

use std::borrow::Cow;

use crate::error::ProcessError;

/// One argument of a child: text with `{name}` places, filled when the child is started.
///
/// `{{` and `}}` are literal braces, and a `{` that no name and `}` follow stays as it is. A value
/// is put in as it stands and never read again for places, so one argument stays one argument
/// whatever the value holds: spaces, quotes, `;`, `$(…)`, newlines, a leading `-`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Argument(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl Argument {
    /// Reads an argument with its places.
    #[must_use]
    pub fn parse(source: &str) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            let after = &brace[1..];
            rest = if brace.starts_with("{{") || brace.starts_with("}}") {
                text.push_str(&brace[..1]);
                &brace[2..]
            } else if let Some((name, after)) = place(brace) {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Place(name.to_owned()));
                after
            } else {
                text.push_str(&brace[..1]);
                after
            };
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Self(parts)
    }

    /// An argument without text and places, to be added to.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// With this text behind, as it stands.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// With a place behind, for the value of this name.
    #[must_use]
    pub fn place(mut self, name: impl Into<String>) -> Self {
        self.0.push(Part::Place(name.into()));
        self
    }

    /// The names of its places, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The argument with its places filled.
    ///
    /// # Errors
    /// What `value` answers, and [`ProcessError::Nul`] for text that no argument can hold.
    pub(crate) fn bind<'a>(
        &'a self,
        mut value: impl FnMut(&'a str) -> Result<Cow<'a, str>, ProcessError>,
    ) -> Result<String, ProcessError> {
        let mut bound = String::new();
        for part in &self.0 {
            let (text, name) = match part {
                Part::Text(text) => (Cow::from(text), None),
                Part::Place(name) => (value(name)?, Some(name)),
            };
            if text.contains('\0') {
                return Err(ProcessError::Nul { parameter: name.cloned() });
            }
            bound.push_str(&text);
        }
        Ok(bound)
    }
}

/// The name of the place that `text` begins with, and what follows it.
fn place(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let mut bytes = name.bytes();
    let first = bytes.next()?;
    let is_name = (first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_name.then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(source: &str, value: &str) -> String {
        Argument::parse(source).bind(|_| Ok(Cow::from(value.to_owned()))).unwrap()
    }

    #[test]
    fn places_are_filled_and_braces_kept() {
        for (source, value, expected) in [
            ("{n}", "7", "7"),
            ("--count={n}", "7", "--count=7"),
            ("{n}{n}", "7", "77"),
            ("{{n}}", "7", "{n}"),
            ("HEAD@{1}", "7", "HEAD@{1}"),
            ("{ n }", "7", "{ n }"),
            ("awk '{print $1}'", "7", "awk '{print $1}'"),
            ("a{", "7", "a{"),
            ("", "7", ""),
            ("{n}", "{n} {{", "{n} {{"),
            ("{n}", "", ""),
        ] {
            assert_eq!(bound(source, value), expected, "{source}");
        }
    }

    #[test]
    fn parts_may_come_one_by_one() {
        let built = Argument::new().text("--n=").place("n").text("{n}");
        assert_eq!(built.bind(|_| Ok(Cow::from("7"))).unwrap(), "--n=7{n}");
    }

    #[test]
    fn nul_is_refused() {
        let refused = Argument::parse("{n}").bind(|_| Ok(Cow::from("a\0b")));
        assert!(matches!(refused, Err(ProcessError::Nul { parameter: Some(_) })));
    }

    #[test]
    fn names_stand_in_order() {
        assert_eq!(Argument::parse("{b}-{a}").names().collect::<Vec<_>>(), ["b", "a"]);
    }
}
