//! Strict reading of TOML tables: every mistake is noted with its place, none stops the reading.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Problem, listed};
use crate::duration::{DURATION, parse_duration};
use crate::literal::source_offset;
use crate::name::{NAME, is_name, nearest};

/// The text being read, and what is wrong with it so far: of each sort, what stands first.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    /// Mistakes of one place alone: syntax, types, keys.
    first_problem: Option<Problem>,
    /// Mistakes between two places: they count only when the places themselves are right.
    first_reference: Option<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, first_problem: None, first_reference: None }
    }

    pub(crate) fn problem(
        &mut self,
        at: usize,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        keep_first(&mut self.first_problem, Problem::new(at, message, expected));
    }

    pub(crate) fn bad_reference(
        &mut self,
        at: usize,
        message: impl Into<String>,
        expected: impl Into<String>,
    ) {
        keep_first(&mut self.first_reference, Problem::new(at, message, expected));
    }

    /// The first mistake in the file, if there is one.
    pub(crate) fn finish(self) -> Option<Problem> {
        self.first_problem.or(self.first_reference)
    }

    /// Whether a mistake at this place could still be the one that is told.
    pub(crate) fn cares_for(&self, at: usize) -> bool {
        self.first_reference.as_ref().is_none_or(|first| at < first.at)
    }
}

fn keep_first(first: &mut Option<Problem>, problem: Problem) {
    // Of several at one place the earliest noted one stays.
    if first.as_ref().is_none_or(|first| problem.at < first.at) {
        *first = Some(problem);
    }
}

/// A table, its entries in file order.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    /// What the table is, for diagnostics: `[[tool]]`.
    title: String,
    pub(crate) at: usize,
    entries: Vec<Item<'a>>,
}

impl<'a> Section<'a> {
    /// A table of any keys.
    pub(crate) fn free(
        reader: &Reader<'a>,
        title: impl Into<String>,
        at: usize,
        table: &'a DeTable<'a>,
    ) -> Self {
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| Item {
                key: key.get_ref(),
                key_at: key.span().start,
                at: value.span().start,
                raw: reader.text.get(value.span()).unwrap_or_default(),
                value: value.get_ref(),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_at);
        Self { title: title.into(), at, entries }
    }

    /// A table that has only `known` keys.
    pub(crate) fn strict(
        reader: &mut Reader<'a>,
        title: impl Into<String>,
        at: usize,
        table: &'a DeTable<'a>,
        known: &[&str],
    ) -> Self {
        let section = Self::free(reader, title, at, table);
        section.allow(reader, known);
        section
    }

    /// Notes every key that is not one of `known`.
    pub(crate) fn allow(&self, reader: &mut Reader<'a>, known: &[&str]) {
        for entry in self.entries.iter().filter(|entry| !known.contains(&entry.key)) {
            let list = listed(known.iter().copied());
            let expected = match nearest(entry.key, known.iter().copied()) {
                Some(meant) => format!("`{meant}`, or another of {list}"),
                None => format!("one of {list}"),
            };
            let message = format!("unknown key `{}` in {}", entry.key, self.title);
            reader.problem(entry.key_at, message, expected);
        }
    }

    pub(crate) fn entries(&self) -> &[Item<'a>] {
        &self.entries
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Item<'a>> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Whether the key is there, rightly or wrongly spelt.
    pub(crate) fn means(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| nearest(entry.key, [key]).is_some())
    }

    /// The entry with this key; its absence is a mistake at the table's place.
    pub(crate) fn require(
        &self,
        reader: &mut Reader<'a>,
        key: &str,
        expected: &str,
    ) -> Option<&Item<'a>> {
        let found = self.get(key);
        // A misspelt key is told as such, at its own place.
        if !self.means(key) {
            let message = format!("{} has no `{key}`", self.title);
            reader.problem(self.at, message, format!("`{key}` = {expected}"));
        }
        found
    }
}

/// A key or an array element and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) key: &'a str,
    pub(crate) key_at: usize,
    pub(crate) at: usize,
    raw: &'a str,
    pub(crate) value: &'a DeValue<'a>,
}

/// A text and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) value: &'a str,
    pub(crate) at: usize,
    raw: &'a str,
}

impl Text<'_> {
    /// The place of the character at byte `decoded` of the value.
    pub(crate) fn offset(&self, decoded: usize) -> usize {
        self.at + source_offset(self.raw, decoded)
    }
}

impl<'a> Item<'a> {
    /// Notes that the value has the wrong type.
    pub(crate) fn mistyped(&self, reader: &mut Reader<'a>, expected: impl Into<String>) {
        let message = format!("`{}` is {}", self.key, kind_of(self.value));
        reader.problem(self.at, message, expected);
    }

    pub(crate) fn text(&self, reader: &mut Reader<'a>, expected: &str) -> Option<Text<'a>> {
        if let DeValue::String(text) = self.value {
            return Some(Text { value: text, at: self.at, raw: self.raw });
        }
        self.mistyped(reader, expected);
        None
    }

    /// A text that must not be empty.
    pub(crate) fn filled(&self, reader: &mut Reader<'a>, expected: &str) -> Option<Text<'a>> {
        let text = self.text(reader, expected)?;
        if text.value.trim().is_empty() {
            reader.problem(self.at, format!("`{}` is empty", self.key), expected);
            return None;
        }
        Some(text)
    }

    /// A text that is a name.
    pub(crate) fn name(&self, reader: &mut Reader<'a>) -> Option<Text<'a>> {
        let text = self.text(reader, NAME)?;
        if !is_name(text.value) {
            reader.problem(self.at, format!("`{}` is no name", text.value), NAME);
            return None;
        }
        Some(text)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, reader: &mut Reader<'a>, words: &[(&str, T)]) -> Option<T> {
        let list = listed(words.iter().map(|(word, _)| *word));
        let text = self.text(reader, &format!("one of {list}"))?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let expected = match nearest(text.value, words.iter().map(|(word, _)| *word)) {
                Some(meant) => format!("`{meant}`, or another of {list}"),
                None => format!("one of {list}"),
            };
            reader.problem(self.at, format!("unknown {} `{}`", self.key, text.value), expected);
        }
        found.map(|(_, value)| *value)
    }

    pub(crate) fn boolean(&self, reader: &mut Reader<'a>) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.mistyped(reader, "true or false");
        }
        value
    }

    pub(crate) fn duration(&self, reader: &mut Reader<'a>) -> Option<std::time::Duration> {
        let text = self.text(reader, DURATION)?;
        let duration = parse_duration(text.value);
        if duration.is_none() {
            reader.problem(self.at, format!("`{}` is no duration", text.value), DURATION);
        }
        duration
    }

    /// A whole number above zero that fits `T`.
    pub(crate) fn positive<T: TryFrom<i64>>(&self, reader: &mut Reader<'a>) -> Option<T> {
        let DeValue::Integer(integer) = self.value else {
            self.mistyped(reader, "a whole number above zero");
            return None;
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix());
        let message = || format!("`{}` is {integer}", self.key);
        if value.as_ref().is_ok_and(|value| *value <= 0) || integer.as_str().starts_with('-') {
            reader.problem(self.at, message(), "a whole number above zero");
            return None;
        }
        let value = value.ok().and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            reader.problem(self.at, message(), "a smaller number");
        }
        value
    }

    /// A whole number from zero up to this one.
    pub(crate) fn count(&self, reader: &mut Reader<'a>, most: u32) -> Option<u32> {
        let expected = format!("a whole number from 0 to {most}");
        let DeValue::Integer(integer) = self.value else {
            self.mistyped(reader, expected);
            return None;
        };
        let value = u32::from_str_radix(integer.as_str(), integer.radix());
        let value = value.ok().filter(|value| *value <= most);
        if value.is_none() {
            reader.problem(self.at, format!("`{}` is {integer}", self.key), expected);
        }
        value
    }

    pub(crate) fn table(&self, reader: &mut Reader<'a>, expected: &str) -> Option<&'a DeTable<'a>> {
        if let DeValue::Table(table) = self.value {
            return Some(table);
        }
        self.mistyped(reader, expected);
        None
    }

    pub(crate) fn array(&self, reader: &mut Reader<'a>, expected: &str) -> Option<Vec<Self>> {
        let DeValue::Array(elements) = self.value else {
            self.mistyped(reader, expected);
            return None;
        };
        Some(elements.iter().map(|element| self.element(reader, element)).collect())
    }

    fn element(&self, reader: &Reader<'a>, element: &'a Spanned<DeValue<'a>>) -> Self {
        Item {
            key: self.key,
            key_at: element.span().start,
            at: element.span().start,
            raw: reader.text.get(element.span()).unwrap_or_default(),
            value: element.get_ref(),
        }
    }
}

/// What a value is, for diagnostics.
const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
