//! Fills frames: what each mode shows of a value, within what may still be shown.

use serde_json::{Map, Value};

use super::known::is_pair;
use super::limits::Limits;
use super::redact::Redactor;
use super::rows::{Narrow, Rows, row};
use super::size::{json_bytes, row_bytes};
use super::summary;
use crate::frame::{Frame, Mode};

/// What the frames of one result may still show.
#[derive(Debug, Clone)]
pub(super) struct Left {
    rows: usize,
    table_bytes: usize,
    characters: usize,
    raw_bytes: usize,
}

impl Left {
    pub(super) const fn new(limits: &Limits, rows: usize) -> Self {
        Self {
            rows,
            table_bytes: limits.table_bytes,
            characters: limits.characters,
            raw_bytes: limits.raw_bytes,
        }
    }
}

/// Shows one value.
pub(super) struct Show<'c, 's, 'a> {
    pub(super) limits: &'c Limits,
    pub(super) narrow: &'c Narrow,
    pub(super) redactor: Redactor<'s, 'a>,
    pub(super) left: &'c mut Left,
}

impl Show<'_, '_, '_> {
    /// Fills the frame as its mode says.
    pub(super) fn fill(mut self, value: &Value, frame: &mut Frame) {
        match frame.mode {
            Mode::HandleOnly => return,
            Mode::Summary => self.summary(value, frame),
            Mode::Table => self.table(value, frame),
            Mode::Raw => self.raw(value, frame),
        }
        self.warn(value, &mut frame.warnings);
    }

    /// A piece of a running text, which was scrubbed.
    pub(super) fn piece(mut self, text: &str, frame: &mut Frame) {
        if !text.is_empty() && self.narrow.is_open() {
            self.within_characters(vec![text.to_owned()], frame);
        }
        self.warn(&Value::from(text), &mut frame.warnings);
    }

    fn summary(&mut self, value: &Value, frame: &mut Frame) {
        let facts = summary::facts(value, &mut self.redactor, self.narrow, self.limits);
        if let Value::String(text) = value
            && text.len() > self.limits.characters
        {
            let count = text.chars().count();
            frame.warnings.push(format!("the text has {count} characters; its beginning is shown"));
        }
        self.within_characters(facts, frame);
    }

    /// Shows facts, each whole or not at all, while there are characters left.
    fn within_characters(&mut self, facts: Vec<String>, frame: &mut Frame) {
        let count = facts.len();
        for fact in facts {
            let characters = fact.chars().count();
            // What is left after a fact that was too long is not for later ones: none is skipped.
            let Some(left) = self.left.characters.checked_sub(characters) else {
                self.left.characters = 0;
                break;
            };
            self.left.characters = left;
            frame.facts.push(fact);
        }
        let dropped = count - frame.facts.len();
        if dropped > 0 {
            let most = self.limits.characters;
            frame.warnings.push(format!("{dropped} facts do not fit into {most} characters"));
        }
    }

    fn table(&mut self, value: &Value, frame: &mut Frame) {
        let rows = Rows::of(value);
        let mut wide = 0;
        let mut admitted = 0;
        for item in rows.items.iter().filter(|item| self.narrow.admits(item)) {
            admitted += 1;
            if frame.rows.len() == self.left.rows || self.left.table_bytes == 0 {
                continue;
            }
            let fields = row(item);
            let shown = self.row(item, &fields);
            if shown.is_empty() && !fields.is_empty() {
                continue;
            }
            wide = wide.max(fields.keys().filter(|name| self.narrow.allows(name)).count());
            match self.left.table_bytes.checked_sub(row_bytes(&shown)) {
                Some(left) => {
                    self.left.table_bytes = left;
                    frame.rows.push(shown);
                }
                None => self.left.table_bytes = 0,
            }
        }
        let shown = frame.rows.len();
        self.left.rows -= shown;
        if shown < admitted {
            frame.warnings.push(format!("{shown} of {admitted} rows are shown"));
        }
        if wide > self.limits.fields {
            let most = self.limits.fields;
            frame.warnings.push(format!("{most} of up to {wide} fields of a row are shown"));
        }
    }

    /// The first fields of a row that may be seen: in the order of the constraint, if there is one.
    fn row(&mut self, item: &Value, fields: &Map<String, Value>) -> Map<String, Value> {
        let pair = is_pair(fields);
        let names: Vec<&str> = match &self.narrow.fields {
            Some(allowed) => allowed.iter().map(String::as_str).collect(),
            None => fields.keys().map(String::as_str).collect(),
        };
        let named = names.into_iter().filter_map(|name| Some((name, fields.get(name)?)));
        let mut shown = Map::new();
        for (name, value) in named.take(self.limits.fields) {
            let value = match item {
                Value::Object(_) => self.redactor.field(name, value, pair, 2),
                _ => self.redactor.item(item, 1),
            };
            let name = self.redactor.scanner.scrub_start(name, self.limits.cell).into_owned();
            super::redact::insert(&mut shown, name, cell(value, self.limits.cell));
        }
        shown
    }

    fn raw(&mut self, value: &Value, frame: &mut Frame) {
        frame.handle = None;
        let most = self.left.raw_bytes;
        let (shown, size) = self.redactor.narrowed(value, self.narrow, most);
        if let Some(left) = most.checked_sub(size.bytes) {
            self.left.raw_bytes = left;
            if size.characters > self.limits.characters {
                frame.warnings.push(format!("the raw result has {} characters", size.characters));
            }
            frame.raw = Some(shown);
            return;
        }
        let mut text = shown.to_string();
        text.truncate(text.floor_char_boundary(most));
        let len = text.len();
        frame.warnings.push(format!("of the raw result {len} bytes are shown, as text"));
        self.left.raw_bytes = 0;
        frame.raw = Some(Value::String(text));
    }

    /// Says what was left out of what was shown.
    fn warn(&self, value: &Value, warnings: &mut Vec<String>) {
        self.redactor.warn(warnings);
        let rows = if self.narrow.is_open() { &[] } else { Rows::of(value).items };
        if !rows.iter().all(|item| self.narrow.admits(item)) {
            warnings.push("rows outside of the scope are not shown".to_owned());
        }
        let seen = |item: &Value| row(item).keys().all(|name| self.narrow.allows(name));
        if self.narrow.fields.is_some() && !rows.iter().all(seen) {
            warnings.push("fields that are not allowed are not shown".to_owned());
        }
    }
}

/// A value that was scrubbed, cut to so many characters or bytes.
pub(crate) fn cell(value: Value, most: usize) -> Value {
    match value {
        Value::String(text) => Value::String(match text.char_indices().nth(most) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }),
        Value::Array(items) if items.iter().map(json_bytes).sum::<usize>() > most => {
            format!("[list of {} items]", items.len()).into()
        }
        Value::Object(fields) if row_bytes(&fields) > most => {
            format!("[object of {} fields]", fields.len()).into()
        }
        other => other,
    }
}
