//! A result that comes in pieces.

use std::collections::BTreeMap;

use executus_core::text::REDACTED;
use serde_json::{Map, Value};

use super::known::{Known, hides, is_pair, pair_value};
use super::limits::Limits;
use super::redact::{Redactor, insert};
use super::rows::Narrow;
use super::running::Running;
use super::scan::Scanner;
use super::show::{Left, Show};
use super::{FirewallError, ScreenChunks};
use crate::frame::{Frame, Mode};

/// The texts of a stream that are followed from piece to piece.
const TEXTS: usize = 64;
/// The fields whose ends are remembered.
const ENDS: usize = 256;
/// How much of an end is remembered, in bytes.
const END: usize = 256;

/// Where a text stands in a piece.
type Path = Vec<Step>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(String),
    Item(usize),
}

/// The firewall's view of one stream.
#[derive(Debug)]
pub(super) struct Chunks {
    limits: Limits,
    narrow: Narrow,
    /// What every frame begins as.
    empty: Frame,
    left: Left,
    texts: Texts,
    /// The values of sensitive fields so far: few sets, each much larger than the next.
    known: Vec<Known<'static>>,
    known_bytes: usize,
    ended: bool,
}

impl Chunks {
    pub(super) fn new(limits: &Limits, narrow: Narrow, empty: Frame, rows: usize) -> Self {
        Self {
            narrow,
            empty,
            left: Left::new(limits, rows),
            texts: Texts::default(),
            known: Vec::new(),
            known_bytes: 0,
            ended: false,
            limits: limits.clone(),
        }
    }

    /// Learns what is secret in a piece. Whether there is room to remember it.
    fn learn(&mut self, chunk: &Value) -> bool {
        let new = Known::of(chunk).owned();
        if new.is_empty() {
            return true;
        }
        let bytes = new.bytes();
        let fits = self.known_bytes + bytes <= self.limits.known_bytes;
        self.known.push(new);
        if fits {
            self.known_bytes += bytes;
            while let [.., one, other] = self.known.as_slice()
                && one.len() <= 2 * other.len()
            {
                let other = self.known.pop().unwrap_or_default();
                let one = self.known.pop().unwrap_or_default();
                self.known.push(one.merged(other));
            }
        }
        fits
    }

    fn frame(&mut self, chunk: &Value, is_final: bool) -> Frame {
        let mut frame = self.empty.clone();
        frame.is_final = is_final;
        let fits = self.learn(chunk);
        if !fits {
            frame
                .warnings
                .push("secrets of this piece are not looked for in later ones".to_owned());
        }
        let scoped = self.narrow.in_scope(chunk);
        if scoped.is_some() {
            frame.warnings.push("rows outside of the scope are not shown".to_owned());
        }
        let chunk = scoped.as_ref().unwrap_or(chunk);
        let mut reader = Reader {
            texts: &mut self.texts,
            limits: &self.limits,
            redactor: Redactor::new(&self.known, self.limits.depth),
            is_final,
        };
        let mut value = reader.value(chunk, &mut Path::new(), false);
        if is_final {
            reader.end(&mut value);
        }
        let mut redactor = reader.redactor;
        // What is scrubbed again once it is parted would depend on where that was.
        redactor.scanner.is_done = true;
        let narrow = Narrow { scope: BTreeMap::new(), ..self.narrow.clone() };
        let show = Show { limits: &self.limits, narrow: &narrow, redactor, left: &mut self.left };
        match &value {
            Value::Null if chunk.is_null() => {}
            // A running text goes on as it is, without a word about it.
            Value::String(text) if frame.mode == Mode::Summary => show.piece(text, &mut frame),
            value => show.fill(value, &mut frame),
        }
        if !fits {
            self.known.pop();
        }
        frame
    }
}

impl ScreenChunks for Chunks {
    fn push(&mut self, chunk: &Value, is_final: bool) -> Result<Frame, FirewallError> {
        if self.ended {
            return Err(FirewallError::Ended);
        }
        self.ended = is_final;
        Ok(self.frame(chunk, is_final))
    }

    fn finish(&mut self) -> Result<Frame, FirewallError> {
        self.push(&Value::Null, true)
    }
}

/// The texts that go on from one piece to the next.
#[derive(Debug, Default)]
struct Texts {
    /// Those whose tail is held back.
    running: BTreeMap<Path, Running>,
    /// How the others ended.
    ends: BTreeMap<Path, String>,
}

/// Copies a piece without what is sensitive, in it or in what it goes on with.
struct Reader<'r, 's, 'a> {
    texts: &'r mut Texts,
    limits: &'r Limits,
    redactor: Redactor<'s, 'a>,
    is_final: bool,
}

impl Reader<'_, '_, '_> {
    /// The piece with its running texts as far as they can be shown.
    fn value(&mut self, value: &Value, path: &mut Path, running: bool) -> Value {
        match value {
            Value::String(text) if path.is_empty() || running => self.running(text, path).into(),
            Value::String(text) => self.ending(text, path).into(),
            Value::Array(items) if path.len() <= self.limits.depth => {
                let items = items.iter().enumerate().map(|(at, item)| match pair_value(item) {
                    Some(_) => self.redactor.item(item, path.len() + 1),
                    None => self.step(Step::Item(at), item, path, false),
                });
                items.collect()
            }
            Value::Object(fields) if path.len() <= self.limits.depth => {
                self.object(fields, path).into()
            }
            other => self.redactor.value(other, path.len()),
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, path: &mut Path) -> Map<String, Value> {
        let pair = is_pair(fields);
        let mut shown = Map::new();
        for (name, item) in fields {
            let value = if hides(name, item, pair) {
                self.redactor.field(name, item, pair, path.len() + 1)
            } else {
                let runs = self.runs(name, path);
                self.step(Step::Field(name.clone()), item, path, runs)
            };
            insert(&mut shown, self.redactor.scanner.scrub(name).into_owned(), value);
        }
        shown
    }

    /// Whether the text of a field goes on from piece to piece.
    fn runs(&self, name: &str, path: &Path) -> bool {
        let listed = path.iter().any(|step| matches!(step, Step::Item(_)));
        let delta = || path.iter().any(|step| *step == Step::Field("delta".to_owned()));
        self.limits.running.iter().any(|running| running == name) && (!listed || delta())
    }

    fn step(&mut self, step: Step, item: &Value, path: &mut Path, running: bool) -> Value {
        path.push(step);
        let value = self.value(item, path, running);
        path.pop();
        value
    }

    fn running(&mut self, text: &str, path: &Path) -> String {
        if !self.texts.running.contains_key(path) && self.texts.running.len() >= TEXTS {
            return self.ending(text, path);
        }
        let scanner = &mut self.redactor.scanner;
        let running = self.texts.running.entry(path.clone()).or_default();
        let mut shown = running.push(text, self.limits.held_bytes, scanner);
        if self.is_final {
            shown += &running.finish(scanner);
            self.texts.running.remove(path);
        }
        shown
    }

    /// A text that is whole by itself, as it seems. If what is sensitive goes on from the last piece
    /// into it, that much is replaced.
    fn ending(&mut self, text: &str, path: &Path) -> String {
        let scanner = &mut self.redactor.scanner;
        let full = self.texts.ends.len() >= ENDS;
        let Some(end) = self.texts.ends.get_mut(path) else {
            if !full {
                self.texts.ends.insert(path.clone(), last(text));
            }
            return scanner.scrub(text).into_owned();
        };
        let joined = format!("{end}{text}");
        let from = end.len();
        *end = last(&joined);
        let spans = scanner.spans(&joined).unwrap_or_default();
        let over = spans.iter().find(|span| span.start < from && span.end > from);
        match over.map(|span| span.end - from) {
            Some(len) => {
                scanner.replaced += 1;
                format!("{REDACTED}{}", scanner.scrub(&text[len..]))
            }
            None => scanner.scrub(text).into_owned(),
        }
    }

    /// Adds what was held back.
    fn end(&mut self, value: &mut Value) {
        for (path, mut text) in std::mem::take(&mut self.texts.running) {
            let rest = text.finish(&mut self.redactor.scanner);
            put(value, &path, &rest, &mut self.redactor.scanner);
        }
    }
}

/// The end of a text.
fn last(text: &str) -> String {
    text[text.ceil_char_boundary(text.len().saturating_sub(END))..].to_owned()
}

/// Puts what was held back where it would have stood.
fn put(value: &mut Value, path: &[Step], text: &str, scanner: &mut Scanner<'_, '_>) {
    if text.is_empty() {
        return;
    }
    match path {
        [] => *value = Value::from(text),
        [Step::Field(name), rest @ ..] => {
            if !value.is_object() {
                *value = Value::Object(Map::new());
            }
            if let Value::Object(fields) = value {
                let name = scanner.scrub(name).into_owned();
                put(fields.entry(name).or_insert(Value::Null), rest, text, scanner);
            }
        }
        [Step::Item(at), rest @ ..] => {
            if !value.is_array() {
                *value = Value::Array(Vec::new());
            }
            if let Value::Array(items) = value {
                // Where there were fewer items this time, it comes behind them.
                let at = (*at).min(items.len());
                if at == items.len() {
                    items.push(Value::Null);
                }
                put(&mut items[at], rest, text, scanner);
            }
        }
    }
}
