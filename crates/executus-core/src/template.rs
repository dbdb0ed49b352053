//! Text with places for values.

/// A text with `{name}` places, filled anew for each use: an argument of a program, a URL, the
/// value of a header field.
///
/// `{{` and `}}` are literal braces, and a `{` that no name and `}` follow stays as it is. A value
/// is put in by whoever uses the template, by the rules of what it becomes, and is never read again
/// for places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Part>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// The place of a value, by its name.
    Place(String),
}

impl Template {
    /// Reads a text with its places.
    #[must_use]
    pub fn parse(source: &str) -> Self {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
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
                &brace[1..]
            };
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Self(parts)
    }

    /// A template without text and places, to be added to.
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

    /// Its pieces, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
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

    #[test]
    fn places_are_found_and_braces_kept() {
        let built = |text: &str| Template::new().text(text);
        for (source, expected) in [
            ("{n}", Template::new().place("n")),
            ("{n}{n}", Template::new().place("n").place("n")),
            ("http://h/{n}?x={m}", built("http://h/").place("n").text("?x=").place("m")),
            ("--count={n}", built("--count=").place("n")),
            ("{{n}}{", built("{n}{")),
            ("{ n }{1}", built("{ n }{1}")),
            ("HEAD@{1}", built("HEAD@{1}")),
            ("awk '{print $1}'", built("awk '{print $1}'")),
            ("", Template::new()),
        ] {
            assert_eq!(Template::parse(source), expected, "{source}");
        }
        assert_eq!(Template::parse("{b}-{a}").names().collect::<Vec<_>>(), ["b", "a"]);
    }
}
