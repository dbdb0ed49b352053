//! What of a text is sensitive: by what it looks like, and because it is known to be secret.

use std::borrow::Cow;
use std::ops::Range;

use executus_core::text::{REDACTED, credentials};

use serde_json::Number;

use super::decode::{self, Form};
use super::known::Known;

/// What stands for a text that could not be looked through.
pub(crate) const WITHHELD: &str = "[withheld]";

/// How many forms a text is looked for in one within another: an escaped text in base64 in a
/// percent-encoded one.
const FORMS: u8 = 3;
/// The shortest text decoded from base64 that is looked at for what looks sensitive. In a shorter
/// one, of which every word has some, chance would find too much.
const SHORTEST_STRETCH: usize = 12;
/// The shortest run of base64 that holds one.
const PLAIN_RUN: usize = SHORTEST_STRETCH.div_ceil(3) * 4;
/// How many bytes may be decoded for each byte of a text.
const DECODED: usize = 16;

/// Looks through texts, and counts what it has replaced.
#[derive(Debug)]
pub(crate) struct Scanner<'s, 'a> {
    sought: Sought<'s, 'a>,
    /// How many parts were replaced.
    pub(crate) replaced: u64,
    /// How many texts could not be looked through.
    pub(crate) withheld: u64,
    /// Whether all texts have been looked through.
    pub(crate) is_done: bool,
    spans: Vec<Range<usize>>,
}

impl<'s, 'a> Scanner<'s, 'a> {
    pub(crate) fn new(known: &'s [Known<'a>]) -> Self {
        Self {
            sought: Sought::new(known),
            replaced: 0,
            withheld: 0,
            is_done: false,
            spans: Vec::new(),
        }
    }

    /// Whether a number is one of the values that are known to be secret.
    pub(crate) fn hides_number(&self, number: &Number) -> bool {
        let numbers = || self.sought.known.iter().filter(|known| known.has_numbers);
        !self.is_done && numbers().next().is_some() && {
            let text = number.to_string();
            numbers().any(|known| known.holds(&text))
        }
    }

    /// Whether a known value may be going on at the end of the text, in whatever form.
    pub(crate) fn goes_on(&self, text: &[u8]) -> bool {
        self.sought.spaced && self.sought.goes_on(text, 0)
    }

    /// The text with its sensitive parts replaced.
    pub(crate) fn scrub<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        self.scrubbed(text).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    /// The same, without counting: to see what a text will read like.
    pub(crate) fn preview<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let counts = (self.replaced, self.withheld);
        let shown = self.scrub(text);
        (self.replaced, self.withheld) = counts;
        shown
    }

    /// The text with its sensitive parts replaced, if it has any.
    pub(crate) fn scrubbed(&mut self, text: &str) -> Option<String> {
        let once = self.scrubbed_once(text)?;
        // What stands right behind a replaced value may read as a name of its own now.
        let again = if self.sought.known.is_empty() { None } else { self.scrubbed_once(&once) };
        Some(again.unwrap_or(once))
    }

    fn scrubbed_once(&mut self, text: &str) -> Option<String> {
        let Some(spans) = self.spans(text) else {
            self.withheld += 1;
            return Some(WITHHELD.to_owned());
        };
        if spans.is_empty() {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut copied = 0;
        for span in spans {
            out.push_str(&text[copied..span.start]);
            out.push_str(REDACTED);
            copied = span.end;
        }
        out.push_str(&text[copied..]);
        self.replaced += u64::try_from(self.spans.len()).unwrap_or(u64::MAX);
        Some(out)
    }

    /// The first `most` characters of a text with its sensitive parts replaced.
    pub(crate) fn scrub_start<'t>(&mut self, text: &'t str, most: usize) -> Cow<'t, str> {
        /// How far behind what is shown a secret may reach and still be seen whole.
        const REACH: usize = 64 * 1024;
        let looked_at = &text[..text.floor_char_boundary(most.saturating_mul(4) + REACH)];
        let shown = self.scrub(looked_at);
        match shown.char_indices().nth(most) {
            Some((end, _)) => format!("{}…", &shown[..end]).into(),
            None => shown,
        }
    }

    /// Where the sensitive parts are, in order and apart from each other, at character boundaries;
    /// `None` when the text cannot be looked through.
    pub(crate) fn spans(&mut self, text: &str) -> Option<&[Range<usize>]> {
        self.spans.clear();
        if self.is_done {
            return Some(&self.spans);
        }
        let traits = Traits::of(text.as_bytes());
        let may_be_known = text.len() >= self.sought.shortest;
        if may_be_known || !traits.is_plain() || has_run(text.as_bytes(), PLAIN_RUN) {
            let left = text.len().saturating_mul(DECODED).saturating_add(64 * 1024);
            let mut look = Look { sought: self.sought, left };
            if !look.at(text.as_bytes(), Some(text), &traits, 0, &mut self.spans) {
                return None;
            }
            merge(&mut self.spans);
            for span in &mut self.spans {
                span.start = text.floor_char_boundary(span.start);
                span.end = text.ceil_char_boundary(span.end);
            }
        }
        Some(&self.spans)
    }
}

/// What is known to be secret.
#[derive(Debug, Clone, Copy)]
struct Sought<'s, 'a> {
    known: &'s [Known<'a>],
    /// How many bytes the shortest value has.
    shortest: usize,
    /// The shortest run of base64 that is looked into.
    shortest_run: usize,
    /// Whether some value has a separator.
    spaced: bool,
}

impl<'s, 'a> Sought<'s, 'a> {
    fn new(known: &'s [Known<'a>]) -> Self {
        let sets = known.iter().filter(|known| !known.is_empty());
        let shortest = sets.map(|known| known.shortest).min().unwrap_or(usize::MAX);
        // Six bits a digit.
        let shortest_run = PLAIN_RUN.min(shortest.saturating_mul(4).div_ceil(3));
        let spaced = known.iter().any(|known| known.longest_spaced > 0);
        Self { known, shortest, shortest_run, spaced }
    }

    fn goes_on(&self, text: &[u8], forms: u8) -> bool {
        let decoded = |form: Form| form.decode(text).filter(|_| forms < FORMS);
        self.known.iter().any(|known| known.goes_on(text))
            || [Form::Percent, Form::Query, Form::Escaped]
                .into_iter()
                .filter_map(decoded)
                .any(|decoded| self.goes_on(&decoded, forms + 1))
    }
}

/// Sorts spans and makes one of those that touch.
fn merge(spans: &mut Vec<Range<usize>>) {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    spans.dedup_by(|span, last| {
        let touches = span.start <= last.end;
        if touches {
            last.end = last.end.max(span.end);
        }
        touches
    });
}

/// Which characters a text has, so that what cannot be in it is not looked for.
#[derive(Debug, Clone, Copy, Default)]
struct Traits {
    /// A colon or an equals sign.
    assigns: bool,
    space: bool,
    dot: bool,
    at: bool,
    percent: bool,
    backslash: bool,
    plus: bool,
}

impl Traits {
    fn of(text: &[u8]) -> Self {
        let mut traits = Self::default();
        // Each without a branch, for many bytes at once.
        for &byte in text {
            traits.assigns |= (byte == b':') | (byte == b'=');
            traits.space |= byte == b' ';
            traits.dot |= byte == b'.';
            traits.at |= byte == b'@';
            traits.percent |= byte == b'%';
            traits.backslash |= byte == b'\\';
            traits.plus |= byte == b'+';
        }
        traits
    }

    /// Whether nothing can be sensitive in a text but what is known, or in base64.
    const fn is_plain(self) -> bool {
        !(self.assigns | self.space | self.dot | self.at | self.percent | self.backslash)
    }
}

/// Whether so many digits of base64 follow each other.
fn has_run(text: &[u8], len: usize) -> bool {
    let mut end = len;
    while let Some(run) = text.get(end - len..end) {
        match run.iter().rposition(|&byte| !decode::is_base64(byte)) {
            // A run begins behind it at the earliest.
            Some(at) => end += at + 1,
            None => return true,
        }
    }
    false
}

struct Look<'s, 'a> {
    sought: Sought<'s, 'a>,
    /// How many bytes may still be decoded.
    left: usize,
}

impl Look<'_, '_> {
    /// Adds what is sensitive in a text, which stands in so many forms; whether all of it could be
    /// looked at.
    fn at(
        &mut self,
        bytes: &[u8],
        text: Option<&str>,
        traits: &Traits,
        forms: u8,
        out: &mut Vec<Range<usize>>,
    ) -> bool {
        for known in self.sought.known {
            known.find(bytes, out);
        }
        match text {
            Some(text) => patterns(text, traits, 0, out),
            None => stretches(bytes, traits, out),
        }
        if forms == FORMS {
            return true;
        }
        for (form, may) in [
            (Form::Percent, traits.percent),
            (Form::Query, traits.plus && self.sought.spaced),
            (Form::Escaped, traits.backslash),
        ] {
            if may && !self.form(form, bytes, forms, out) {
                return false;
            }
        }
        !has_run(bytes, self.sought.shortest_run) || self.runs(bytes, forms, out)
    }

    fn form(&mut self, form: Form, bytes: &[u8], forms: u8, out: &mut Vec<Range<usize>>) -> bool {
        let Some(decoded) = form.decode(bytes) else { return true };
        let mut inner = Vec::new();
        if !self.decoded(&decoded, forms, &mut inner) {
            return false;
        }
        merge(&mut inner);
        form.origins(bytes, &inner, out);
        true
    }

    /// Looks at what was decoded.
    fn decoded(&mut self, bytes: &[u8], forms: u8, out: &mut Vec<Range<usize>>) -> bool {
        let Some(left) = self.left.checked_sub(bytes.len()) else { return false };
        self.left = left;
        let text = std::str::from_utf8(bytes).ok();
        let text = text.filter(|_| !bytes.iter().any(|&byte| is_control(byte)));
        self.at(bytes, text, &Traits::of(bytes), forms + 1, out)
    }

    /// Looks into each run of base64, from each of its first four digits, as a run may begin before
    /// what is encoded does. Where one has something sensitive in it, all of it is. Most words are
    /// such runs, so what cannot have anything in it is not decoded, or not looked at.
    fn runs(&mut self, bytes: &[u8], forms: u8, out: &mut Vec<Range<usize>>) -> bool {
        let shortest = self.sought.shortest_run;
        let (mut plain, mut inner) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < bytes.len() {
            let len = bytes[at..].iter().take_while(|&&byte| decode::is_base64(byte)).count();
            let run = &bytes[at..at + len];
            let may_be_known = len >= shortest && self.may_be_known(run);
            if may_be_known || len >= PLAIN_RUN {
                for first in 0..4.min(len) {
                    decode::base64(&run[first..], &mut plain);
                    if !may_be_known && !has_stretch(&plain) {
                        continue;
                    }
                    inner.clear();
                    if !self.decoded(&plain, forms, &mut inner) {
                        return false;
                    }
                    if !inner.is_empty() {
                        out.push(at..at + len);
                        break;
                    }
                }
            }
            at += len + 1;
        }
        true
    }

    fn may_be_known(&self, run: &[u8]) -> bool {
        self.sought.known.iter().any(|known| known.may_be_in(decode::base64_values(run)))
    }
}

/// Whether there is a stretch of text in what was decoded.
fn has_stretch(bytes: &[u8]) -> bool {
    let is_plain = |byte: u8| byte.is_ascii() && !is_control(byte);
    let mut end = SHORTEST_STRETCH;
    while let Some(stretch) = bytes.get(end - SHORTEST_STRETCH..end) {
        match stretch.iter().rposition(|&byte| !is_plain(byte)) {
            // A stretch begins behind it at the earliest.
            Some(at) => end += at + 1,
            None => return true,
        }
    }
    false
}

/// Adds what looks sensitive in a text that stands at `from`.
fn patterns(text: &str, traits: &Traits, from: usize, out: &mut Vec<Range<usize>>) {
    let shift = |span: Range<usize>| span.start + from..span.end + from;
    // Without an assignment it takes one of a few words.
    let introduced = || {
        text.bytes()
            .zip(1..)
            .any(|(byte, next)| byte == b' ' && introduces(&text.as_bytes()[..next]))
    };
    if traits.assigns || (traits.space && introduced()) || (traits.dot && text.contains("eyJ")) {
        out.extend(credentials(text).map(shift));
    }
    if traits.at {
        out.extend(Mails { text: text.as_bytes(), at: 0 }.map(shift));
    }
}

/// Whether a text ends with a word, and a space, that a credential may follow.
fn introduces(text: &[u8]) -> bool {
    let word = &text[..text.len() - 1];
    let ends = |end: &[u8]| {
        word.len() >= end.len() && word[word.len() - end.len()..].eq_ignore_ascii_case(end)
    };
    ends(b"bearer") || ends(b"basic") || ends(b"-----begin")
}

/// The same in what is no text as a whole, such as one that was decoded from the wrong place on.
fn stretches(bytes: &[u8], traits: &Traits, out: &mut Vec<Range<usize>>) {
    let mut from = 0;
    for stretch in bytes.split(|&byte| !byte.is_ascii() || is_control(byte)) {
        if stretch.len() >= SHORTEST_STRETCH
            && let Ok(text) = std::str::from_utf8(stretch)
        {
            patterns(text, traits, from, out);
        }
        from += stretch.len() + 1;
    }
}

const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t')
}

/// The e-mail addresses of a text.
struct Mails<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Mails<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let is_local = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || byte >= 0x80
                || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
        };
        let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'-';
        loop {
            let from = self.at;
            let sign = from + self.text[from..].iter().position(|&byte| byte == b'@')?;
            self.at = sign + 1;
            let host = &self.text[sign + 1..];
            let len = host.iter().take_while(|&&byte| is_label(byte) || byte == b'.').count();
            let host = &host[..len];
            let local = self.text[from..sign].iter().rev().take_while(|&&byte| is_local(byte));
            let local = local.count();
            // A full stop may end the sentence, and a name of one letter is no top level.
            let mut host = host;
            while let Some(dot) = host.iter().rposition(|&byte| byte == b'.')
                && host.len() < dot + 3
            {
                host = &host[..dot];
            }
            let mut labels = host.rsplit(|&byte| byte == b'.');
            let top = labels.next().is_some_and(|label| label.len() >= 2);
            if local > 0 && top && labels.next().is_some_and(|label| !label.is_empty()) {
                self.at = sign + 1 + host.len();
                return Some(sign - local..self.at);
            }
        }
    }
}

#[cfg(test)]
#[path = "scan/tests.rs"]
mod tests;
