//! A result that comes in pieces.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::known::{Known, hides, is_pair, pair_value};
use super::limits::Limits;
use super::redact::Redactor;
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
        let mut scanner = Scanner::new(&self.known);
        let mut path = Path::new();
        let mut reader = Reader {
            texts: &mut self.texts,
            limits: &self.limits,
            scanner: &mut scanner,
            is_final,
        };
        let mut value = reader.value(chunk, &mut path, false);
        if is_final {
            for (path, mut text) in std::mem::take(&mut self.texts.running) {
                put(&mut value, &path, &text.finish(&mut scanner));
            }
        }
        let (replaced, withheld) = (scanner.replaced, scanner.withheld);
        let mut redactor = Redactor::new(&self.known, self.limits.depth);
        (redactor.scanner.replaced, redactor.scanner.withheld) = (replaced, withheld);
        let show =
            Show { limits: &self.limits, narrow: &self.narrow, redactor, left: &mut self.left };
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

struct Reader<'r, 's, 'a> {
    texts: &'r mut Texts,
    limits: &'r Limits,
    scanner: &'r mut Scanner<'s, 'a>,
    is_final: bool,
}

impl Reader<'_, '_, '_> {
    /// The piece with its running texts as far as they can be shown.
    fn value(&mut self, value: &Value, path: &mut Path, running: bool) -> Value {
        // What is nested deeper is not shown, nor is what a sensitive field holds: neither is text.
        if path.len() > self.limits.depth {
            return value.clone();
        }
        match value {
            Value::String(text) if path.is_empty() || running => self.running(text, path).into(),
            Value::String(text) => self.ending(text, path).into(),
            Value::Array(items) => {
                let items = items.iter().enumerate().map(|(at, item)| {
                    if pair_value(item).is_some() {
                        return item.clone();
                    }
                    self.step(Step::Item(at), item, path, false)
                });
                items.collect()
            }
            Value::Object(fields) => {
                let pair = is_pair(fields);
                let fields = fields.iter().map(|(name, item)| {
                    if hides(name, item, pair) {
                        return (name.clone(), item.clone());
                    }
                    let runs = self.limits.running.iter().any(|running| running == name);
                    let listed = path.iter().any(|step| matches!(step, Step::Item(_)));
                    let delta = || path.iter().any(|step| *step == Step::Field("delta".to_owned()));
                    let runs = runs && (!listed || delta());
                    (name.clone(), self.step(Step::Field(name.clone()), item, path, runs))
                });
                Value::Object(fields.collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
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
        let running = self.texts.running.entry(path.clone()).or_default();
        let mut shown = running.push(text, self.limits.held_bytes, self.scanner);
        if self.is_final {
            shown += &running.finish(self.scanner);
            self.texts.running.remove(path);
        }
        shown
    }

    /// A text that is whole by itself, as it seems. If what is sensitive goes on from the last piece
    /// into it, that much is replaced.
    fn ending(&mut self, text: &str, path: &Path) -> String {
        let full = self.texts.ends.len() >= ENDS;
        let Some(end) = self.texts.ends.get_mut(path) else {
            if !full {
                self.texts.ends.insert(path.clone(), last(text));
            }
            return text.to_owned();
        };
        let joined = format!("{end}{text}");
        let from = end.len();
        let spans = self.scanner.spans(&joined).unwrap_or_default();
        let over = spans.iter().find(|span| span.start < from && span.end > from);
        let shown = match over.map(|span| span.end - from) {
            Some(len) => {
                let rest = &text[len..];
                self.scanner.replaced += 1;
                format!("{}{rest}", executus_core::text::REDACTED)
            }
            None => text.to_owned(),
        };
        *end = last(&joined);
        shown
    }
}

/// The end of a text.
fn last(text: &str) -> String {
    text[text.ceil_char_boundary(text.len().saturating_sub(END))..].to_owned()
}

/// Puts what was held back where it would have stood.
fn put(value: &mut Value, path: &[Step], text: &str) {
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
                put(fields.entry(name.clone()).or_insert(Value::Null), rest, text);
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
                put(&mut items[at], rest, text);
            }
        }
    }
}
