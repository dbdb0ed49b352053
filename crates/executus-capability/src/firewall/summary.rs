//! A result in a few words.

use serde_json::{Map, Value};

use super::known::{hides, is_pair};
use super::limits::Limits;
use super::redact::Redactor;
use super::rows::{Narrow, Rows, row};

/// How many different texts of a field are named.
const NAMED: usize = 5;
/// Characters of a text in a list of texts, and of a name.
const WORD: usize = 80;
/// Characters of a text that stands for itself.
const TEXT: usize = 400;

/// What a result says: at most as many facts as the limits allow, of which the last one says how
/// many there would be more.
pub(super) fn facts(
    value: &Value,
    redactor: &mut Redactor<'_, '_>,
    narrow: &Narrow,
    limits: &Limits,
) -> Vec<String> {
    let mut facts = Facts { kept: Vec::new(), most: limits.facts, dropped: 0 };
    let rows = Rows::of(value);
    if let (true, Value::String(text)) = (narrow.is_open(), value) {
        let text = redactor.scanner.scrub_start(text, limits.characters.saturating_sub(1));
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            facts.add(|| line.to_owned());
        }
    } else if rows.is_list {
        list(rows, redactor, narrow, limits, &mut facts);
    } else {
        match rows.items.first().filter(|item| narrow.admits(item)) {
            Some(item) => object(&row(item), redactor, |name| narrow.allows(name), &mut facts),
            None => facts.add(|| "no result".to_owned()),
        }
    }
    facts.finish()
}

/// Facts, the first ones of which are kept.
struct Facts {
    kept: Vec<String>,
    most: usize,
    dropped: usize,
}

impl Facts {
    fn add(&mut self, fact: impl FnOnce() -> String) {
        if self.kept.len() < self.most {
            self.kept.push(fact());
        } else {
            self.dropped += 1;
        }
    }

    fn finish(mut self) -> Vec<String> {
        if self.dropped > 0
            && let Some(last) = self.kept.last_mut()
        {
            *last = format!("{} more facts are not shown", self.dropped + 1);
        }
        self.kept
    }
}

fn object(
    fields: &Map<String, Value>,
    redactor: &mut Redactor<'_, '_>,
    allows: impl Fn(&str) -> bool,
    facts: &mut Facts,
) {
    let pair = is_pair(fields);
    for (name, value) in fields.iter().filter(|(name, _)| allows(name)) {
        facts.add(|| {
            let called = redactor.scanner.scrub_start(name, WORD).into_owned();
            format!("{called}: {}", told(name, value, pair, redactor))
        });
    }
}

/// The value of a field in words.
fn told(name: &str, value: &Value, pair: bool, redactor: &mut Redactor<'_, '_>) -> String {
    match value {
        Value::Array(items) if !hides(name, value, pair) => format!("{} items", items.len()),
        Value::Object(fields) if !hides(name, value, pair) => format!("{} fields", fields.len()),
        Value::String(text) if !hides(name, value, pair) => {
            redactor.scanner.scrub_start(text, TEXT).into_owned()
        }
        _ => match redactor.field(name, value, pair, 1) {
            Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

fn list(
    rows: Rows<'_>,
    redactor: &mut Redactor<'_, '_>,
    narrow: &Narrow,
    limits: &Limits,
    facts: &mut Facts,
) {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let mut count = 0_usize;
    let mut more = false;
    for item in rows.items.iter().filter(|item| narrow.admits(item)) {
        count += 1;
        let mut see = |at: usize, name, value, pair| {
            // Rows mostly have the same fields in the same order.
            let known = fields.get(at).is_some_and(|field| field.name == name);
            let at = if known { Some(at) } else { fields.iter().position(|f| f.name == name) };
            match at {
                Some(at) => fields[at].see(value, pair),
                None if fields.len() < limits.fields => {
                    fields.push(Field::new(name));
                    if let Some(field) = fields.last_mut() {
                        field.see(value, pair);
                    }
                }
                None => more = true,
            }
        };
        match item {
            Value::Object(items) => {
                let pair = is_pair(items);
                let seen = items.iter().filter(|(name, _)| narrow.allows(name));
                for (at, (name, value)) in seen.enumerate() {
                    see(at, name.as_str(), value, pair);
                }
            }
            other if narrow.allows(super::rows::VALUE) => see(0, super::rows::VALUE, other, false),
            _ => {}
        }
    }
    facts.add(|| format!("{count} rows"));
    if !fields.is_empty() {
        let names = fields.iter().map(|field| field.name);
        let names: Vec<_> =
            names.map(|name| redactor.scanner.scrub_start(name, WORD).into_owned()).collect();
        let more = if more { " and more" } else { "" };
        facts.add(|| format!("fields: {}{more}", names.join(", ")));
    }
    for field in &fields {
        facts.add(|| field.told(redactor));
    }
    if let (Some((around, list)), true) = (rows.around, narrow.scope.is_empty()) {
        object(around, redactor, |name| name != list && narrow.allows(name), facts);
    }
}

/// What the values of a field have in common.
struct Field<'v> {
    name: &'v str,
    hidden: usize,
    texts: usize,
    /// The first different texts, and how often each stands there.
    named: Vec<(&'v str, usize)>,
    more: bool,
    numbers: usize,
    least: Option<&'v Value>,
    greatest: Option<&'v Value>,
    yes: usize,
    no: usize,
    lists: usize,
    objects: usize,
}

impl<'v> Field<'v> {
    const fn new(name: &'v str) -> Self {
        Self {
            name,
            hidden: 0,
            texts: 0,
            named: Vec::new(),
            more: false,
            numbers: 0,
            least: None,
            greatest: None,
            yes: 0,
            no: 0,
            lists: 0,
            objects: 0,
        }
    }

    fn see(&mut self, value: &'v Value, pair: bool) {
        if hides(self.name, value, pair) {
            self.hidden += 1;
            return;
        }
        match value {
            Value::Null => {}
            Value::Bool(true) => self.yes += 1,
            Value::Bool(false) => self.no += 1,
            Value::Array(_) => self.lists += 1,
            Value::Object(_) => self.objects += 1,
            Value::String(text) => {
                self.texts += 1;
                match self.named.iter().position(|(named, _)| named == text) {
                    Some(at) => self.named[at].1 += 1,
                    None if self.named.len() < NAMED => self.named.push((text, 1)),
                    None => self.more = true,
                }
            }
            Value::Number(_) => {
                self.numbers += 1;
                let less = |one: &Value, other: &Value| one.as_f64() < other.as_f64();
                if self.least.is_none_or(|least| less(value, least)) {
                    self.least = Some(value);
                }
                if self.greatest.is_none_or(|greatest| less(greatest, value)) {
                    self.greatest = Some(value);
                }
            }
        }
    }

    fn told(&self, redactor: &mut Redactor<'_, '_>) -> String {
        let mut parts = Vec::new();
        let mut part = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        part(self.hidden, "sensitive values");
        part(self.yes, "true");
        part(self.no, "false");
        part(self.lists, "lists");
        part(self.objects, "objects");
        if self.hidden > 0 {
            redactor.scanner.replaced += 1;
        }
        if let (Some(least), Some(greatest)) = (self.least, self.greatest) {
            let mut told = |value| match redactor.value(value, 0) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            let (least, greatest) = (told(least), told(greatest));
            parts.push(format!("{} numbers from {least} to {greatest}", self.numbers));
        }
        if self.more {
            parts.push(format!("{} texts, more than {NAMED} different ones", self.texts));
        } else {
            for (text, count) in &self.named {
                let text = redactor.scanner.scrub_start(text, WORD);
                parts.push(if self.texts == 1 {
                    text.into_owned()
                } else {
                    format!("{count} × {text}")
                });
            }
        }
        let name = redactor.scanner.scrub_start(self.name, WORD);
        match parts.is_empty() {
            true => format!("{name}: nothing"),
            false => format!("{name}: {}", parts.join(", ")),
        }
    }
}
