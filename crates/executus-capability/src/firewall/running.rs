//! A text that comes in pieces: what is certain to hold no part of a secret goes on, the rest is
//! held back.
//!
//! The text is parted behind white space and commas, wherever what stands before is *closed*: nothing
//! sensitive can begin in it and end behind it. Each part is scrubbed by itself. Whether a part is
//! closed depends on the part alone, so what comes out does not depend on how the text was cut.

use executus_core::text::is_sensitive_name;

use super::known::is_separator;
use super::scan::{Scanner, WITHHELD};

/// What opens and closes private keys.
const FENCE: &str = "-----";
/// How a private key begins.
const KEY: &str = "-----BEGIN";
/// The longest label of one, with room.
const LABEL: usize = 80;
/// How far back something may be opened that needs a value behind it.
const CONTEXT: usize = 256;

/// One text.
#[derive(Debug, Default)]
pub(super) struct Running {
    held: String,
    /// How much of it was looked at for a place to part.
    looked: usize,
    /// Where to look next, so that a part that stays open is not looked through again and again.
    next: usize,
    /// What is left out now, since too much was held back.
    skip: Option<Skip>,
}

/// Where showing goes on.
#[derive(Debug, Clone, Copy)]
enum Skip {
    /// Behind the word that has begun, or that begins next.
    Word { begun: bool },
    /// At the quote that closes a value.
    Quote { mark: u8, is_plain: bool, escaped: bool },
    /// At the end of a private key.
    Fence,
    /// Nowhere.
    Rest,
}

impl Running {
    /// Takes a piece in; gives what can be shown now. At most `most` bytes are held back.
    pub(super) fn push(
        &mut self,
        piece: &str,
        most: usize,
        scanner: &mut Scanner<'_, '_>,
    ) -> String {
        self.held.push_str(piece);
        let mut shown = String::new();
        let mut held = std::mem::take(&mut self.held);
        let mut from = 0;
        loop {
            let rest = &held[from..];
            if let Some(skip) = &mut self.skip {
                let (len, ends) = skip.pass(rest);
                from += len;
                if !ends {
                    break;
                }
                self.skip = None;
            } else if let Some(len) = self.part(rest, most, scanner) {
                shown.push_str(&scanner.scrub(&rest[..len]));
                from += len;
            } else if rest.len() > most {
                let len = rest.floor_char_boundary(most);
                self.skip = Some(Skip::after(&rest[..len], scanner));
                scanner.withheld += 1;
                shown.push_str(WITHHELD);
                from += len;
            } else {
                break;
            }
            (self.looked, self.next) = (0, 0);
        }
        held.drain(..from);
        self.held = held;
        shown
    }

    /// The rest, when no more comes.
    pub(super) fn finish(&mut self, scanner: &mut Scanner<'_, '_>) -> String {
        let rest = std::mem::take(self);
        if rest.skip.is_some() { String::new() } else { scanner.scrub(&rest.held).into_owned() }
    }

    /// The length of the first part, if it is known.
    fn part(&mut self, text: &str, most: usize, scanner: &mut Scanner<'_, '_>) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = self.looked.max(1);
        while at < bytes.len() && at <= most {
            let may_part = is_separator(bytes[at - 1]) && !is_separator(bytes[at]);
            if may_part && at >= self.next {
                if is_closed(&text[..at], scanner) {
                    return Some(at);
                }
                self.next = at + at / 4 + 1;
            }
            at += 1;
        }
        self.looked = at;
        None
    }
}

impl Skip {
    /// How to go on after what was not closed and became too long.
    fn after(text: &str, scanner: &mut Scanner<'_, '_>) -> Self {
        if scanner.goes_on(text.as_bytes()) {
            return Self::Rest;
        }
        let open = match scanner.spans(&format!("{text}{PROBE}")) {
            Some(spans) => spans.last().filter(|span| span.end > text.len()).map(|span| span.start),
            None => return Self::Rest,
        };
        let before = open.map_or("", |start| &text[..start]);
        if before.ends_with(FENCE) || label_is_open(text) {
            return Self::Fence;
        }
        match before.bytes().next_back() {
            Some(mark @ (b'"' | b'\'')) => {
                let is_plain = !before[..before.len() - 1].ends_with('\\');
                Self::Quote { mark, is_plain, escaped: false }
            }
            _ => Self::Word { begun: !text.bytes().next_back().is_some_and(is_separator) },
        }
    }

    /// How much to leave out, and whether showing goes on behind it.
    fn pass(&mut self, text: &str) -> (usize, bool) {
        match self {
            Self::Rest => (text.len(), false),
            Self::Fence => match text.find(FENCE) {
                Some(at) => (at + FENCE.len(), true),
                // A fence may be cut, too.
                None => (text.floor_char_boundary(text.len().saturating_sub(FENCE.len())), false),
            },
            Self::Quote { mark, is_plain, escaped } => {
                for (at, byte) in text.bytes().enumerate() {
                    if byte == *mark && !*escaped {
                        return (at, true);
                    }
                    *escaped = *is_plain && byte == b'\\' && !*escaped;
                }
                (text.len(), false)
            }
            Self::Word { begun } => {
                for (at, byte) in text.bytes().enumerate() {
                    match byte {
                        _ if is_separator(byte) && *begun => return (at, true),
                        _ if is_separator(byte) => {}
                        // A value in quotes begins.
                        b'"' | b'\'' if !*begun => {
                            *self = Self::Quote { mark: byte, is_plain: true, escaped: false };
                            let (len, ends) = self.pass(&text[at + 1..]);
                            return (at + 1 + len, ends);
                        }
                        b':' | b'=' | b'\\' | b'(' => {}
                        _ => *begun = true,
                    }
                }
                (text.len(), false)
            }
        }
    }
}

/// What might follow: if it belongs to something sensitive, the text before is open.
const PROBE: &str = "xxxxxxxxxxxx";

/// Whether nothing sensitive can begin in a text that ends with a separator, and end behind it.
fn is_closed(text: &str, scanner: &mut Scanner<'_, '_>) -> bool {
    if label_is_open(text) || authority_is_open(text) || scanner.goes_on(text.as_bytes()) {
        return false;
    }
    let text = &*scanner.preview(text);
    let goes_over = text.contains(['"', '\'', '%', '\\']) || text.contains(KEY);
    if goes_over && reaches(text, PROBE, scanner) {
        return false;
    }
    let before = text.trim_end();
    if !may_open(before) {
        return true;
    }
    let context = &before[before.ceil_char_boundary(before.len().saturating_sub(CONTEXT))..];
    let probes = [format!(" {PROBE}"), format!(" =\"{PROBE}"), format!("\"{PROBE}")];
    !probes.iter().any(|probe| reaches(context, probe, scanner))
}

/// Whether something sensitive reaches from the text into what follows.
fn reaches(text: &str, probe: &str, scanner: &mut Scanner<'_, '_>) -> bool {
    let probed = format!("{text}{probe}");
    let spans = scanner.spans(&probed);
    spans.is_none_or(|spans| spans.last().is_some_and(|span| span.end > text.len()))
}

/// Whether a text may end with a name that a value follows: the cheap question before the probes.
fn may_open(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let last = bytes.iter().rev().take_while(|byte| !byte.is_ascii_whitespace());
    if last.clone().any(|byte| matches!(byte, b':' | b'=' | b'"' | b'\'' | b'\\' | b'(' | b'%')) {
        return true;
    }
    let len = last.take_while(|&&byte| is_word(byte)).count();
    let word = &text[text.len() - len..];
    let introduces = |name: &&str| word.eq_ignore_ascii_case(name);
    is_sensitive_name(word) || ["bearer", "basic"].iter().any(introduces)
}

/// Whether a text ends within the label of what may be a private key.
fn label_is_open(text: &str) -> bool {
    text.rfind(KEY).is_some_and(|at| {
        let label = &text[at + KEY.len()..];
        label.len() <= LABEL && !label.contains(FENCE)
    })
}

/// Whether a text ends, with a comma, before the host of an address.
fn authority_is_open(text: &str) -> bool {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
    text.ends_with(',') && text.rfind("://").is_some_and(|at| !text[at + 3..].contains(ends))
}

#[cfg(test)]
#[path = "running/tests.rs"]
mod tests;
