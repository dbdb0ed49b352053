//! The part of YAML that front matter may use: one mapping of texts, lists of texts and mappings of
//! texts, with the line of each. Anchors, aliases, tags and deeper nesting are refused.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::error::SkillProblem;

/// A mistake and its line.
pub(super) type Wrong = (usize, SkillProblem);

/// A field's name and value.
pub(super) type Field = (Placed<String>, Placed<Node>);

/// Something and the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// The value of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Text(String),
    List(Vec<Placed<String>>),
    Map(Vec<(Placed<String>, Placed<String>)>),
}

impl Node {
    /// What it is, in words.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// The fields of a text, in order. `before` is how many lines stand above it.
pub(super) fn read(text: &str, before: usize) -> Result<Vec<Field>, Wrong> {
    Reader { parser: Parser::new_from_str(text), before }.fields()
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    before: usize,
}

fn wrong(line: usize, message: impl Into<String>) -> Wrong {
    (line, SkillProblem::Yaml { message: message.into() })
}

impl<'t> Reader<'t> {
    fn fields(mut self) -> Result<Vec<Field>, Wrong> {
        let mut fields = Vec::new();
        loop {
            let (line, event) = self.next()?;
            match event {
                Event::MappingStart(..) => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::DocumentEnd | Event::StreamEnd => return Ok(fields),
                Event::Scalar(text, style, ..) if is_null(&text, style) => {}
                Event::Scalar(..) | Event::SequenceStart(..) => {
                    return Err(wrong(
                        line,
                        "this is no mapping; expected lines of `field: value`",
                    ));
                }
                _ => return Err(wrong(line, "expected lines of `field: value`")),
            }
        }
        while let Some(key) = self.key()? {
            let value = self.value()?;
            fields.push((key, value));
        }
        loop {
            let (line, event) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(fields),
                Event::DocumentEnd | Event::Nothing => {}
                _ => return Err(wrong(line, "there is a second document; expected one")),
            }
        }
    }

    /// The next event and its line.
    fn next(&mut self) -> Result<(usize, Event<'t>), Wrong> {
        let before = self.before;
        let failed = |error: ScanError| wrong(error.marker().line() + before, hint(error.info()));
        let Some(next) = self.parser.next_event() else {
            return Ok((before + 1, Event::StreamEnd));
        };
        let (event, Span { start, .. }) = next.map_err(failed)?;
        let line = start.line() + before;
        let (anchor, is_tagged) = match &event {
            Event::Alias(anchor) => (*anchor, false),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => (0, false),
        };
        if anchor != 0 || is_tagged || matches!(event, Event::Alias(_)) {
            let message = "an anchor, an alias or a tag; a text with `&`, `*` or `!` takes quotes";
            return Err(wrong(line, message));
        }
        Ok((line, event))
    }

    /// A key; `None` at the end of the mapping.
    fn key(&mut self) -> Result<Option<Placed<String>>, Wrong> {
        match self.next()? {
            (_, Event::MappingEnd) => Ok(None),
            (line, Event::Scalar(text, ..)) => Ok(Some(Placed { line, value: text.into_owned() })),
            (line, _) => Err(wrong(line, "a key must be a text")),
        }
    }

    fn value(&mut self) -> Result<Placed<Node>, Wrong> {
        let (line, event) = self.next()?;
        let value = match event {
            Event::Scalar(text, style, ..) if is_null(&text, style) => Node::Null,
            Event::Scalar(text, ..) => Node::Text(text.into_owned()),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some(item) = self.item()? {
                    items.push(item);
                }
                Node::List(items)
            }
            Event::MappingStart(..) => {
                let mut pairs = Vec::new();
                while let Some(key) = self.key()? {
                    let Some(value) = self.item()? else {
                        return Err(wrong(key.line, "a key without a value"));
                    };
                    pairs.push((key, value));
                }
                Node::Map(pairs)
            }
            _ => return Err(wrong(line, "a value is missing")),
        };
        Ok(Placed { line, value })
    }

    /// A text within a list or mapping; `None` at the end of a list.
    fn item(&mut self) -> Result<Option<Placed<String>>, Wrong> {
        match self.next()? {
            (_, Event::SequenceEnd) => Ok(None),
            (line, Event::Scalar(text, ..)) => Ok(Some(Placed { line, value: text.into_owned() })),
            (line, _) => Err(wrong(line, "this is nested too deep; expected a text")),
        }
    }
}

/// Whether a scalar is YAML's nothing.
fn is_null(text: &str, style: ScalarStyle) -> bool {
    style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The parser's words, with what usually helps.
fn hint(info: &str) -> String {
    if info.contains("mapping values") {
        return format!("{info}; a text with `: ` in it takes quotes");
    }
    info.to_owned()
}
